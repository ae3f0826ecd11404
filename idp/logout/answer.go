package logout

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
	"vernal/templates"
)

// decide judges the request by the browser's session, writes that down with
// what ends, and answers. No audit record, no end and no answer.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request, a *accepted) error {
	s, err := h.Sessions.Current(r)
	if errors.Is(err, idp.ErrNotFound) {
		s, err = nil, nil
	}
	if err != nil {
		return fail(a.provider, err)
	}
	v := judge(a.request, s)
	answered := *a.request
	answered.AnsweredAt, answered.Status, answered.StatusDetail = h.Clock.Now(), v.status.Code, v.status.Detail
	l := &idp.Logout{Request: &answered}
	var still []idp.EntityID
	if v.end {
		l.Session, still = s.ID, others(s, a.request.SP)
		// A step-up in another tab may give the session a new ID meanwhile; what
		// the SP was told of it goes with it.
		if told := indexes(s, a.request.SP); len(told) > 0 {
			l.EndAllOf, l.SessionIndexes = s.User, told
		}
	}
	done := *a
	done.request = &answered
	_, err = h.Store.RecordLogout(r.Context(), l, event(r, "logout", &done))
	switch {
	case errors.Is(err, idp.ErrReplayed), errors.Is(err, idp.ErrAnswered):
		return h.again(w, r, a)
	case err != nil:
		return fail(a.provider, fmt.Errorf("record logout: %w", err))
	}
	if v.end {
		h.Sessions.Forget(w)
	}
	return h.post(w, r, &done, still)
}

// event is what an answer tells the audit trail.
func event(r *http.Request, kind string, a *accepted) idp.AuditEvent {
	e, req := web.EventOf(r), a.request
	outcome := "ok"
	if req.Status != saml.StatusSuccess {
		outcome = "unknown_principal"
	}
	e.Note(slog.String("outcome", kind+" "+outcome), slog.String("user", string(req.User)))
	event := idp.AuditEvent{
		Kind: kind, Outcome: outcome, Actor: "sp:" + string(req.SP), User: req.User, SP: req.SP, Year: req.Year,
		RequestID: e.ID, Address: e.Address,
	}
	if a.preview != "" {
		event.Detail = map[string]string{"preview": a.preview}
	}
	return event
}

// response is the LogoutResponse to an answered request.
func (h *Handler) response(req *idp.LogoutRequest, destination string) *saml.LogoutResponse {
	return &saml.LogoutResponse{
		ID: newID(), IssueInstant: h.Clock.Now(), Issuer: string(h.IdP.EntityID()),
		Destination: destination, InResponseTo: req.MessageID,
		Status: saml.Status{Code: req.Status, Detail: req.StatusDetail},
	}
}

// write makes the document of an answer with build: unsigned or, for an SP that
// wants it, signed by the year's key, if year, registration and preview still
// allow that now that the answer is recorded.
func (h *Handler) write(r *http.Request, a *accepted, build func(*xmldsig.Signer) ([]byte, error)) (doc []byte, err error) {
	if !a.provider.SignLogoutResponse {
		return build(nil)
	}
	err = h.Signing.Sign(r.Context(), a.request.SP, func(p *sp.Provider) (certs.Entry, error) {
		if p != a.provider && !a.provider.IsAs(&p.ServiceProvider) {
			now := *a
			now.provider = p
			if err := h.current(&now); err != nil {
				return certs.Entry{}, err
			}
		}
		return h.opened(r, a)
	}, func(s *xmldsig.Signer) (err error) {
		doc, err = build(s)
		return err
	})
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return nil, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(a.request.SP)).With(err)
	case err != nil:
		return nil, fmt.Errorf("write logout response: %w", err)
	}
	return doc, nil
}

// post writes the page that hands the LogoutResponse to the SP's registered
// logout address through the browser. still are the SPs where the person may
// be signed in yet.
func (h *Handler) post(w http.ResponseWriter, r *http.Request, a *accepted, still []idp.EntityID) error {
	response := h.response(a.request, a.provider.LogoutURL)
	doc, err := h.write(r, a, func(s *xmldsig.Signer) ([]byte, error) { return response.Write(nil, s) })
	if err != nil {
		return fail(a.provider, err)
	}
	var raw [16]byte
	rand.Read(raw[:])
	page := templates.LogoutPage{
		Base: h.Pages.Base(r, a.provider.Name), Ended: a.request.Status == saml.StatusSuccess,
		Action: a.provider.LogoutURL, SAMLResponse: base64.StdEncoding.EncodeToString(doc),
		RelayState: a.request.RelayState, HasRelay: a.request.HasRelay,
	}
	// To switch the language would lose the list, which is made only once; and
	// the form may go nowhere but to the SP.
	page.Languages = templates.Languages{}
	page.Nonce = base64.RawStdEncoding.EncodeToString(raw[:])
	for _, id := range still {
		page.Still = append(page.Still, h.Registry.NameOf(r.Context(), id))
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "+
		"script-src 'nonce-"+page.Nonce+"'; form-action "+a.provider.FormAction(a.provider.LogoutURL)+
		"; frame-ancestors 'none'; base-uri 'none'")
	return h.Pages.Render(w, http.StatusOK, func(b io.Writer) error { return h.Pages.Set.Logout(b, page) })
}

func newID() string { return "_" + uuid.NewString() }
