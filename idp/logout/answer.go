package logout

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/keyring"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
	"vernal/templates"
)

// The kinds of audit events, by channel.
var (
	frontKind  = idp.AuditLogout
	remoteKind = idp.AuditRemoteLogout
)

// answerRequest judges the request by the current sessions, records the decision together with
// the sessions that end, and answers. Without an audit record, no session ends and no answer
// is sent.
func (h *Handler) answerRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	s, err := h.Sessions.LookupCurrent(r)
	if errors.Is(err, idp.ErrNotFound) {
		s, err = nil, nil
	}
	if err != nil {
		return err
	}
	endedSessions, err := h.recordLogout(r, a, frontKind, func(first *idp.LogoutRequest, sessions []*idp.Session) idp.LogoutDecision {
		return logoutscope.Judge(first, sessions, s)
	})
	if err != nil {
		return err
	}
	// Only the browser whose own session ended loses its cookie and learns which SPs took part
	// in it. Another browser may be an attacker's.
	var otherSPs []idp.EntityID
	if ownSession := logoutscope.FindCurrent(endedSessions, s); ownSession != nil {
		h.Sessions.DropCookies(w)
		otherSPs = logoutscope.ListOthers(ownSession, a.request.SP)
	}
	return h.postResponse(w, r, a, otherSPs)
}

// recordLogout makes the one write. Afterwards a.request is the request as it was first
// received, with the status to answer.
func (h *Handler) recordLogout(r *http.Request, a *acceptedRequest, kind idp.AuditKind, decide func(*idp.LogoutRequest, []*idp.Session) idp.LogoutDecision) (endedSessions []*idp.Session, err error) {
	e := web.EventOf(r)
	year := a.request.Year
	if a.provider.SignLogoutResponse {
		if err := h.Signing.CheckKey(year, h.Clock.Now()); err != nil {
			return nil, err
		}
	}
	var outcome *idp.LogoutOutcome
	for tries := 3; tries > 0; tries-- {
		outcome, err = h.Store.RecordLogout(r.Context(), &idp.Logout{
			Request: a.request, At: h.Clock.Now(), Check: h.Signing.Check(year, a.provider), Decide: decide,
			Event: func(request *idp.LogoutRequest) idp.AuditEvent { return newAuditEvent(request, kind, a.preview, e) },
		})
		if !errors.Is(err, idp.ErrProviderChanged) {
			break
		}
		if err := h.renewProvider(r.Context(), a); err != nil {
			return nil, err
		}
	}
	switch {
	case errors.Is(err, idp.ErrYearEnded):
		return nil, h.offerSignOut(h.Access.CheckEnded(year))
	case err != nil:
		return nil, fmt.Errorf("record %s: %w", kind, err)
	}
	a.request = outcome.Request
	a.request.Year = year // the key of its URL signs, wherever the message arrived first
	e.Note(slog.String("outcome", string(kind)+" "+chooseDecision(a.request, kind).Rule().Outcome), slog.String("user", string(findUser(a.request, kind))),
		slog.Int("sessions_ended", len(outcome.EndedSessions)))
	return outcome.EndedSessions, nil
}

// renewProvider replaces the registration by the current one for a request that was accepted
// under the previous one, if the current one would accept it, too.
func (h *Handler) renewProvider(ctx context.Context, a *acceptedRequest) error {
	p, err := h.Registry.Reload(ctx, a.request.SP)
	if err != nil {
		return refuseUnknown(a.request.SP, fmt.Errorf("look up service provider %q: %w", a.request.SP, err))
	}
	if err := checkRegistration(p, a.request); err != nil {
		return err
	}
	a.provider = p
	return nil
}

// newAuditEvent returns the audit record of an answer.
func newAuditEvent(req *idp.LogoutRequest, kind idp.AuditKind, preview string, e *web.Event) idp.AuditEvent {
	event := chooseDecision(req, kind).Event()
	event.Actor, event.User, event.SP, event.Year = "sp:"+string(req.SP), findUser(req, kind), req.SP, req.Year
	event.RequestID, event.IPAddress = e.ID, e.ClientIP
	if preview != "" {
		event.Detail = map[string]string{"preview": preview}
	}
	return event
}

// chooseDecision returns the decision for the answer in the table of decisions.
func chooseDecision(req *idp.LogoutRequest, kind idp.AuditKind) audit.Decision {
	isSuccess := req.Status == saml.StatusSuccess
	switch {
	case kind == frontKind && isSuccess:
		return audit.LoggedOut
	case kind == frontKind:
		return audit.LogoutUnknown
	case isSuccess:
		return audit.RemoteLoggedOut
	}
	return audit.RemoteLogoutUnknown
}

// findUser returns the user that the request names on the channel.
func findUser(req *idp.LogoutRequest, kind idp.AuditKind) idp.UserID {
	if kind == remoteKind && req.IndexUser != "" {
		return req.IndexUser
	}
	return req.User
}

// newResponse returns the LogoutResponse to an answered request.
func (h *Handler) newResponse(req *idp.LogoutRequest, destination string) *saml.LogoutResponse {
	return &saml.LogoutResponse{
		ID: newID(), IssueInstant: h.Clock.Now(), Issuer: string(h.IdP.EntityID()),
		Destination: destination, InResponseTo: req.MessageID,
		Status: saml.Status{Code: req.Status, Detail: req.StatusDetail},
	}
}

// writeResponse writes the document of an answer with build. It is unsigned or, for an SP that
// wants it, signed by the year's key, if year, registration and preview still allow that after
// the answer was recorded.
func (h *Handler) writeResponse(r *http.Request, a *acceptedRequest, build func(*xmldsig.Signer) ([]byte, error)) (doc []byte, err error) {
	if !a.provider.SignLogoutResponse {
		return build(nil)
	}
	err = h.Signing.Sign(r.Context(), a.request.SP, func(p *sp.Provider) (keyring.Entry, error) {
		if err := checkRegistration(p, a.request); err != nil {
			return keyring.Entry{}, err
		}
		return h.recheckYear(r, a)
	}, func(s *xmldsig.Signer) (err error) {
		doc, err = build(s)
		return err
	})
	if err != nil {
		return nil, refuseUnknown(a.request.SP, fmt.Errorf("write logout response: %w", err))
	}
	return doc, nil
}

// postResponse writes the page that sends the LogoutResponse to the SP's registered logout URL
// through the browser. otherSPs lists the SPs where the user may still be signed in.
func (h *Handler) postResponse(w http.ResponseWriter, r *http.Request, a *acceptedRequest, otherSPs []idp.EntityID) error {
	response := h.newResponse(a.request, a.provider.LogoutURL)
	doc, err := h.writeResponse(r, a, func(s *xmldsig.Signer) ([]byte, error) { return response.Write(nil, s) })
	if err != nil {
		return err
	}
	page := templates.LogoutPage{
		Base: h.Pages.SenderBase(r, a.describeSender()), HasEnded: a.request.Status == saml.StatusSuccess,
		Action: a.provider.LogoutURL, SAMLResponse: base64.StdEncoding.EncodeToString(doc),
		RelayState: a.request.RelayState, HasRelay: a.request.HasRelay,
	}
	// Switching the language would lose the list, which is made only once, and the form may
	// post only to the SP.
	page.Languages = templates.Languages{}
	page.Nonce = web.AllowPost(w, a.provider.FormAction(a.provider.LogoutURL))
	for _, id := range otherSPs {
		page.OpenServices = append(page.OpenServices, h.Registry.LookupName(r.Context(), id))
	}
	return h.Pages.Render(w, http.StatusOK, page)
}

func newID() string { return "_" + uuid.NewString() }
