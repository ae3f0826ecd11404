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
	// IsNewKey reports that the key was made now, or would be made without the dry run.
	IsNewKey bool
	// Span is the period that the certificate must cover.
	Span rotation.Span
}

// Import is an external certificate with or without its key.
type Import struct {
	// Chain contains the certificate, and possibly others.
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
	key, err := s.Dir.LoadYear(y)
	if err != nil {
		return nil, err
	}
	batch := &stepBatch{policy: s.Policy, steps: []rotation.Step{step}, actor: actor, now: now}
	if isWaitingForCert(h, y) {
		batch.steps = nil
		if err := checkWaitingKey(h, step, key, now); err != nil {
			return nil, err
		}
	}
	request := &Request{IsNewKey: key == nil, Span: s.Policy.Span(h, y, now)}
	if request.Outcome, err = s.takeBatch(ctx, h, batch, dryRun); err != nil {
		return nil, err
	}
	if dryRun && request.IsNewKey {
		return request, nil
	}
	if key, err = s.Dir.LoadYear(y); err != nil {
		return nil, err
	}
	if key == nil || key.Signer == nil || key.Cert != nil {
		return nil, fmt.Errorf("signing key %s: the folder contains no key that waits for a certificate: restore keys/ from a backup", y)
	}
	request.DER, err = certs.CreateRequest(rand.Reader, key.Signer, y, s.Spec, s.BaseURL)
	return request, err
}

// isWaitingForCert reports whether the year was made and has no certificate.
func isWaitingForCert(h rotation.History, y idp.Year) bool {
	r, exists := h.Record(y)
	return exists && r.CertEndAt.IsZero() && !r.IsOver()
}

// checkWaitingKey checks that the key in the folder is the recorded one, which waits for its
// certificate. Its file may be lost or replaced while the key is still in memory. The error
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
func (s *Service) Import(ctx context.Context, y idp.Year, source Import, actor string, dryRun bool) (*ImportResult, error) {
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
	if len(source.Chain) == 0 {
		return nil, errors.New("no certificate to import: name a file that contains one")
	}
	// First check the refusals that do not depend on the certificate.
	step := rotation.Step{Kind: rotation.StepImport, Year: y, CertEndAt: now.AddDate(1, 0, 0)}
	if source.Signer != nil {
		step.PublicKeySHA256 = certs.PublicKeySHA256(source.Signer.Public())
	}
	if err := s.Policy.CheckStep(step, h, now); err != nil {
		return nil, err
	}
	folderKey, err := s.Dir.LoadYear(y)
	if err != nil {
		return nil, err
	}
	if isWaitingForCert(h, y) && source.Signer == nil {
		if err := checkWaitingKey(h, step, folderKey, now); err != nil {
			return nil, err
		}
	}
	signer, code := selectSigner(source.Signer, folderKey)
	if code != "" {
		return nil, h.Refuse(rotation.StepImport, y, rotation.Reason{Code: code}, now)
	}
	result := &ImportResult{}
	result.Cert, result.IgnoredCerts = certs.Pick(source.Chain, signer.Public())
	recordedKeys := map[idp.Year]string{}
	for _, r := range h.Records {
		recordedKeys[r.Year] = r.PublicKeySHA256
	}
	problems, warnings := certs.CheckImport(certs.ExternalCert{
		Year: y, Cert: result.Cert, Public: signer.Public(), Keys: keys, KeyDigests: recordedKeys, Span: s.Policy.Span(h, y, now),
	}, now)
	if len(problems) > 0 {
		return nil, &certs.ImportError{Year: y, Problems: problems, Warnings: warnings}
	}
	result.Warnings = warnings
	batch := &stepBatch{policy: s.Policy, steps: []rotation.Step{{Kind: rotation.StepImport, Year: y}}, actor: actor, now: now}
	batch.importKey = &certs.Key{Year: y, Signer: signer, Cert: result.Cert, External: true}
	identify(&batch.steps[0], batch.importKey)
	result.Outcome, err = s.takeBatch(ctx, h, batch, dryRun)
	return result, err
}

// selectSigner returns the private key of an import, or the reason to refuse it.
func selectSigner(signer crypto.Signer, folderKey *certs.Key) (crypto.Signer, rotation.ReasonCode) {
	switch {
	case folderKey != nil && (folderKey.Cert != nil || folderKey.Signer == nil):
		return nil, rotation.RefusedFolderHasCert
	case folderKey == nil && signer == nil:
		return nil, rotation.RefusedNoKeyWaits
	case folderKey == nil:
		return signer, ""
	case signer == nil || certs.EqualPublic(signer.Public(), folderKey.Signer.Public()):
		return folderKey.Signer, ""
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
