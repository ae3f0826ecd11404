package certs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"vernal/idp"
	"vernal/idp/gate"
)

// ErrNoSigner is returned when no year can sign: there is no key, or none with
// a certificate.
var ErrNoSigner = errors.New("no signing key")

// Ring answers which key serves a year at a given time. It is safe for
// concurrent use, and look-ups neither lock nor, between two dates of the
// calendar, allocate.
type Ring struct {
	policy  Policy
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
	Key   *Key
	State State
	// RetiredAt is when the year ended; zero before that.
	RetiredAt time.Time
	// Fault is why the year is closed although its State is live; "" if its
	// endpoint URLs answer. The Key of such a year has no Signer, and has its
	// Cert only if that is the recorded one.
	Fault KeyFault
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
	keys        []*Key
	history     History
	from, until time.Time
	entries     map[idp.Year]Entry
	live        []Entry
	preferred   Entry
}

// NewRing makes a Ring that has no year until SetHistory.
func NewRing(p Policy) *Ring {
	r := &Ring{policy: p}
	r.snap.Store(&snapshot{})
	return r
}

// SetHistory replaces all keys and the history at once. Look-ups under way see
// either set in full. The Ring keeps what History.Usable leaves of the keys, so
// nothing reachable from the Ring signs for a year that is over. It keeps the
// history too, which must not change afterwards.
//
// The Ring always follows, so that a year closes whatever is wrong with the
// others. The error says that the preferred year cannot sign, and matches
// ErrNoSigner.
func (r *Ring) SetHistory(h History, keys []*Key) error {
	// The empty span makes the first look-up take the decision.
	s := &snapshot{keys: h.Usable(keys), history: h}
	r.snap.Store(s)
	if h.Preferred == "" {
		return fmt.Errorf("no year is preferred: %w", ErrNoSigner)
	}
	record, _ := h.Record(h.Preferred)
	k := findKey(s.keys, h.Preferred)
	switch {
	case k == nil:
		return &UnusableKeyError{Year: h.Preferred, Fault: KeyMissing}
	case !k.Made().canSign():
		return &UnusableKeyError{Year: h.Preferred, Fault: record.faultOf(k)}
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
	all := make([]Entry, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Key.Year, b.Key.Year) })
	return all
}

// Dates are the calendar's dates of a year.
func (r *Ring) Dates(y idp.Year) Dates { return r.policy.Dates(y) }

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
func newSnapshot(keys []*Key, history History, now time.Time) *snapshot {
	s := &snapshot{keys: keys, history: history, entries: make(map[idp.Year]Entry, len(keys))}
	for _, k := range keys {
		e := Entry{Key: k, State: history.State(k.Year, now)}
		if r, recorded := history.Record(k.Year); recorded {
			e.RetiredAt, e.Fault = r.RetiredAt, r.faultOf(k)
		}
		s.entries[k.Year] = e
		if !e.State.Live() || e.Closed() {
			continue
		}
		s.live = append(s.live, e)
		if e.State == Preferred {
			s.preferred = e
		}
	}
	slices.SortFunc(s.live, func(a, b Entry) int {
		if (a.State == Preferred) != (b.State == Preferred) {
			if a.State == Preferred {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Key.Year, a.Key.Year)
	})
	s.from, s.until = history.span(now)
	return s
}

// span is the stretch of time around now in which no state changes without a
// step: none does but by the end of a certificate.
func (h History) span(now time.Time) (from, until time.Time) {
	from, until = now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0)
	for _, r := range h.Records {
		if at := r.CertEndAt; at.After(now) && at.Before(until) {
			until = at
		} else if !at.After(now) && at.After(from) {
			from = at
		}
	}
	return from, until
}
