// Package rotator takes the steps of the yearly rotation, automatically on their dates and
// by hand. It is the only writer of the history. Package rotation has the rules. The store
// keeps the history, and a folder the keys. Requests see both through the keyring.Ring.
//
// A step changes the folder and the store, and the process can crash in between. So the
// order is fixed: a key is durable before the step that makes its year is recorded, and
// removed after its end is. Start completes interrupted steps:
//
//	private key alone, not recorded        its certificate is made, or the year waits
//	                                       for an external one (csr, import)
//	key and certificate, not recorded      the year is created
//	certificate of a waiting key           it is recorded
//	end of a key recorded, key exists      the key is removed
//
// Every step is recorded in one transaction of the store, which checks it again against the
// stored history. If two servers take a step, one succeeds.
//
// After that, closing comes before everything that can fail. The Ring gets the new history with the
// keys in memory, so a year that ended is closed even if the folder or the token fails. Only then
// does the Service read the folder, for keys that a year needs to open, and destroy the keys of
// years that ended. Tick repeats the failed parts.
//
// Service providers trust the recorded certificate of a year and no other. A recorded year
// whose key is missing, damaged or different is closed, and gets no new key. It opens again
// when the recorded key is back in the folder. A store without a recorded year is not
// filled from existing keys, except by Begin, for the keys that an init has just made.
//
// The files: rotator.go, start.go, step.go (by hand), external.go (csr and import), run.go (every
// minute, and the due steps), keys.go (making keys), follow.go (closing, opening, destroying),
// record.go (the store), restored.go (after a restore), users.go (the ledger of uses, and the users
// of a year), uptime.go (a clock that cannot be set).
package rotator

import (
	"context"
	"crypto"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// Keys is the folder of signing keys. *certs.Dir implements it.
type Keys interface {
	// Load returns the readable keys, also with a *certs.DamagedError.
	Load() ([]*certs.Key, error)
	// LoadYear reads no file of another year. It returns nil if the year has none.
	LoadYear(y idp.Year) (*certs.Key, error)
	Save(k *certs.Key) error
	Destroy(y idp.Year) error
}

// Uses is the ledger of uses. *usage.Ledger implements it.
type Uses interface {
	// LastUses returns when each year was last used. Another server's uses may be missing
	// for a minute.
	LastUses(ctx context.Context) (map[idp.Year]time.Time, error)
	// Users lists the active service providers that used a year since a time, sorted.
	Users(ctx context.Context, y idp.Year, beginAt time.Time) ([]idp.EntityID, error)
}

// Backups are the backups of the installation. *backup.Service implements it.
type Backups interface {
	Attention(ctx context.Context, now time.Time) ([]rotation.Attention, error)
}

// Service is the rotation of one installation. Fields are required unless they say otherwise.
// Call Start first. All methods may be called concurrently. Steps are taken one after another.
type Service struct {
	Store idp.DocumentStore
	Dir   Keys
	// Ring is set after each step. Its content before Start is ignored.
	Ring   *keyring.Ring
	Policy rotation.Policy
	// Spec is the form of new keys and certificates.
	Spec certs.Spec
	// BaseURL names new certificates.
	BaseURL string
	Clock   idp.Clock
	Log     *slog.Logger
	// Uptime reads a clock that cannot be set and does not stop in suspension. nil means
	// the system's clock.
	Uptime func() time.Duration
	// NewSigner makes private keys. nil means RSA with the system's randomness.
	NewSigner func(bits int) (crypto.Signer, error)
	// Vault makes and keeps private keys if the policy's source is a token. Otherwise it is nil.
	Vault certs.Vault
	// Backups reports backups that need attention. Optional.
	Backups Backups
	// Uses prevents the retirement of a year in use. While it cannot be read, no year is
	// retired.
	Uses Uses

	stepLock sync.Mutex // held while a step is taken
	// countedTime is the reading of Uptime up to which Start recorded the running time. Run
	// continues from there.
	countedTime  time.Duration
	keys         []*certs.Key     // those last set in the Ring, after SelectUsable
	shownHistory rotation.History // last set in the Ring
	// destroyedYears are the years whose key is known to be destroyed.
	destroyedYears map[idp.Year]bool
	faults         atomic.Pointer[map[idp.Year]rotation.KeyFault] // see loadFaults
	loggedAt       map[string]time.Time                           // when logDaily last logged each text
}

// Status returns the rotation now. counts has the service providers that must still leave
// each live year, as on the migration board. nil means unknown.
func (s *Service) Status(ctx context.Context, counts rotation.Counts) (rotation.Status, error) {
	h, now, err := s.readNow(ctx)
	if err != nil {
		return rotation.Status{}, err
	}
	status := s.nameHeldUsers(ctx, s.Policy.Status(h, now, counts), h)
	if s.Backups != nil {
		attention, err := s.Backups.Attention(ctx, now)
		if err != nil {
			return rotation.Status{}, err
		}
		status.Attention = append(status.Attention, attention...)
	}
	return status, nil
}

// IsClockTrusted reports whether the clock neither jumped nor drifted, also since the last Tick. Other
// jobs must not take what they cannot undo while it did.
func (s *Service) IsClockTrusted(ctx context.Context) (bool, error) {
	h, _, err := s.readNow(ctx)
	return h.Clock.IsTrusted(), err
}

// PauseSteps calls do while no step is under way, so that do sees the store and the folder both
// before a step or both after it.
func (s *Service) PauseSteps(do func() error) error {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	return do()
}

// Plan lists the future steps within years.
func (s *Service) Plan(ctx context.Context, years int) ([]rotation.UpcomingStep, error) {
	h, now, err := s.readNow(ctx)
	if err != nil {
		return nil, err
	}
	return s.Policy.Plan(h, now, years), nil
}

// readNow returns the recorded history with the uses since, and the time. If the ledger cannot
// be read, the recorded uses are enough for display. update repeats every decision.
func (s *Service) readNow(ctx context.Context) (rotation.History, time.Time, error) {
	now := s.Clock.Now()
	h, err := s.readHistory(ctx)
	if err != nil {
		return h, now, err
	}
	uses, _ := s.readUses(ctx)
	return uses.apply(h.Tick(now, 0)), now, nil
}
