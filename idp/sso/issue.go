package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/consent"
	"vernal/idp/keyring"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
)

// issueAssertion answers a request with an assertion. The write comes first: in one step it
// creates the NameID, spends the message ID, notes the provider in the session and appends the
// audit record. Signing follows it, so that no assertion exists without an audit record.
//
// It returns idp.ErrReplayed or idp.ErrAnswered if a concurrent request was answered first,
// errUserChanged if the decision must be made again, and errOtherAgreement if the user agreed to
// something else.
func (h *Handler) issueAssertion(w http.ResponseWriter, r *http.Request, a *acceptedRequest, s *idp.Session, user *idp.User, agreed agreement) error {
	now := h.Clock.Now()
	if err := h.Signing.CheckKey(a.request.Year, now); err != nil {
		return err
	}
	encrypter, err := a.newEncrypter(now)
	if err != nil {
		return err
	}
	profile, err := h.loadProfile(r, a, user)
	if err != nil {
		return err
	}
	if agreed.isGiven() && agreed.mark != h.computeMark(r, a, agreed.question, user, profile) {
		return errOtherAgreement
	}
	e := web.EventOf(r)
	e.NoteExpiredCert(a.year, now)
	request, err := h.loadRecordedRequest(r.Context(), a)
	if err != nil {
		return err
	}
	cookie := h.bindAnswer(a, request)
	issuance, err := h.Store.RecordIssuance(r.Context(), &idp.Issuance{
		Request: request, Session: s.ID, User: user.ID,
		Scope: a.provider.NameIDScope, ProposedNameID: idp.NameID(uuid.NewString()),
		SessionIndex: newID(), EmailAddress: a.findUndisclosedEmail(user), Consent: agreed.newConsent(now), At: now,
		Check: h.Signing.Check(a.request.Year, a.provider), CheckUser: h.recheckUser(a, user, agreed.question, now),
		Event: newSignInEvent(a.request, user, agreed.question.reason, e),
	})
	if errors.Is(err, idp.ErrYearEnded) {
		return h.Access.CheckEnded(a.request.Year)
	}
	if errors.Is(err, idp.ErrProviderChanged) {
		_, _ = h.Registry.Reload(r.Context(), a.request.SP) // for the next decision
	}
	if err != nil {
		return fmt.Errorf("record issuance: %w", err)
	}
	if cookie != nil {
		http.SetCookie(w, cookie)
	}
	h.releaseBudget(r, a, request)
	if a.request.CertSHA256 == "" {
		h.recordUse(a.request, now) // a signed request counted when it was verified
	}

	response := h.newResponse(a, now)
	buffer := takeBuffer()
	defer buffer.release()
	assertion := a.newAssertion(s, user, profile, issuance, now, string(h.Pages.Lang(r)))
	err = h.signResponse(r, a, func(signer *xmldsig.Signer) (err error) {
		buffer.xml, err = response.WriteSuccess(buffer.xml, assertion, saml.Protection{
			Signer: signer, Encrypter: encrypter, SignResponse: a.provider.SignResponse,
		})
		return err
	})
	if err != nil {
		return err
	}
	e.SigningYear = a.request.Year
	e.Note(slog.String("user", string(user.ID)), slog.String("outcome", "issued"))
	return h.postResponse(w, r, a, buffer)
}

// bindAnswer gives a request that waited in the browser a secret, as a stored one has, and
// returns the cookie to send once its answer is written. The browser can then drop the request
// and is still notified that it was used. A request that is answered under the handle of
// another delivery gets no cookie.
func (h *Handler) bindAnswer(a *acceptedRequest, request *idp.LoginRequest) *http.Cookie {
	if !a.isInBrowser || request != a.request {
		return nil
	}
	return h.Sessions.TieRequest(request)
}

// signResponse signs with the key of the year, if year, registration and preview still allow
// the answer after it was recorded. If they do not, the record of the answer stays and the
// record of the refusal follows it.
func (h *Handler) signResponse(r *http.Request, a *acceptedRequest, write func(*xmldsig.Signer) error) error {
	err := h.Signing.Sign(r.Context(), a.request.SP, func(p *sp.Provider) (keyring.Entry, error) {
		if err := a.checkChange(p); err != nil {
			return keyring.Entry{}, err
		}
		return h.recheckYear(r, a.provider, a.request)
	}, write)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(a.request.SP)).WithCause(err)
	case err != nil:
		return fmt.Errorf("sign response: %w", err)
	}
	return nil
}

// checkChange refuses an answer that was recorded under another registration than the current
// one: for the permission that was withdrawn, or else as a request to be sent again.
func (a *acceptedRequest) checkChange(p *sp.Provider) error {
	if p == a.provider || a.provider.Equals(&p.ServiceProvider) {
		return nil
	}
	current := *a
	current.provider = p
	if err := current.checkRegistration(); err != nil {
		return err
	}
	return idp.Refuse(idp.RefusedStale, "request", string(a.request.Handle)).WithCause(idp.ErrProviderChanged)
}

// errUserChanged reports that the user's record or profile was changed after the user's record was
// read, so that something else would be disclosed.
var errUserChanged = errors.New("the user's record was changed during the sign-in")

// loadProfile unseals the user's profile if the assertion discloses attributes of it.
// Otherwise it returns nil and the profile stays sealed.
func (h *Handler) loadProfile(r *http.Request, a *acceptedRequest, user *idp.User) (*idp.Profile, error) {
	if !a.need.ReadsProfile(&a.provider.ServiceProvider, user.ActiveProofing()) {
		return nil, nil
	}
	p, err := h.Store.Profile(r.Context(), user.ID)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return nil, errUserChanged
	case err != nil:
		return nil, fmt.Errorf("unseal profile: %w", err)
	case !p.Proofing().Equal(user.ActiveProofing()):
		return nil, errUserChanged
	}
	return p, nil
}

// newSignInEvent returns the audit record of a sign-in. For a year that was not published, the record
// names the preview that opened it. If the user was asked for consent, it says why.
func newSignInEvent(req *idp.LoginRequest, user *idp.User, asked consent.Reason, e *web.Event) idp.AuditEvent {
	event := idp.AuditEvent{
		Kind: idp.AuditSignIn, Outcome: "ok", Actor: "user:" + string(user.ID), User: user.ID,
		SP: req.SP, Year: req.Year, RequestID: e.ID, IPAddress: e.ClientIP,
	}
	if req.SP == idp.RehearsalSP {
		event.Kind, event.Detail = idp.AuditRotationRehearse, map[string]string{"step": "response"}
		return event
	}
	detail := map[string]string{}
	if req.Preview != "" {
		detail["preview"] = req.Preview
	}
	if asked != consent.NotNeeded {
		detail["consent"] = string(asked)
	}
	if len(detail) > 0 {
		event.Detail = detail
	}
	return event
}

// newAssertion returns the facts about the user and the sign-in that the request asks for and the
// provider may know. Attributes are disclosed here only.
func (a *acceptedRequest) newAssertion(s *idp.Session, user *idp.User, profile *idp.Profile, issuance idp.IssuedIDs, now time.Time, lang string) *saml.Assertion {
	subject := string(issuance.NameID)
	if a.request.NameIDFormat == saml.NameIDFormatEmail {
		subject = a.chooseEmail(user)
	}
	return &saml.Assertion{
		ID: newID(), Audience: string(a.request.SP),
		NameID: subject, NameIDFormat: a.request.NameIDFormat,
		SessionIndex: issuance.SessionIndex, AuthnInstant: a.need.AuthnInstant(s, now), ClassRef: a.need.ClassRef,
		Attributes: a.listAttributes(user, profile, issuance.NameID, lang),
	}
}

// listAttributes returns the attributes of the assertion, with their values.
func (a *acceptedRequest) listAttributes(user *idp.User, profile *idp.Profile, name idp.NameID, lang string) []assurance.Attribute {
	return assurance.Release(a.need, &a.provider.ServiceProvider, assurance.UserData{
		UUID: name, Email: a.chooseEmail(user), Emails: user.Emails, Locale: lang, Proofed: user.ActiveProofing(), Profile: profile,
	})
}

// findUndisclosedEmail returns the email address that names the user in the assertion, if it was
// not yet disclosed to the provider, or "". From then on a LogoutRequest may use it.
func (a *acceptedRequest) findUndisclosedEmail(user *idp.User) string {
	if a.request.NameIDFormat != saml.NameIDFormatEmail {
		return ""
	}
	email := a.chooseEmail(user)
	if user.DisclosedEmail(a.request.SP, email) != nil {
		return ""
	}
	return email
}

// chooseEmail returns the verified email address that the provider gets: the one that the user chose
// for it, as long as it is the user's, otherwise the one of the last sign-in.
func (a *acceptedRequest) chooseEmail(u *idp.User) string {
	if s := u.Service(a.request.SP); s != nil && s.Email != "" {
		for i := range u.Emails {
			if e := &u.Emails[i]; strings.EqualFold(e.Address, s.Email) && !e.ConfirmedAt.IsZero() {
				return e.Address
			}
		}
	}
	return findSignInEmail(u)
}

// findSignInEmail returns the verified email address that the user last signed in with.
func findSignInEmail(u *idp.User) string {
	var last *idp.Email
	for i := range u.Emails {
		e := &u.Emails[i]
		if !e.ConfirmedAt.IsZero() && (last == nil || e.LastSignInAt.After(last.LastSignInAt)) {
			last = e
		}
	}
	if last == nil {
		return ""
	}
	return last.Address
}

// newResponse returns the fields that every answer to a request has in common.
func (h *Handler) newResponse(a *acceptedRequest, now time.Time) saml.Response {
	return saml.Response{
		ID: newID(), IssueInstant: now, Issuer: string(h.IdP.EntityID()),
		Destination: a.request.ACSURL, InResponseTo: a.request.MessageID,
	}
}

// newID returns a new ID for a message, an assertion or a SessionIndex.
func newID() string { return "_" + uuid.NewString() }
