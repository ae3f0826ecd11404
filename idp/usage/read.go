package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// YearUse is the tally of a year.
type YearUse struct {
	Year idp.Year
	*Tally
}

// Snapshot is the ledger at one moment, both stored and noted. The caller owns it.
type Snapshot struct {
	// Uses has the years of each SP, registered or not, oldest first.
	Uses map[idp.EntityID][]YearUse
	// Fetches are by hint, "" for none.
	Fetches map[idp.EntityID][]Loads

	at time.Time
}

// OtherFetches lists the remaining loads in Fetches, latest first and bounded.
func (s *Snapshot) OtherFetches() []Loads {
	var all []Loads
	for _, list := range s.Fetches {
		all = append(all, list...)
	}
	return mergeLoads(nil, all, maxFetches, s.at)
}

// Read returns the whole ledger.
func (l *Ledger) Read(ctx context.Context) (*Snapshot, error) { return l.read(ctx, "") }

// Users lists the registered, active SPs that used a year since a moment, sorted. They
// prevent its retirement.
func (l *Ledger) Users(ctx context.Context, y idp.Year, since time.Time) ([]idp.EntityID, error) {
	s, err := l.read(ctx, y)
	if err != nil {
		return nil, err
	}
	var users []idp.EntityID
	for id, uses := range s.Uses {
		if uses[0].Last < since.UnixMilli() {
			continue
		}
		if p, err := l.Registry.Lookup(ctx, id); err == nil && p.Active {
			users = append(users, id)
		}
	}
	slices.Sort(users)
	return users, nil
}

// read returns the ledger of one year or, with "", of all years. Only the latter has loads
// of metadata.
func (l *Ledger) read(ctx context.Context, only idp.Year) (*Snapshot, error) {
	now := l.Clock.Now()
	docs, noted, err := l.readBoth(ctx, only)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Uses: make(map[idp.EntityID][]YearUse), Fetches: make(map[idp.EntityID][]Loads), at: now}
	all := noted.fetches
	for _, d := range docs {
		key, ok := useOf(d.Key)
		switch {
		case d.Key == lastKey:
		case !ok && only == "":
			all = append(all, l.parseLoads(d.Key, d.Data)...)
		case ok && (only == "" || key.year == only):
			t := l.parseTally(d.Key, d.Data)
			if more := noted.uses[key]; more != nil {
				t.merge(more)
				delete(noted.uses, key)
			}
			s.add(key, t)
		}
	}
	for key, t := range noted.uses {
		s.add(key, t)
	}
	for _, uses := range s.Uses {
		slices.SortFunc(uses, func(a, b YearUse) int { return cmp.Compare(a.Year, b.Year) })
	}
	for _, load := range all {
		s.Fetches[load.Hint] = append(s.Fetches[load.Hint], load)
	}
	for hint, list := range s.Fetches {
		limit := maxHintFetches
		if hint == "" {
			limit = maxFetches
		}
		s.Fetches[hint] = mergeLoads(nil, list, limit, now)
	}
	return s, nil
}

// readBoth reads what is stored and what is noted, between two flushes.
func (l *Ledger) readBoth(ctx context.Context, only idp.Year) ([]idp.Document, batch, error) {
	l.writing.RLock()
	defer l.writing.RUnlock()
	noted := l.noted.copy(only)
	docs, err := l.Store.Documents(ctx, documents)
	if err != nil {
		return nil, batch{}, fmt.Errorf("read the ledger of uses: %w", err)
	}
	return docs, noted, nil
}

// add adds a tally. It skips a damaged one, which counted nothing.
func (s *Snapshot) add(key useKey, t *Tally) {
	if t.Last == 0 {
		return
	}
	t.settle(s.at)
	id := idp.EntityID(strings.Clone(string(key.sp)))
	s.Uses[id] = append(s.Uses[id], YearUse{key.year, t})
}
