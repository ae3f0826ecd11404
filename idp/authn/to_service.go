package authn

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/journey"
	"vernal/templates"
)

// showToService answers GET /sign-in/to-service: it takes a user who has signed in without a request to
// the start page of the service provider. That is a page, because browsers block the redirect of a
// form to another site (Content-Security-Policy, form-action).
func (h *Handler) showToService(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	if f.Service() == "" {
		return journey.RedirectTo(w, r, h.NextURL(f))
	}
	_, err := h.Sessions.LookupCurrent(r)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return journey.RedirectTo(w, r, f.AddRequest(journey.SignInPath))
	case err != nil:
		return journey.ExitWithError(err)
	}
	w.Header().Set("Refresh", "0; url="+f.Provider.StartURL())
	return journey.ExitWithPage(h.WritePage(w, templates.OutcomePage{
		Base: f.NewPageBase(h.Pages, r), Title: templates.ToServiceTitle, Text: templates.ToServiceText, Link: templates.ToServiceLink,
		Args: []string{f.Provider.Name}, URL: f.Provider.StartURL(),
	}))
}
