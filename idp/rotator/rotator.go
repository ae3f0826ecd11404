// Package rotator takes the steps of the yearly rotation: automatically on their
// dates, and by hand. It is the only writer of the history. Package rotation has the
// rules. The history is kept in the store, the keys in their folder. Requests see both
// through the keyring.Ring.
//
// A step touches the folder and the store, and the process can end between the
// two. So the order is fixed: a key is made durable before the step that makes
// its year is recorded, and removed after its end is. Start completes what it
// finds:
//
//	private key alone, not recorded        its certificate is made; if its
//	                                       certificate is external (csr, import),
//	                                       the year waits for it
//	key and certificate, not recorded      the year is created
//	certificate of a key that waits        it is recorded
//	end of a key recorded, key there       the key is removed
//
// Every step is recorded in one transaction of the store, which checks it again
// against the history it finds: of two servers that take it, one does.
//
// After that, closing comes before everything that can fail. The Ring gets the
// new history with the keys in memory, so a year that ended is closed whatever
// happens to the folder or the token. Only then is the folder read, for keys
// that a year needs to open, and are ended keys destroyed. What fails there is
// tried again by Tick.
//
// Service providers trust the recorded certificate of a year and no other. A
// recorded year whose key is missing, damaged or another one is closed: it is
// no reason to make a new key. It opens again when the recorded key is back in
// the folder. A store that records no year is not filled from the keys that are
// there, except by Begin, for the keys that an init has just made.
//
// The files: rotator.go, start.go, step.go (by hand), external.go (csr and
// import), automatic.go, run.go (every minute), keys.go (making keys), follow.go
// (closing, opening, destroying), record.go (the store), users.go (the ledger of
// uses, and who uses a year), uptime.go (the clock that no one sets).
package rotator

import (
	"context"
	"crypto"
	"log/slog"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// Keys is the folder of signing keys; *certs.Dir is one.
type Keys interface {
	// Load gives the keys that can be read, also beside a *certs.DamagedError.
	Load() ([]*certs.Key, error)
	// LoadYear reads no file of another year; nil if the year has none.
	LoadYear(y idp.Year) (*certs.Key, error)
	Save(k *certs.Key) error
	Destroy(y idp.Year) error
}

// Uses is the ledger of who uses which year; *usage.Ledger is one.
type Uses interface {
	// LastUses returns when each year was last used. Another server's uses may
	// be missing for a minute.
	LastUses(ctx context.Context) (map[idp.Year]time.Time, error)
	// Users lists the active service providers that used a year since a moment,
	// sorted.
	Users(ctx context.Context, y idp.Year, since time.Time) ([]idp.EntityID, error)
}

// Service is the rotation of one installation. Fields are required unless they
// say otherwise. Call Start before anything else. All methods may be called
// concurrently; steps are taken one after the other.
type Service struct {
	Store idp.DocumentStore
	Dir   Keys
	// Ring is set again after each step. Before Start it may hold anything.
	Ring   *keyring.Ring
	Policy rotation.Policy
	// Spec is the form of new keys and certificates.
	Spec certs.Spec
	// BaseURL is what new certificates are named after.
	BaseURL string
	Clock   idp.Clock
	Log     *slog.Logger
	// Uptime reads a clock that no one sets and that no suspension stops; the
	// system's if nil.
	Uptime func() time.Duration
	// NewSigner makes private keys; RSA from the system's randomness if nil.
	NewSigner func(bits int) (crypto.Signer, error)
	// Vault makes them, and keeps them, where the policy's source is a token;
	// nil if there is none.
	Vault certs.Vault
	// Uses keeps a year that is used from being retired. While it cannot be
	// read, no year is retired.
	Uses Uses

	steps sync.Mutex // held while a step is taken
	// countedTo is the reading of Uptime up to which the server's running time is
	// recorded, as Start leaves it. After that Run keeps it.
	countedTo time.Duration
	keys      []*certs.Key     // what the Ring was last set to, as Usable leaves it
	shown     rotation.History // what the Ring was last set to
	// undestroyed are years whose key must still be destroyed.
	undestroyed map[idp.Year]bool
	faults      faults
	loggedAt    map[string]time.Time // when daily logged each text
}

// Status is the rotation now. unmoved counts the service providers that have still to
// move from each live year, as the migration board does; nil if that is unknown.
func (s *Service) Status(ctx context.Context, unmoved rotation.Counts) (rotation.Status, error) {
	h, now, err := s.now(ctx)
	if err != nil {
		return rotation.Status{}, err
	}
	return s.nameHeld(ctx, s.Policy.Status(h, now, unmoved), h), nil
}

// Plan lists what comes in the next years.
func (s *Service) Plan(ctx context.Context, years int) ([]rotation.Coming, error) {
	h, now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	return s.Policy.Plan(h, now, years), nil
}

// now returns the recorded history with the uses since, and the time. If the
// ledger of uses cannot be read, it has the uses that are recorded: enough to
// show. Nothing is decided with it but what update decides again.
func (s *Service) now(ctx context.Context) (rotation.History, time.Time, error) {
	now := s.Clock.Now()
	h, err := s.read(ctx)
	if err != nil {
		return h, now, err
	}
	uses, _ := s.lastUses(ctx)
	return uses.apply(h.Tick(now, 0)), now, nil
}
