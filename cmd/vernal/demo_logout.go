package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/crewjam/saml"
)

// pathLoggedOut is where LogoutResponses are posted; the library's name.
const pathLoggedOut = "/saml/slo"

// postPolicy is the policy of the library's page that posts itself, which it
// knows for AuthnRequests only. Its form leads on to the identity provider.
const postPolicy = "default-src 'none'; script-src 'sha256-AjPdJSbZmeWHnEc5ykvJFay8FTWeTeRbs9dutfZ0HqE='; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action "

// signOut is POST /sign-out. It ends the sample's own session and sends the
// browser to the identity provider, to end the one there too: by the same
// binding as the sample signs people in.
func (s *sample) signOut(w http.ResponseWriter, r *http.Request) {
	session, err := s.visits.GetSession(r)
	_ = s.visits.DeleteSession(w, r) // only forgets
	v, ok := session.(*visit)
	if err != nil || !ok || v.nameID() == "" {
		http.Redirect(w, r, "/?signed-out", http.StatusSeeOther)
		return
	}
	provider := &s.saml.ServiceProvider
	req, err := provider.MakeLogoutRequest(provider.GetSLOBindingLocation(s.binding), v.nameID())
	if err != nil {
		s.broken(w, err)
		return
	}
	relay := s.held.keep(url.Values{"id": {req.ID}})
	if s.binding == saml.HTTPPostBinding {
		w.Header().Set("Content-Security-Policy", postPolicy+s.demo.deps.config.BaseURL)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!DOCTYPE html><html lang=\"en\"><title>%s</title><body>%s</body></html>", s.name, req.Post(relay))
		return
	}
	to, err := provider.RedirectLogoutRequestURL(req, relay)
	if err != nil {
		s.broken(w, err)
		return
	}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// loggedOut is POST /saml/slo: the identity provider's answer, which must be to
// what this sample asked.
func (s *sample) loggedOut(w http.ResponseWriter, r *http.Request) {
	if err := s.checkLogout(r); err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/?signed-out", http.StatusSeeOther)
}

func (s *sample) checkLogout(r *http.Request) error {
	asked, ok := s.held.take(r.PostFormValue("RelayState"))
	if !ok {
		return errors.New("the LogoutResponse answers nothing that was asked here")
	}
	_, err := s.saml.ServiceProvider.ParseLogoutResponse(r, []string{asked.Get("id")})
	return err
}

// nameID is the name by which the sample knows the person.
func (v *visit) nameID() string {
	if s := v.assertion.Subject; s != nil && s.NameID != nil {
		return s.NameID.Value
	}
	return ""
}
