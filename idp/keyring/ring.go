// Package keyring holds the years for request handlers: the years that exist, whether their URLs
// answer, and the keys that sign for them.
//
// A Ring is an immutable snapshot of the history and the keys, which package rotator
// replaces as a whole. A private key that must not sign never reaches it (SelectUsable): the key
// of a year that is over, or a key other than the recorded one (Faults).
package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/gate"
	"vernal/idp/rotation"
)

// ErrNoSigner is returned when no year is preferred, or the preferred year lacks its key or
// certificate.
var ErrNoSigner = errors.New("no signing key")

// Ring looks up the key that serves a year at a given time. It is safe for concurrent use.
// Between two dates of the calendar, look-ups neither lock nor allocate.
type Ring struct {
	policy  rotation.Policy
	current    atomic.Pointer[snapshot]
	signing gate.Gate
}

// BeginSigning must be called before the look-up of a signing key, and end after the
// signature is made. See Settle.
func (r *Ring) BeginSigning() (end func()) { return r.signing.Enter() }

// Settle waits until all signatures that began before the call are made. A year that SetHistory
// closed before the call signs nothing after it. The error is the cause of ctx's end.
func (r *Ring) Settle(ctx context.Context) error { return r.signing.Drain(ctx) }

// Entry is one year at a given time.
type Entry struct {
	// Key is never nil. It is the same pointer in every look-up until the keys are set again,
	// so that derived values can be kept with it. It has no Signer once the year is over.
	Key   *certs.Key
	State rotation.State
	// RetiredAt is zero until the year is over.
	RetiredAt time.Time
	// Fault says why the year is closed although its State is live. It is empty if the
	// endpoint URLs answer. The Key of a closed year has no Signer, and has a Cert only if
	// that is the recorded one.
	Fault rotation.KeyFault
}

// IsClosed reports whether the endpoint URLs of a live year cannot answer because of its key.
func (e Entry) IsClosed() bool { return e.State.IsLive() && e.Fault != "" }

// Year returns the year of the entry, or "" for the zero Entry.
func (e Entry) Year() idp.Year {
	if e.Key == nil {
		return ""
	}
	return e.Key.Year
}

// HasCertExpired reports whether the year's certificate has expired. An expired preferred year
// stays preferred and signs, and operators are notified.
func (e Entry) HasCertExpired(now time.Time) bool {
	return e.Key != nil && e.Key.Cert != nil && !now.Before(e.Key.Cert.NotAfter)
}

// snapshot is valid for all times in [from, until).
type snapshot struct {
	keys        []*certs.Key // by year
	history     rotation.History
	beginsAt, endsAt time.Time
	entries     map[idp.Year]Entry
	liveEntries        []Entry
	preferredEntry   Entry
}

// NewRing makes a Ring that has no year until SetHistory.
func NewRing(p rotation.Policy) *Ring {
	r := &Ring{policy: p}
	r.current.Store(&snapshot{})
	return r
}

// SetHistory replaces all keys and the history at once. Concurrent look-ups see the old state
// or the new one in full. The Ring keeps only usable keys, so nothing reachable from it signs
// for a year that is over. It also keeps the history, which must not change afterwards.
//
// The Ring always takes over the new history, so that a year closes even if another year
// has a fault. The error matches ErrNoSigner and means that the preferred year cannot sign.
func (r *Ring) SetHistory(h rotation.History, keys []*certs.Key) error {
	// The empty span makes the first look-up take the decision.
	s := &snapshot{keys: SelectUsable(h, keys)}
	faults := map[idp.Year]rotation.KeyFault{}
	for _, k := range s.keys {
		record, _ := h.Record(k.Year)
		faults[k.Year] = findFault(record, k)
	}
	s.history = h.WithFaults(faults)
	r.current.Store(s)
	if h.Preferred == "" {
		return fmt.Errorf("no year is preferred: %w", ErrNoSigner)
	}
	if k := certs.FindKey(s.keys, h.Preferred); k == nil || k.Signer == nil || k.Cert == nil {
		return &UnusableKeyError{Year: h.Preferred, Fault: cmp.Or(faults[h.Preferred], rotation.KeyMissing)}
	}
	return nil
}

// Lookup returns the entry of a year, or false if the year was never created.
func (r *Ring) Lookup(y idp.Year, now time.Time) (Entry, bool) {
	e, ok := r.snapshotAt(now).entries[y]
	return e, ok
}

// Preferred returns the year that signs requests without a year. The error matches
// ErrNoSigner if that year cannot sign or no year is preferred.
func (r *Ring) Preferred(now time.Time) (Entry, error) {
	e := r.snapshotAt(now).preferredEntry
	if e.Key == nil {
		return Entry{}, ErrNoSigner
	}
	return e, nil
}

// Live lists the years whose endpoint URLs answer: the preferred one first, then the newest
// first. Closed years are not included. The caller owns the slice.
func (r *Ring) Live(now time.Time) []Entry { return slices.Clone(r.snapshotAt(now).liveEntries) }

// All lists every created year, in any state, oldest first. The caller owns the slice.
func (r *Ring) All(now time.Time) []Entry {
	s := r.snapshotAt(now)
	all := make([]Entry, len(s.keys))
	for i, k := range s.keys {
		all[i] = s.entries[k.Year]
	}
	return all
}

// Dates returns the calendar dates of a year.
func (r *Ring) Dates(y idp.Year) rotation.Dates { return r.policy.Dates(y) }

// EndedAt returns when a year was retired or revoked, or zero.
func (r *Ring) EndedAt(y idp.Year) time.Time {
	record, _ := r.current.Load().history.Record(y)
	if !record.RevokedAt.IsZero() {
		return record.RevokedAt
	}
	return record.RetiredAt
}

// snapshotAt returns the snapshot for now. Several requests may create it at once after a date,
// which is harmless. If SetHistory runs meanwhile, the new keys stay and this request still
// answers with the old ones.
func (r *Ring) snapshotAt(now time.Time) *snapshot {
	s := r.current.Load()
	if !now.Before(s.beginsAt) && now.Before(s.endsAt) {
		return s
	}
	fresh := newSnapshot(s.keys, s.history, now)
	r.current.CompareAndSwap(s, fresh)
	return fresh
}

// newSnapshot computes the state of every year at now, and how long it is valid.
func newSnapshot(keys []*certs.Key, history rotation.History, now time.Time) *snapshot {
	s := &snapshot{keys: keys, history: history, entries: make(map[idp.Year]Entry, len(keys))}
	for _, k := range slices.Backward(keys) { // the newest first
		e := Entry{Key: k, State: history.State(k.Year, now)}
		if r, recorded := history.Record(k.Year); recorded {
			e.RetiredAt, e.Fault = r.RetiredAt, r.KeyFault
		}
		s.entries[k.Year] = e
		switch {
		case !e.State.IsLive() || e.IsClosed():
		case e.State == rotation.Preferred:
			s.preferredEntry, s.liveEntries = e, slices.Insert(s.liveEntries, 0, e)
		default:
			s.liveEntries = append(s.liveEntries, e)
		}
	}
	s.beginsAt, s.endsAt = history.FindSteadyPeriod(now)
	return s
}

// Target returns the entry of History.Target, or false without such a year.
func (r *Ring) Target(now time.Time) (Entry, bool) {
	s := r.snapshotAt(now)
	e, ok := s.entries[s.history.Target(now)]
	return e, ok
}
