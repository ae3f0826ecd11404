package logout

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/keyring"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/session"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/idp/yearaccess"
)

// acceptedRequest is a verified LogoutRequest with the service provider that sent it.
type acceptedRequest struct {
	request  *idp.LogoutRequest
	provider *sp.Provider
	// preview names the link or registration that opened the year, if the year is not published.
	preview string
}

// acceptRequest has package inbound verify and check a message that arrived at the year's URL,
// asks the gate whether its sender may use the year, and looks up the user that it names. An
// error may name the sender once a.provider is set.
func (h *Handler) acceptRequest(r *http.Request, a *acceptedRequest, visit *yearaccess.Visit, msg *saml.Message, kind inbound.Kind, now time.Time) error {
	e, year, makeURL := web.EventOf(r), web.Year(r), h.IdP.LogoutURL
	if kind == inbound.RemoteLogoutRequest {
		makeURL = h.IdP.RemoteLogoutURL
	}
	q, err := inbound.Accept(r.Context(), h.Registry, msg, kind, inbound.Expectation{Now: now, RestoredAt: h.Store.RestoredAt(), Destinations: []string{makeURL(year), makeURL("")}})
	if q.Provider != nil {
		noteSender(e, q.Provider, year, q.Cert != nil)
	}
	entry, preview, denyErr := visit.Admit(q.Provider, q.Cert != nil, err)
	if denyErr != nil {
		return denyErr
	}
	a.provider, a.preview = q.Provider, preview
	if kind == inbound.LogoutRequest {
		e.RequestLocale(msg.Locale, now) // the back channel shows no page
	}
	e.NoteExpiredCert(entry, now)
	if err == nil {
		err = h.readRequest(r.Context(), a, &q, msg, entry, now)
	}
	if err != nil {
		return err
	}
	e.NoteMessage(a.request.RelayState, q.Cert, now)
	h.recordUse(a, now)
	return nil
}

// noteSender records the sender of a message in the log, and in the audit trail if the message
// is refused.
func noteSender(e *web.Event, p *sp.Provider, year idp.Year, isVerified bool) {
	e.Note(slog.String("sp", string(p.EntityID)))
	e.SP, e.Year, e.IsVerified = p.EntityID, year, isVerified
}

// readRequest fills a.request from an accepted message. It decrypts the name, if that is
// encrypted, with the key of entry's year, and looks up the user.
func (h *Handler) readRequest(ctx context.Context, a *acceptedRequest, q *inbound.Request, msg *saml.Message, entry keyring.Entry, now time.Time) error {
	if err := q.OpenName(entry.Key.Signer); err != nil {
		return err
	}
	a.request = &idp.LogoutRequest{
		Handle: session.NewHandle(now), SP: a.provider.EntityID, MessageID: q.Logout.ID, Year: entry.Key.Year,
		RelayState: msg.RelayState, HasRelay: msg.HasRelay, Locale: msg.Locale,
		SessionIndexes: q.Logout.SessionIndexes, CertSHA256: a.provider.CertSHA256(q.Cert),
		ReceivedAt: now, ExpiresAt: now.Add(requestLifetime),
	}
	return logoutscope.Find(ctx, h.Store, a.provider, a.request, q.Logout.NameID)
}

// recordUse records that a year is in use. A verified LogoutRequest keeps it open like an
// AuthnRequest, but a preview does not.
func (h *Handler) recordUse(a *acceptedRequest, now time.Time) {
	if h.Uses == nil || a.preview != "" {
		return
	}
	h.Uses.Use(idp.Use{
		SP: a.request.SP, Year: a.request.Year, At: now, CertSHA256: a.request.CertSHA256, RelayStateLength: len(a.request.RelayState),
	})
}

// checkRegistration checks a request that was verified earlier against the current
// registration.
func checkRegistration(p *sp.Provider, req *idp.LogoutRequest) error {
	if err := inbound.CheckActive(p); err != nil {
		return err
	}
	_, err := inbound.FindRequestCert(p, req.CertSHA256)
	return err
}

// refuseUnknown returns the refusal of a sender that was removed in the meantime. It returns
// other errors unchanged.
func refuseUnknown(id idp.EntityID, err error) error {
	if errors.Is(err, idp.ErrNotFound) {
		return idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(id)).WithCause(err)
	}
	return err
}
