package doctor

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

func listKeyChecks() []Check {
	return []Check{
		{Name: "key_files", Codes: []Code{KeyFiles}, Run: (*Service).checkKeyFiles},
		{Name: "signing", Codes: []Code{SigningFailed}, Run: (*Service).checkSigning},
	}
}

// checkKeyFiles reads the keys folder again. A running server uses the keys in its
// memory, so damage to the files since its start would show only at the next one.
func (s *Service) checkKeyFiles(ctx context.Context, _ Options) (findings []Finding, err error) {
	status, err := s.Rotation.Status(ctx, nil)
	if err != nil {
		return nil, err
	}
	keys, err := s.Keys.Load()
	var damaged *certs.DamagedError
	if err != nil && !errors.As(err, &damaged) {
		return nil, err
	}
	var years []certs.DamagedYear
	if damaged != nil {
		years = damaged.Years
	}
	faults := keyring.FindFaults(status.History(), keys, years)
	for _, e := range s.Years.All(s.Clock.Now()) {
		// A fault that the server knows of is in the rotation's attention.
		if fault := faults[e.Year()]; fault != "" && e.Fault == "" {
			findings = append(findings, Finding{
				Code: KeyFiles, Level: Problem,
				Args:        Args{Year: e.Year(), Path: s.Settings.KeysDir, Reason: fault.Reason(e.Year())},
				Suggestions: []idp.Suggestion{fault.Suggestion(e.Year())},
			})
		}
	}
	return findings, nil
}

// checkSigning has the key of every live year sign, and verifies the result by the year's
// certificate. A token is only asked for its key, because a signature may cost money there.
func (s *Service) checkSigning(ctx context.Context, _ Options) (findings []Finding, err error) {
	for _, e := range s.Years.Live(s.Clock.Now()) {
		if ctx.Err() != nil {
			return findings, ctx.Err()
		}
		if err := s.trySigning(e); err != nil {
			findings = append(findings, Finding{Code: SigningFailed, Level: Problem, Args: Args{Year: e.Year(), Value: formatError(err)}})
		}
	}
	return findings, nil
}

func (s *Service) trySigning(e keyring.Entry) error {
	if vaultKey, ok := e.Key.Signer.(*certs.VaultKey); ok {
		return vaultKey.CheckReady()
	}
	end := s.Years.BeginSigning()
	defer end()
	current, ok := s.Years.Lookup(e.Year(), s.Clock.Now())
	if !ok || current.Key.Signer == nil {
		return nil // the year was closed in the meantime
	}
	sum := sha256.Sum256([]byte("check of the signing key of " + e.Year()))
	signature, err := current.Key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return err
	}
	publicKey, ok := current.Key.Cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("the key is not RSA")
	}
	return rsa.VerifyPKCS1v15(publicKey, crypto.SHA256, sum[:], signature)
}

func listRotationChecks() []Check {
	return []Check{{Name: "rotation", Codes: []Code{PreferredYearUnusable, RotationAttention}, Run: (*Service).checkRotation}}
}

// checkRotation reports the attention that the rotation needs. Findings about service providers
// are those of checkCertificates.
func (s *Service) checkRotation(ctx context.Context, _ Options) (findings []Finding, err error) {
	board, err := s.Board.Board(ctx)
	if err != nil {
		return nil, err
	}
	status, err := s.Rotation.Status(ctx, board.CountUnmoved())
	if err != nil {
		return nil, err
	}
	for _, a := range status.Attention {
		f := Finding{Code: RotationAttention, Level: Problem, Args: Args{Year: a.Year, Attention: &a}, Suggestions: a.Suggestions}
		if a.Code == rotation.NoSigningKey || a.Code == rotation.KeyUnusable && a.Year == status.Preferred {
			f.Code = PreferredYearUnusable
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// planYears is the number of years that the report looks ahead for the next step.
const planYears = 2

// findNextStep returns the next step of the rotation, or nil if none is known.
func (s *Service) findNextStep(ctx context.Context) *NextStep {
	plan, err := s.Rotation.Plan(ctx, planYears)
	if err != nil {
		return nil
	}
	for _, c := range plan {
		if c.Step == "" {
			continue
		}
		n := &NextStep{Actor: "server", UpcomingStep: c}
		if c.ByHand || c.Stuck {
			n.Actor = "operator"
		}
		return n
	}
	return nil
}
