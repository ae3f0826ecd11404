// Package signing makes every signature on an answer to a service provider (SP) with a year's
// key. It makes closing final: once a year is retired or revoked, or an SP deactivated or
// removed, no answer is signed for it.
//
// A handler decides early whether it may answer, for a quick refusal. That decision is
// repeated twice, where it counts:
//
//	Check   inside the durable write of the answer: the current content of the
//	        store must still allow it, or the write fails
//	Sign    before the signature: the current year and registration must still
//	        allow it, or the signature is refused
//
// A command that closes a year or changes a registration makes the change first
// and then waits for the signatures that Sign had begun (keyring.Ring.Settle,
// sp.Registry), so none is made after the command has returned. A signature
// never waits for a change, and a change never waits for a write.
package signing

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotator"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
)

// Signer signs answers. Its exported fields are required. It must not be copied.
type Signer struct {
	Years    *keyring.Ring
	Registry *sp.Registry

	// cache is the last decision about the rotation's document, which changes about once a
	// minute and is read at each sign-in.
	cache atomic.Pointer[yearCache]
}

// yearCache lists the closed years of a rotation document.
type yearCache struct {
	document []byte
	years    []idp.Year
}

// Sign lets decide check the current registration of the provider and the year, and signs with
// the key of the entry that decide returns. A command that closes the year or changes the
// registration waits until sign has returned. The error is that of decide or sign unchanged,
// idp.ErrNotFound for a provider that was removed, or the signer's.
func (s *Signer) Sign(ctx context.Context, id idp.EntityID, decide func(*sp.Provider) (keyring.Entry, error), sign func(*xmldsig.Signer) error) error {
	defer s.Registry.BeginAnswer()()
	defer s.Years.BeginSigning()()
	p, err := s.Registry.Lookup(ctx, id)
	if err != nil {
		return fmt.Errorf("look up service provider %q: %w", id, err)
	}
	entry, err := decide(p)
	if err != nil {
		return err
	}
	signer, err := LookupSigner(entry.Key)
	if err != nil {
		return err
	}
	return sign(signer)
}

// CheckKey returns idp.ErrKeyUnavailable if the year's key is in a token that does not answer. It is
// called before an answer is recorded: once recorded, the request could not be sent again.
func (s *Signer) CheckKey(y idp.Year, now time.Time) error {
	entry, _ := s.Years.Lookup(y, now)
	if entry.Key == nil {
		return nil // Check reports the fault of the year
	}
	if vaultKey, ok := entry.Key.Signer.(*certs.VaultKey); ok {
		return vaultKey.CheckReady()
	}
	return nil
}

// LookupSigner returns the signer of a year's key, which is cached with the key. Callers must use
// the signer at once, between BeginSigning and its end.
func LookupSigner(k *certs.Key) (*xmldsig.Signer, error) {
	signer, err := certs.LookupDerived(k, func(k *certs.Key) (*xmldsig.Signer, error) { return xmldsig.NewSigner(k.Signer, k.Cert) })
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.Year, err)
	}
	return signer, nil
}

// Check returns the check for a write whose answer is signed by the year for p. It fails with
// idp.ErrYearEnded if the year is closed, and with idp.ErrProviderChanged if the registration was
// changed or removed since p was read.
func (s *Signer) Check(y idp.Year, p *sp.Provider) idp.Check {
	return func(standing idp.Standing) error {
		isOver, err := s.isOver(standing.Rotation, y)
		if err != nil {
			return err
		}
		if isOver {
			return idp.ErrYearEnded
		}
		if p.EntityID == idp.RehearsalSP {
			return nil // only the registry contains it
		}
		return p.CheckStanding(standing)
	}
}

// isOver reports whether the rotation's document says that the year is retired or revoked.
func (s *Signer) isOver(document []byte, y idp.Year) (bool, error) {
	cache := s.cache.Load()
	if cache == nil || !bytes.Equal(cache.document, document) {
		years, err := rotator.EndedYears(document)
		if err != nil {
			return false, err
		}
		cache = &yearCache{document: bytes.Clone(document), years: years}
		s.cache.Store(cache)
	}
	for _, endedYear := range cache.years {
		if endedYear == y {
			return true, nil
		}
	}
	return false, nil
}
