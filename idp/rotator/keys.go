package rotator

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

// makeKey makes sure that the folder has the key and certificate of a year that is not
// recorded. It reads no other year. A key without a certificate is completed, because a
// create was interrupted or another server is just making both.
func (s *Service) makeKey(step rotation.Step, now time.Time) (*certs.Key, error) {
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
			k = &certs.Key{Year: step.Year, Signer: signer}
		case k.Signer == nil:
			return nil, fmt.Errorf("signing key %s: there is a certificate whose key is gone", step.Year)
		case k.Cert != nil:
			return k, nil
		}
		k, err = certs.Certify(rand.Reader, k.Signer, step.Year, step.CertEndAt, s.Spec, s.BaseURL, now)
		if err != nil {
			return nil, err
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

func find(keys []*certs.Key, y idp.Year) *certs.Key {
	i, ok := slices.BinarySearchFunc(keys, y, func(k *certs.Key, y idp.Year) int { return cmp.Compare(k.Year, y) })
	if !ok {
		return nil
	}
	return keys[i]
}
