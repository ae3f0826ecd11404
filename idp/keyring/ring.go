// Package keyring is all that request handlers know of years: which year exists, whether
// its URLs answer, and the key that signs for it.
//
// A Ring is an immutable snapshot over the history and the keys, swapped as a whole by
// package rotator. A private key that must not sign never reaches it (Usable): one of a
// year that is over, or one that is not the recorded key (Faults).
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

// ErrNoSigner is returned when no year can sign: there is no key, or none with
// a certificate.
var ErrNoSigner = errors.New("no signing key")

// Ring answers which key serves a year at a given time. It is safe for
// concurrent use, and look-ups neither lock nor, between two dates of the
// calendar, allocate.
type Ring struct {
	policy  rotation.Policy
	snap    atomic.Pointer[snapshot]
	signing gate.Gate
}

// BeginSigning is called before the look-up of a key that is about to sign, and
// end when the signature is made; see Settle.
func (r *Ring) BeginSigning() (end func()) { return r.signing.Enter() }

// Settle waits until the signatures that began before it are made. Called after
// SetHistory has closed a year, it returns once the year signs nothing more;
// the error is the cause of ctx's end.
func (r *Ring) Settle(ctx context.Context) error { return r.signing.Drain(ctx) }

// Entry is one year at a given time.
type Entry struct {
	// Key is never nil, and is the same pointer in every look-up until the keys
	// are set again, so that derived values can be kept beside it. It has no Signer
	// once the year is over.
	Key   *certs.Key
	State rotation.State
	// RetiredAt is when the year ended; zero before that.
	RetiredAt time.Time
	// Fault is why the year is closed although its State is live; "" if its
	// endpoint URLs answer. The Key of such a year has no Signer, and has its
	// Cert only if that is the recorded one.
	Fault rotation.KeyFault
}

// Closed reports whether the endpoint URLs of a live year cannot answer because
// of its key.
func (e Entry) Closed() bool { return e.State.Live() && e.Fault != "" }

// Year is the year of the entry; "" for the zero Entry.
func (e Entry) Year() idp.Year {
	if e.Key == nil {
		return ""
	}
	return e.Key.Year
}

// CertExpired reports whether the year's certificate has ended. A preferred year
// stays preferred then: it signs, and operators are notified.
func (e Entry) CertExpired(now time.Time) bool {
	return e.Key != nil && e.Key.Cert != nil && !now.Before(e.Key.Cert.NotAfter)
}

// snapshot is the decision for all times in [from, until).
type snapshot struct {
	keys        []*certs.Key // by year
	history     rotation.History
	from, until time.Time
	entries     map[idp.Year]Entry
	live        []Entry
	preferred   Entry
}

// NewRing makes a Ring that has no year until SetHistory.
func NewRing(p rotation.Policy) *Ring {
	r := &Ring{policy: p}
	r.snap.Store(&snapshot{})
	return r
}

// SetHistory replaces all keys and the history at once. Look-ups under way see
// either set in full. The Ring keeps what Usable leaves of the keys, so
// nothing reachable from the Ring signs for a year that is over. It keeps the
// history too, which must not change afterwards.
//
// The Ring always follows, so that a year closes whatever is wrong with the
// others. The error says that the preferred year cannot sign, and matches
// ErrNoSigner.
func (r *Ring) SetHistory(h rotation.History, keys []*certs.Key) error {
	// The empty span makes the first look-up take the decision.
	s := &snapshot{keys: Usable(h, keys)}
	faults := map[idp.Year]rotation.KeyFault{}
	for _, k := range s.keys {
		record, _ := h.Record(k.Year)
		faults[k.Year] = faultOf(record, k)
	}
	s.history = h.WithFaults(faults)
	r.snap.Store(s)
	if h.Preferred == "" {
		return fmt.Errorf("no year is preferred: %w", ErrNoSigner)
	}
	if k := certs.FindKey(s.keys, h.Preferred); k == nil || k.Signer == nil || k.Cert == nil {
		return &UnusableKeyError{Year: h.Preferred, Fault: cmp.Or(faults[h.Preferred], rotation.KeyMissing)}
	}
	return nil
}

// Lookup returns the entry of a year; false if the year was never made. Its State
// says whether it is published or over, and Closed whether it answers.
func (r *Ring) Lookup(y idp.Year, now time.Time) (Entry, bool) {
	e, ok := r.at(now).entries[y]
	return e, ok
}

// Preferred returns the year that signs what names no year; ErrNoSigner if it
// cannot sign, or if no year is preferred.
func (r *Ring) Preferred(now time.Time) (Entry, error) {
	e := r.at(now).preferred
	if e.Key == nil {
		return Entry{}, ErrNoSigner
	}
	return e, nil
}

// Live lists the years whose endpoint URLs answer, the preferred one first, then
// the newest first. A closed year is not among them. The slice belongs to the
// caller.
func (r *Ring) Live(now time.Time) []Entry { return slices.Clone(r.at(now).live) }

// All lists every year made, in any state, oldest first. The slice belongs to
// the caller.
func (r *Ring) All(now time.Time) []Entry {
	s := r.at(now)
	all := make([]Entry, len(s.keys))
	for i, k := range s.keys {
		all[i] = s.entries[k.Year]
	}
	return all
}

// Dates are the calendar's dates of a year.
func (r *Ring) Dates(y idp.Year) rotation.Dates { return r.policy.Dates(y) }

// EndedAt is when a year was retired or revoked; zero if it was not.
func (r *Ring) EndedAt(y idp.Year) time.Time {
	record, _ := r.snap.Load().history.Record(y)
	if !record.RevokedAt.IsZero() {
		return record.RevokedAt
	}
	return record.RetiredAt
}

// at returns the snapshot for now. Several requests may make it at once on the
// first look-up after a date, which does no harm. If SetHistory comes in between,
// the new keys stay and this request still answers with the old ones.
func (r *Ring) at(now time.Time) *snapshot {
	s := r.snap.Load()
	if !now.Before(s.from) && now.Before(s.until) {
		return s
	}
	fresh := newSnapshot(s.keys, s.history, now)
	r.snap.CompareAndSwap(s, fresh)
	return fresh
}

// newSnapshot decides the state of every year at now, and for how long that holds.
func newSnapshot(keys []*certs.Key, history rotation.History, now time.Time) *snapshot {
	s := &snapshot{keys: keys, history: history, entries: make(map[idp.Year]Entry, len(keys))}
	for _, k := range slices.Backward(keys) { // the newest first
		e := Entry{Key: k, State: history.State(k.Year, now)}
		if r, recorded := history.Record(k.Year); recorded {
			e.RetiredAt, e.Fault = r.RetiredAt, r.KeyFault
		}
		s.entries[k.Year] = e
		switch {
		case !e.State.Live() || e.Closed():
		case e.State == rotation.Preferred:
			s.preferred, s.live = e, slices.Insert(s.live, 0, e)
		default:
			s.live = append(s.live, e)
		}
	}
	s.from, s.until = history.Steady(now)
	return s
}

// Target is the entry of History.Target; false if there is no such year.
func (r *Ring) Target(now time.Time) (Entry, bool) {
	s := r.at(now)
	e, ok := s.entries[s.history.Target(now)]
	return e, ok
}
