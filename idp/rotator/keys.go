package rotator

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

// makeKey ensures that the folder contains the key of a year that is not recorded, with its
// certificate for a create and without one for a csr. It reads no other year. It uses a key that
// already exists and adds a missing certificate, because an interrupted create left the key, or
// another server that takes the same step made it first.
func (s *Service) makeKey(step rotation.Step, now time.Time) (*certs.Key, error) {
	waits := step.Kind == rotation.StepCSR
	for tries := 3; ; tries-- {
		k, err := s.Dir.LoadYear(step.Year)
		switch {
		case err != nil:
			return nil, err
		case k == nil:
			signer, err := s.newSigner(step.Year)
			if err != nil {
				return nil, fmt.Errorf("signing key %s: %w", step.Year, err)
			}
			k = &certs.Key{Year: step.Year, Signer: signer, External: waits}
		case k.Signer == nil:
			return nil, fmt.Errorf("signing key %s: there is a certificate whose key is gone", step.Year)
		case waits && k.Cert != nil:
			return nil, fmt.Errorf("signing key %s: there is a certificate for it already", step.Year)
		case waits || k.Cert != nil:
			return k, nil
		}
		if !waits {
			if k, err = certs.Certify(rand.Reader, k.Signer, step.Year, step.CertEndAt, s.Spec, s.BaseURL, now); err != nil {
				return nil, err
			}
		}
		err = s.Dir.Save(k)
		if err == nil || tries == 1 || !errors.Is(err, idp.ErrExists) {
			return k, err
		}
	}
}

// newSigner makes the private key of a year in the place that the policy names.
func (s *Service) newSigner(y idp.Year) (crypto.Signer, error) {
	if err := errors.Join(s.Policy.Validate(), s.Spec.Validate()); err != nil {
		return nil, err
	}
	if s.Policy.KeySource == rotation.SourcePKCS11 {
		if s.Vault == nil {
			return nil, certs.ErrNoVault
		}
		pub, err := s.Vault.Make(y, s.Spec.KeyBits())
		if err != nil {
			return nil, err
		}
		return &certs.VaultKey{Vault: s.Vault, Year: y, Pub: pub}, nil
	}
	if s.NewSigner != nil {
		return s.NewSigner(s.Spec.KeyBits())
	}
	return rsa.GenerateKey(rand.Reader, s.Spec.KeyBits())
}
