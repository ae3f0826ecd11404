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

// Entry is one year as it stands.
type Entry struct {
	// Key is the same pointer in every look-up until the keys are set anew,
	// so that what is derived from it can be kept beside it.
	Key   *Key
	State State
	// RetiredAt is when the year came to its end; zero while it has not, and
	// where no history says so.
	RetiredAt time.Time
}

// Year is the year of the entry; "" for the zero Entry.
func (e Entry) Year() idp.Year {
	if e.Key == nil {
		return ""
	}
	return e.Key.Year
}

// CertExpired reports whether the year's certificate has ended. A Preferred
// year stays so when it has: it signs, and the operator is told.
func (e Entry) CertExpired(now time.Time) bool {
	return e.Key != nil && e.Key.Cert != nil && !now.Before(e.Key.Cert.NotAfter)
}

// snapshot is the decision for all times in [from, until).
type snapshot struct {
	keys        []*Key
	history     *History // nil: the calendar alone decides
	from, until time.Time
	entries     map[idp.Year]Entry
	live        []Entry
	preferred   Entry
}

// NewRing makes a Ring over keys, one per year, which belong to it afterwards.
// Until SetHistory, the calendar alone decides.
func NewRing(p Policy, keys []*Key) *Ring {
	r := &Ring{policy: p}
	r.Set(keys)
	return r
}

// Set replaces all keys at once and lets the calendar alone decide. Look-ups
// under way see either set in full.
func (r *Ring) Set(keys []*Key) {
	// The empty span makes the first look-up take the decision.
	r.snap.Store(&snapshot{keys: slices.Clone(keys)})
}

// SetHistory replaces all keys at once and lets the history decide: from now on
// a state changes when a step is taken, not on its date. A year that has no key,
// although the history says that it is live, is Retired: it cannot sign. If that
// is the preferred year, the error is ErrNoSigner and the Ring stays as it was.
// It keeps the history, which must not change afterwards.
func (r *Ring) SetHistory(h History, keys []*Key) error {
	i := slices.IndexFunc(keys, func(k *Key) bool { return k.Year == h.Preferred })
	if i < 0 || !keys[i].Made().canSign() {
		return fmt.Errorf("preferred year %q: %w", h.Preferred, ErrNoSigner)
	}
	r.snap.Store(&snapshot{keys: slices.Clone(keys), history: &h})
	return nil
}

// Lookup is the entry of a year; false if the year was never made. Whether it
// is published, live or over is told by its State.
func (r *Ring) Lookup(y idp.Year, now time.Time) (Entry, bool) {
	e, ok := r.at(now).entries[y]
	return e, ok
}

// Preferred is the year that signs what names no year; ErrNoSigner if there is
// no key at all.
func (r *Ring) Preferred(now time.Time) (Entry, error) {
	e := r.at(now).preferred
	if e.Key == nil {
		return Entry{}, ErrNoSigner
	}
	return e, nil
}

// Live lists the years whose addresses answer, the preferred one first, then
// the newest first. The slice belongs to the caller.
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

// EndedAt is when a year was retired or revoked; zero if it was not, or if the
// calendar alone decides.
func (r *Ring) EndedAt(y idp.Year) time.Time {
	s := r.snap.Load()
	if s.history == nil {
		return time.Time{}
	}
	record, _ := s.history.Record(y)
	if !record.RevokedAt.IsZero() {
		return record.RevokedAt
	}
	return record.RetiredAt
}

// at is the snapshot for now. Several requests may make it at once on the first
// look-up after a date; that is harmless. If Set comes in between, the new keys
// stay and this request still answers with the old ones.
func (r *Ring) at(now time.Time) *snapshot {
	s := r.snap.Load()
	if !now.Before(s.from) && now.Before(s.until) {
		return s
	}
	fresh := r.policy.snapshot(s.keys, s.history, now)
	r.snap.CompareAndSwap(s, fresh)
	return fresh
}

// snapshot takes the decision for now and works out how long it holds.
func (p Policy) snapshot(keys []*Key, history *History, now time.Time) *snapshot {
	made := make([]Made, len(keys))
	for i, k := range keys {
		made[i] = k.Made()
	}
	var states map[idp.Year]State
	if history == nil {
		states = p.States(made, now)
	} else {
		states = history.states(made, now)
	}
	s := &snapshot{keys: keys, history: history, entries: make(map[idp.Year]Entry, len(keys))}
	for _, k := range keys {
		e := Entry{Key: k, State: states[k.Year]}
		if history != nil {
			r, _ := history.Record(k.Year)
			e.RetiredAt = r.RetiredAt
		}
		s.entries[k.Year] = e
		if e.State.Live() {
			s.live = append(s.live, e)
		}
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
	s.from, s.until = p.span(made, now)
	return s
}

// states is the state of every year in made. What cannot sign is not live,
// whatever is written.
func (h History) states(made []Made, now time.Time) map[idp.Year]State {
	states := make(map[idp.Year]State, len(made))
	for _, m := range made {
		s := h.State(m.Year, now)
		if s.Live() && !m.canSign() {
			s = Retired
		}
		states[m.Year] = s
	}
	return states
}

// span is the stretch of time around now in which no state changes by itself.
func (p Policy) span(made []Made, now time.Time) (from, until time.Time) {
	from, until = now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0)
	for _, m := range made {
		d := p.Dates(m.Year)
		for _, at := range []time.Time{d.PublishAt, d.PreferAt, m.CertEndAt} {
			if at.After(now) && at.Before(until) {
				until = at
			}
			if !at.After(now) && at.After(from) {
				from = at
			}
		}
	}
	return from, until
}
