package rotator

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

// Request is a key that waits for its certificate.
type Request struct {
	*Outcome
	// DER is the certification request (PKCS#10), or nil in a dry run that would make the key.
	DER []byte
	// IsNewKey reports that the key was made now, or would be.
	IsNewKey bool
	// Span is the period that the certificate must cover.
	Span rotation.Span
}

// Import is an external certificate with or without its key.
type Import struct {
	// Chain has the certificate, and possibly others.
	Chain []*x509.Certificate
	// Signer is the private key, or nil for the waiting key.
	Signer crypto.Signer
}

// ImportResult is the result of an import or, for a dry run, its preview.
type ImportResult struct {
	*Outcome
	Cert     *x509.Certificate
	Warnings []certs.Finding
	// IgnoredCerts are the other certificates of the chain.
	IgnoredCerts []*x509.Certificate
}

// MakeRequest makes the key of a year, which then waits for an external certificate, and the
// certification request. For a waiting key it only makes the request again.
func (s *Service) MakeRequest(ctx context.Context, y idp.Year, actor string, dryRun bool) (*Request, error) {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	h, now, err := s.catchUp(ctx)
	if err != nil {
		return nil, err
	}
	step := rotation.Step{Kind: rotation.StepCSR, Year: y}
	if r, _ := h.Record(y); r.KeyFault != "" {
		// An authority may have the request of the recorded key already. A new key would
		// make its certificate useless without notice.
		return nil, s.Policy.CheckStep(step, h, now)
	}
	k, err := s.Dir.LoadYear(y)
	if err != nil {
		return nil, err
	}
	t := &stepBatch{policy: s.Policy, steps: []rotation.Step{step}, actor: actor, now: now}
	if isWaitingForCert(h, y) {
		t.steps = nil
		if err := checkWaitingKey(h, step, k, now); err != nil {
			return nil, err
		}
	}
	r := &Request{IsNewKey: k == nil, Span: s.Policy.Span(h, y, now)}
	if r.Outcome, err = s.takeBatch(ctx, h, t, dryRun); err != nil {
		return nil, err
	}
	if dryRun && r.IsNewKey {
		return r, nil
	}
	if k, err = s.Dir.LoadYear(y); err != nil {
		return nil, err
	}
	if k == nil || k.Signer == nil || k.Cert != nil {
		return nil, fmt.Errorf("signing key %s: no key waits in the folder", y)
	}
	r.DER, err = certs.CreateRequest(rand.Reader, k.Signer, y, s.Spec, s.BaseURL)
	return r, err
}

// isWaitingForCert reports whether the year was made and has no certificate.
func isWaitingForCert(h rotation.History, y idp.Year) bool {
	r, made := h.Record(y)
	return made && r.CertEndAt.IsZero() && !r.IsOver()
}

// checkWaitingKey checks that the key in the folder is the recorded one, which waits for its
// certificate. Its file may be lost or replaced while memory still has the key. The error
// is a *rotation.RefusedError.
func checkWaitingKey(h rotation.History, step rotation.Step, k *certs.Key, now time.Time) error {
	r, _ := h.Record(step.Year)
	fault := rotation.KeyMissing
	switch {
	case k != nil && k.Signer != nil && (r.PublicKeySHA256 == "" || r.PublicKeySHA256 == certs.PublicKeySHA256(k.Signer.Public())):
		return nil
	case k != nil:
		fault = rotation.KeyDiffers
	}
	return h.Refuse(step.Kind, step.Year, fault.Reason(step.Year), now)
}

// Import takes an external certificate, for the waiting key or with its own key. The error is a
// *rotation.RefusedError for a step that the rules refuse, and a *certs.ImportError for a
// certificate that is not suitable for the year.
func (s *Service) Import(ctx context.Context, y idp.Year, in Import, actor string, dryRun bool) (*ImportResult, error) {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	h, now, err := s.catchUp(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.Dir.Load()
	if err != nil && findDamagedYears(err) == nil {
		return nil, err
	}
	if len(in.Chain) == 0 {
		return nil, errors.New("no certificate to import: name a file that contains one")
	}
	// First check the refusals that do not depend on the certificate.
	may := rotation.Step{Kind: rotation.StepImport, Year: y, CertEndAt: now.AddDate(1, 0, 0)}
	if in.Signer != nil {
		may.PublicKeySHA256 = certs.PublicKeySHA256(in.Signer.Public())
	}
	if err := s.Policy.CheckStep(may, h, now); err != nil {
		return nil, err
	}
	existing, err := s.Dir.LoadYear(y)
	if err != nil {
		return nil, err
	}
	if isWaitingForCert(h, y) && in.Signer == nil {
		if err := checkWaitingKey(h, may, existing, now); err != nil {
			return nil, err
		}
	}
	signer, refused := selectSigner(in.Signer, existing)
	if refused != "" {
		return nil, h.Refuse(rotation.StepImport, y, rotation.Reason{Code: refused}, now)
	}
	i := &ImportResult{}
	i.Cert, i.IgnoredCerts = certs.Pick(in.Chain, signer.Public())
	recorded := map[idp.Year]string{}
	for _, r := range h.Records {
		recorded[r.Year] = r.PublicKeySHA256
	}
	problems, warnings := certs.CheckImport(certs.ExternalCert{
		Year: y, Cert: i.Cert, Public: signer.Public(), Keys: keys, KeyDigests: recorded, Span: s.Policy.Span(h, y, now),
	}, now)
	if len(problems) > 0 {
		return nil, &certs.ImportError{Year: y, Problems: problems, Warnings: warnings}
	}
	i.Warnings = warnings
	t := &stepBatch{policy: s.Policy, steps: []rotation.Step{{Kind: rotation.StepImport, Year: y}}, actor: actor, now: now}
	t.importKey = &certs.Key{Year: y, Signer: signer, Cert: i.Cert, External: true}
	identify(&t.steps[0], t.importKey)
	i.Outcome, err = s.takeBatch(ctx, h, t, dryRun)
	return i, err
}

// selectSigner returns the private key of an import, or the reason to refuse it.
func selectSigner(given crypto.Signer, existing *certs.Key) (crypto.Signer, rotation.ReasonCode) {
	switch {
	case existing != nil && (existing.Cert != nil || existing.Signer == nil):
		return nil, rotation.RefusedFolderHasCert
	case existing == nil && given == nil:
		return nil, rotation.RefusedNoKeyWaits
	case existing == nil:
		return given, ""
	case given == nil || certs.EqualPublic(given.Public(), existing.Signer.Public()):
		return existing.Signer, ""
	}
	return nil, rotation.RefusedOtherKeyWaits
}

// RecordExport records the export of a year's proof. Nothing is signed before that. A year that
// gives no proof is refused with a *rotation.RefusedError.
func (s *Service) RecordExport(ctx context.Context, y idp.Year, actor string) error {
	_, err := s.updateHistory(ctx, func(h rotation.History) (rotation.History, error) {
		return h, h.CheckExport(y, s.Clock.Now())
	}, idp.AuditEvent{Kind: idp.AuditRotationExport, Outcome: "ok", Actor: actor, Year: y})
	return err
}
