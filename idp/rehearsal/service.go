package rehearsal

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/session"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
	"vernal/templates"
)

// serverActor is the actor of automatic cleanup.
const serverActor = "server"

// Service begins and ends rehearsals, one at a time. All fields are required.
type Service struct {
	Sessions *session.Manager
	Registry *sp.Registry
	Links    *sharelink.Service
	Years    *keyring.Ring
	BaseURL  string
	Clock    idp.Clock

	mu  sync.Mutex
	run *rehearsalRun // the latest one, guarded by mu
}

// rehearsalRun is a rehearsal that has begun and not ended.
type rehearsalRun struct {
	terms   *Terms
	session idp.SessionID // "" before it was made
}

// Begin makes the credentials for a rehearsal of the year, for an SP with the request certificate.
// It returns a *RefusedError if the year cannot be rehearsed now or another rehearsal is running.
func (s *Service) Begin(ctx context.Context, y idp.Year, cert *x509.Certificate, actor string) (*Terms, error) {
	now := s.Clock.Now()
	entry, err := s.findYear(y, now)
	if err != nil {
		return nil, err
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < 2048 || key.N.BitLen() > 8192 {
		return nil, errors.New("the rehearsal's certificate has no RSA key of 2048 to 8192 bits")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil && now.Before(s.run.terms.EndAt) {
		return nil, &RefusedError{Text: fmt.Sprintf("another rehearsal is running: wait until it ends, at %s at the latest",
			s.run.terms.EndAt.Format(time.RFC3339))}
	}
	if err := s.clearCredentials(ctx); err != nil {
		return nil, err
	}
	endAt := now.Add(Lifetime)
	r := &rehearsalRun{terms: &Terms{
		ID: rand.Text(), Year: y, State: string(entry.State), BaseURL: s.BaseURL,
		CertSHA256: certs.CertSHA256(entry.Key.Cert), ClockTrusted: true, At: now, EndAt: endAt,
	}}
	s.run = r
	if err := s.makeCredentials(ctx, r, entry, cert, actor); err != nil {
		return nil, errors.Join(err, s.clearCredentials(context.WithoutCancel(ctx)))
	}
	return r.terms, nil
}

// makeCredentials makes the SP, the link and the session. The session and its audit record are stored
// together, so no request is answered without a record.
func (s *Service) makeCredentials(ctx context.Context, r *rehearsalRun, entry keyring.Entry, cert *x509.Certificate, actor string) error {
	terms := r.terms
	if err := s.Registry.Rehearse(newProvider(terms.Year, cert), terms.EndAt); err != nil {
		return err
	}
	if entry.State == rotation.Created {
		_, token, err := s.Links.Create(ctx, sharelink.Link{
			Kind: sharelink.Preview, Year: terms.Year, SP: idp.RehearsalSP, ExpiresAt: terms.EndAt,
		}, actor)
		if err != nil {
			return err
		}
		terms.Token = token
	}
	cookie, id, err := s.Sessions.MintRehearsal(ctx, Lifetime, idp.AuditEvent{
		Kind: idp.AuditRotationRehearse, Outcome: "begun", Actor: actor, SP: idp.RehearsalSP, Year: terms.Year,
	})
	if err != nil {
		return err
	}
	terms.CookieName, terms.CookieValue, r.session = cookie.Name, cookie.Value, id
	return nil
}

// newProvider returns the SP. It requires all protection that can fail: encryption, and a signature on
// the Response in addition to the assertion's.
func newProvider(y idp.Year, cert *x509.Certificate) *idp.ServiceProvider {
	p := sp.Defaults()
	p.EntityID, p.Name, p.NameIDScope = idp.RehearsalSP, "Rehearsal", "sp:"+idp.NameIDScope(idp.RehearsalSP)
	p.ACSURLs, p.Certs, p.Attributes, p.Preview = []string{acsURL}, []string{certs.EncodePEM(cert)}, nil, y
	p.Encryption, p.SignResponse = idp.EncryptionCBC, true
	return p
}

// findYear returns the entry of a year that can sign. Otherwise the error says why it cannot.
func (s *Service) findYear(y idp.Year, now time.Time) (keyring.Entry, error) {
	entry, ok := s.Years.Lookup(y, now)
	switch {
	case !ok:
		return entry, &RefusedError{Text: fmt.Sprintf("year %s was never made: create it first", y), Suggestions: []idp.Suggestion{idp.Suggest(idp.DoRotationCreate, string(y))}}
	case entry.State.IsOver():
		return entry, &RefusedError{Text: fmt.Sprintf("year %s is %s, so its URLs no longer answer: rehearse another year", y, entry.State)}
	case entry.Fault != "":
		return entry, &RefusedError{Text: fmt.Sprintf("year %s cannot sign: %s", y, templates.TerminalPhrases().Reason(entry.Fault.Reason(y)))}
	case entry.Key.Cert == nil:
		return entry, &RefusedError{Text: fmt.Sprintf("the key of year %s waits for its certificate: import the certificate first", y),
			Suggestions: []idp.Suggestion{idp.Suggest(idp.DoRotationImport, string(y)).WithOption(idp.OptionCert, "")}}
	case entry.Key.Signer == nil:
		return entry, &RefusedError{Text: fmt.Sprintf("year %s cannot sign, because its private key is missing: restore it from a backup", y)}
	}
	return entry, nil
}

// End ends a rehearsal, even an expired one, and records its failed steps. It returns
// idp.ErrNotFound if another rehearsal has begun since.
func (s *Service) End(ctx context.Context, id string, failedSteps []string, actor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.run
	if r == nil || r.terms.ID != id {
		return fmt.Errorf("rehearsal %s: %w", id, idp.ErrNotFound)
	}
	failedSteps = slices.DeleteFunc(slices.Clone(failedSteps), func(name string) bool { return !isStep(name) })
	event := idp.AuditEvent{Kind: idp.AuditRotationRehearse, Outcome: "ok", Actor: actor, SP: idp.RehearsalSP, Year: r.terms.Year}
	if len(failedSteps) > 0 {
		event.Outcome, event.Detail = "failed", map[string]string{"steps": strings.Join(failedSteps, " ")}
	}
	return s.clearCredentials(ctx, event)
}

// clearCredentials revokes the credentials of all rehearsals, including those of an interrupted earlier run of
// the server. s.mu must be held.
func (s *Service) clearCredentials(ctx context.Context, events ...idp.AuditEvent) error {
	s.Registry.EndRehearsal()
	links, err := s.Links.List(ctx, sharelink.Preview)
	for i := range links {
		if links[i].SP == idp.RehearsalSP {
			err = errors.Join(err, s.Links.Remove(ctx, links[i].ID, serverActor))
		}
	}
	if s.run != nil && s.run.session != "" {
		_, endErr := s.Sessions.Store.EndSessions(ctx, idp.SessionEnd{IDs: []idp.SessionID{s.run.session}}, events...)
		err = errors.Join(err, endErr)
	}
	if err != nil {
		return fmt.Errorf("end rehearsal: %w", err)
	}
	s.run = nil
	return nil
}
