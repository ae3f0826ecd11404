package usage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"vernal/idp"
)

// Snapshot is the ledger at one moment: stored and noted together. It belongs to
// the caller.
type Snapshot struct {
	// Uses has the years of each SP, registered or not, oldest first.
	Uses map[idp.EntityID][]*Tally
	// Fetches has the loads by hint, which is "" for loads without one.
	Fetches map[idp.EntityID][]Loads

	readAt time.Time
}

// ListOtherFetches lists the remaining loads in Fetches, latest first and bounded.
func (s *Snapshot) ListOtherFetches() []Loads {
	return keepLoads(totalKey, slices.Concat(slices.Collect(maps.Values(s.Fetches))...), s.readAt)
}

// Read returns the whole ledger.
func (l *Ledger) Read(ctx context.Context) (*Snapshot, error) {
	now := l.Clock.Now()
	all, err := l.readAll(ctx, now)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Uses: make(map[idp.EntityID][]*Tally, len(all)), Fetches: make(map[idp.EntityID][]Loads), readAt: now}
	for key, r := range all {
		for _, load := range r.Loads {
			s.Fetches[load.Hint] = append(s.Fetches[load.Hint], load)
		}
		if key == totalKey || len(r.Years) == 0 {
			continue
		}
		uses := make([]*Tally, 0, len(r.Years))
		for y, t := range r.Years {
			t.Year = y
			uses = append(uses, t)
		}
		slices.SortFunc(uses, func(a, b *Tally) int { return cmp.Compare(a.Year, b.Year) })
		s.Uses[idp.EntityID(key)] = uses
	}
	for hint, list := range s.Fetches {
		s.Fetches[hint] = keepLoads(string(hint), list, now)
	}
	return s, nil
}

// Users lists the registered, active SPs that used a year since a moment, sorted. They
// prevent its retirement.
func (l *Ledger) Users(ctx context.Context, y idp.Year, since time.Time) ([]idp.EntityID, error) {
	all, err := l.readAll(ctx, l.Clock.Now())
	if err != nil {
		return nil, err
	}
	var users []idp.EntityID
	for key, r := range all {
		if t := r.Years[y]; t == nil || t.LastAt < since.UnixMilli() {
			continue
		}
		if p, err := l.Registry.Lookup(ctx, idp.EntityID(key)); err == nil && p.Active {
			users = append(users, p.EntityID)
		}
	}
	slices.Sort(users)
	return users, nil
}

// LastUses returns when each year was last used by any SP, registered or not. A year
// that was never used is missing.
func (l *Ledger) LastUses(ctx context.Context) (map[idp.Year]time.Time, error) {
	now := l.Clock.Now()
	l.flushMu.RLock()
	defer l.flushMu.RUnlock()
	stored, err := l.readStored(ctx, now, idp.DocumentQuery{Keys: []string{totalKey}})
	if err != nil {
		return nil, err
	}
	last := stored[totalKey]
	if last == nil { // a use that is overlooked could end a year in use
		if stored, err = l.readStored(ctx, now, idp.DocumentQuery{All: true}); err != nil {
			return nil, err
		}
		last = new(record)
		for _, r := range stored {
			last.addLast(r)
		}
	}
	l.mu.Lock()
	for _, r := range l.pending.uses {
		last.addLast(r)
	}
	l.mu.Unlock()
	last.clampTimes(now)
	at := make(map[idp.Year]time.Time, len(last.Years))
	for y, t := range last.Years {
		at[y] = ConvertMillis(t.LastAt)
	}
	return at, nil
}

// readAll returns the stored and noted uses at one moment, between two flushes, by the key
// of the record.
func (l *Ledger) readAll(ctx context.Context, now time.Time) (records, error) {
	l.flushMu.RLock()
	defer l.flushMu.RUnlock()
	all, err := l.readStored(ctx, now, idp.DocumentQuery{All: true})
	if err != nil {
		return nil, err
	}
	var noted notes
	l.mu.Lock()
	noted.merge(l.pending)
	l.mu.Unlock()
	for key, r := range l.sortNotes(ctx, noted, now) {
		findOrAddEntry(&all, key).merge(r)
	}
	return all, nil
}

// readStored returns the stored records that are not damaged. l.writing must be held.
func (l *Ledger) readStored(ctx context.Context, now time.Time, q idp.DocumentQuery) (records, error) {
	docs, err := l.Store.Documents(ctx, documentKind, q)
	if err != nil {
		return nil, fmt.Errorf("read the ledger of uses: %w", err)
	}
	all := make(records, len(docs))
	for _, d := range docs {
		if r := l.parse(&d, now); r != nil {
			all[d.Key] = r
		}
	}
	return all, nil
}
