package logout

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/templates"
)

// receive is GET and POST /api/saml/logout{year}. A GET brings the session's
// cookie and is judged at once. A POST from another site does not: the request
// is stored, and judged by the GET that follows the 303.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) error {
	now, year := h.Clock.Now(), web.Year(r)
	visit, err := h.Access.Begin(r)
	if err != nil {
		return h.offer(err)
	}
	msg, err := readMessage(r)
	err = visit.Refuse(err)
	var refused *idp.Refusal
	if errors.As(err, &refused) && refused.Code == idp.RefusedRequestMissing {
		return h.ask(w, r)
	}
	if err != nil {
		return err
	}
	a, err := h.accept(r.Context(), msg, []string{h.IdP.LogoutURL(year), h.IdP.LogoutURL("")}, now)
	note(r, &a, year)
	if err == nil {
		err = answerable(a.provider)
	}
	entry, preview, denied := visit.Admit(a.provider, a.verified, err)
	if denied != nil {
		return denied
	}
	a.preview = preview
	web.EventOf(r).Ask(msg.Locale, now)
	web.EventOf(r).NoteEnded(entry, now)
	if err == nil {
		err = h.read(r.Context(), &a, msg, entry, now)
	}
	if err != nil {
		return fail(a.provider, err)
	}
	web.EventOf(r).NoteMessage(a.request.RelayState, a.cert, now)
	h.used(&a, now)
	if r.Method == http.MethodHead {
		return nil // a HEAD ends nothing
	}
	if r.Method == http.MethodGet {
		return h.decide(w, r, &a)
	}
	return h.store(w, r, &a)
}

// offer has the page of a year that is over offer what it can do no more for a
// service provider: to sign out here.
func (h *Handler) offer(err error) error {
	var gone *web.Gone
	if errors.As(err, &gone) {
		gone.SignOut = h.SignOutPath
	}
	return err
}

// readMessage takes the message off the wire.
func readMessage(r *http.Request) (*saml.Message, error) {
	in, err := web.Inbound(r)
	if err != nil {
		return nil, err
	}
	return saml.Read(in)
}

// answerable refuses an SP that gave no address to post the answer to. The
// address in metadata or in the request would be the sender's word.
func answerable(p *sp.Provider) error {
	if p.LogoutURL == "" {
		return idp.Refuse(idp.RefusedNoLogoutURL, "SingleLogoutService", "")
	}
	return nil
}

// note tells the log what came, and the audit trail if it is refused.
func note(r *http.Request, a *accepted, year idp.Year) {
	if a.provider != nil {
		e := web.EventOf(r)
		e.Note(slog.String("sp", string(a.provider.EntityID)))
		e.SP, e.Year, e.Verified = a.provider.EntityID, year, a.verified
	}
}

// used records that a year is in use: a LogoutRequest that was verified keeps it
// open as an AuthnRequest does, and no preview counts.
func (h *Handler) used(a *accepted, now time.Time) {
	if h.Uses == nil || a.preview != "" {
		return
	}
	h.Uses.Use(idp.Use{
		SP: a.request.SP, Year: a.request.Year, At: now, CertSHA256: a.request.CertSHA256, RelayState: len(a.request.RelayState),
	})
}

// ask shows the page that asks: a link alone signs nobody out.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request) error {
	page := templates.ConfirmPage{
		Base:  h.Pages.Base(r, ""),
		Title: templates.ConfirmSignOutTitle, Text: templates.ConfirmSignOutText, Button: templates.ConfirmSignOutButton,
		Action: h.SignOutPath, CancelURL: h.AccountPath,
	}
	return h.Pages.Render(w, http.StatusOK, func(b io.Writer) error { return h.Pages.Set.Confirm(b, page) })
}

func redirect(w http.ResponseWriter, r *http.Request, handle idp.RequestHandle) error {
	http.Redirect(w, r, ContinuePath+"?request="+url.QueryEscape(string(handle)), http.StatusSeeOther)
	return nil
}
