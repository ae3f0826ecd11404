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
	isRequest := step.Kind == rotation.StepCSR
	for tries := 3; ; tries-- {
		key, err := s.Dir.LoadYear(step.Year)
		switch {
		case err != nil:
			return nil, err
		case key == nil:
			signer, err := s.newSigner(step.Year)
			if err != nil {
				return nil, fmt.Errorf("signing key %s: %w", step.Year, err)
			}
			key = &certs.Key{Year: step.Year, Signer: signer, External: isRequest}
		case key.Signer == nil:
			return nil, fmt.Errorf("signing key %s: the folder contains its certificate without its private key: restore the key from a backup, or move the year's files out of the folder", step.Year)
		case isRequest && key.Cert != nil:
			return nil, fmt.Errorf("signing key %s: the folder already contains its certificate: move the year's files out of the folder to make another key", step.Year)
		case isRequest || key.Cert != nil:
			return key, nil
		}
		if !isRequest {
			if key, err = certs.Certify(rand.Reader, key.Signer, step.Year, step.CertEndAt, s.Spec, s.BaseURL, now); err != nil {
				return nil, err
			}
		}
		err = s.Dir.Save(key)
		if err == nil || tries == 1 || !errors.Is(err, idp.ErrExists) {
			return key, err
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
