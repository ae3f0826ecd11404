// Package rotation takes the steps of the yearly rotation: on their dates by
// itself, and by hand. The rules are package certs'; what happened is kept in
// the store, the keys in their folder, and requests see both through the Ring,
// which is swapped after each step.
//
// A step touches the folder and the store, and the process can end between the
// two. So the order is fixed: a key is made durable before the step that makes
// its year is written down, and removed after its end is. Whatever is there
// then, Start completes:
//
//	private key alone, not written down    its certificate is made; of one whose
//	                                       certificate comes from elsewhere (csr,
//	                                       import), the year waits for it
//	key and certificate, not written down  the year is created
//	certificate of a key that waits        it is written down
//	end of a key written down, key there   the key is removed
//
// Every step is written in one transaction of the store, which checks it again
// against the history it finds: of two servers that take it, one does.
//
// The files: rotation.go, start.go, step.go (by hand), elsewhere.go (csr and
// import), automatic.go, run.go (every minute), keys.go (the folder), record.go
// (the store), users.go (who uses a year).
package rotation

import (
	"context"
	"crypto"
	"log/slog"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
)

// Keys is the folder of signing keys; *certs.Dir is one.
type Keys interface {
	Load() ([]*certs.Key, error)
	Save(k *certs.Key) error
	Destroy(y idp.Year) error
}

// Service is the rotation of one installation. Fields are required unless they
// say otherwise. Call Start before anything else. All methods may be called
// concurrently; steps are taken one after the other.
type Service struct {
	Store idp.RotationStore
	Dir   Keys
	// Ring is set anew after each step. Before Start it may hold anything.
	Ring   *certs.Ring
	Policy certs.Policy
	// BaseURL is what new certificates are named after.
	BaseURL string
	Clock   idp.Clock
	Log     *slog.Logger
	// NewSigner makes private keys; RSA from the system's randomness if nil.
	NewSigner func(bits int) (crypto.Signer, error)
	// Vault makes them, and keeps them, where the policy's source is a token;
	// nil if there is none.
	Vault certs.Vault
	// Users lists the service providers that used a year since a moment, so that
	// people are told who keeps it from being retired; optional. It decides
	// nothing: the history does.
	Users func(ctx context.Context, y idp.Year, since time.Time) ([]idp.EntityID, error)

	steps sync.Mutex // held while a step is taken
	keys  []*certs.Key
	shown certs.History // what the Ring was last set to
	uses  uses
	told  map[string]time.Time
}

// Status says how every year stands.
func (s *Service) Status(ctx context.Context) (certs.Status, error) {
	h, now, err := s.now(ctx)
	if err != nil {
		return certs.Status{}, err
	}
	return s.nameHeld(ctx, s.Policy.Status(h, now), h), nil
}

// Plan lists what comes in the next years.
func (s *Service) Plan(ctx context.Context, years int) ([]certs.Coming, error) {
	h, now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	return s.Policy.Plan(h, now, years), nil
}

// Used notes that a service provider used the year. It is cheap: what it notes
// is written with the next Tick, and seen by every step before.
func (s *Service) Used(y idp.Year, at time.Time) { s.uses.add(y, at) }

// now is the history as it stands, with uses not written yet, and the time.
func (s *Service) now(ctx context.Context) (certs.History, time.Time, error) {
	now := s.Clock.Now()
	h, err := s.read(ctx)
	return s.uses.apply(h.Tick(now, 0)), now, err
}
