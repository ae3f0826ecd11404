package rotation

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
)

// makeKey makes sure that the year's key and certificate are in the folder. A
// key that waits there, from a making that was cut short or that another server
// began, is completed: another one can be ahead with the key, and then with the
// certificate.
func (s *Service) makeKey(step certs.Step, now time.Time) (*certs.Key, error) {
	for tries := 3; ; tries-- {
		keys, err := s.Dir.Load()
		if err != nil {
			return nil, err
		}
		k := find(keys, step.Year)
		switch {
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
		k, err = certs.CertifyUntil(rand.Reader, k.Signer, step.Year, step.CertEndAt, s.Policy, s.BaseURL, now)
		if err != nil {
			return nil, err
		}
		err = s.Dir.Save(k)
		if err == nil || tries == 1 || !errors.Is(err, idp.ErrExists) {
			return k, err
		}
	}
}

// newSigner makes the private key of a year where the policy wants it.
func (s *Service) newSigner(y idp.Year) (crypto.Signer, error) {
	if err := s.Policy.Validate(); err != nil {
		return nil, err
	}
	if s.Policy.KeySource == certs.SourcePKCS11 {
		if s.Vault == nil {
			return nil, certs.ErrNoVault
		}
		pub, err := s.Vault.Make(y, s.Policy.KeyBits)
		if err != nil {
			return nil, err
		}
		return &certs.VaultKey{Vault: s.Vault, Year: y, Pub: pub}, nil
	}
	if s.NewSigner != nil {
		return s.NewSigner(s.Policy.KeyBits)
	}
	return rsa.GenerateKey(rand.Reader, s.Policy.KeyBits)
}

// removeEnded removes the keys whose end is written down.
func (s *Service) removeEnded(h certs.History, keys []*certs.Key) error {
	var errs []error
	for _, k := range keys {
		if r, ok := h.Record(k.Year); ok && !r.KeyDestroyedAt.IsZero() && k.Signer != nil {
			errs = append(errs, s.Dir.Destroy(k.Year))
		}
	}
	return errors.Join(errs...)
}

// show lets requests see the history with the keys that are in the folder. What
// did not change keeps its pointer, so that what is derived from it stays.
func (s *Service) show(h certs.History) error {
	keys, err := s.Dir.Load()
	if err != nil {
		return err
	}
	for i, k := range keys {
		if old := find(s.keys, k.Year); old != nil && sameKey(old, k) {
			keys[i] = old
		}
	}
	s.keys = keys
	if err := s.Ring.SetHistory(h, keys); err != nil {
		return err
	}
	s.shown = h
	return nil
}

// stale reports whether requests see something else than h says.
func (s *Service) stale(h certs.History) bool {
	return h.Preferred != s.shown.Preferred || !reflect.DeepEqual(lives(h), lives(s.shown))
}

// lives are the records without what changes from minute to minute.
func lives(h certs.History) []certs.Record {
	records := slices.Clone(h.Records)
	for i := range records {
		records[i].UsedAt, records[i].QuietFrom, records[i].Unmoved = time.Time{}, 0, 0
	}
	return records
}

func find(keys []*certs.Key, y idp.Year) *certs.Key {
	i, ok := slices.BinarySearchFunc(keys, y, func(k *certs.Key, y idp.Year) int { return cmp.Compare(k.Year, y) })
	if !ok {
		return nil
	}
	return keys[i]
}

func sameKey(a, b *certs.Key) bool {
	return (a.Signer == nil) == (b.Signer == nil) && (a.Cert == nil) == (b.Cert == nil) &&
		(a.Cert == nil || a.Cert.Equal(b.Cert))
}
