package board

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// yearUse is a usage with its year.
type yearUse struct {
	year idp.Year
	*usage
}

// known is what is stored and noted, taken together.
type known struct {
	// uses has the years of each service provider, registered or not, oldest
	// first.
	uses map[idp.EntityID][]yearUse
	// fetches are by hint; "" for none.
	fetches map[idp.EntityID][]loads
}

// read is what is known of one year or, with "", of all; the fetches only with
// the latter.
func (s *Service) read(ctx context.Context, only idp.Year) (*known, error) {
	now := s.Clock.Now()
	docs, noted, err := s.readAll(ctx, only)
	if err != nil {
		return nil, err
	}
	k := &known{uses: make(map[idp.EntityID][]yearUse), fetches: make(map[idp.EntityID][]loads)}
	all := noted.fetches
	for _, d := range docs {
		key, ok := useOf(d.Key)
		switch {
		case !ok && only == "":
			all = append(all, s.readLoads(d.Key, d.Data)...)
		case ok && (only == "" || key.year == only):
			g := s.readUsage(d.Key, d.Data)
			if more := noted.uses[key]; more != nil {
				g.merge(more)
				delete(noted.uses, key)
			}
			k.add(key, g, now)
		}
	}
	for key, g := range noted.uses {
		k.add(key, g, now)
	}
	for _, uses := range k.uses {
		slices.SortFunc(uses, func(a, b yearUse) int { return cmp.Compare(a.year, b.year) })
	}
	for _, l := range all {
		k.fetches[l.Hint] = append(k.fetches[l.Hint], l)
	}
	for hint, list := range k.fetches {
		limit := maxHintFetches
		if hint == "" {
			limit = maxFetches
		}
		k.fetches[hint] = mergeLoads(nil, list, limit, now)
	}
	return k, nil
}

// readAll reads both places at one moment, between two flushes.
func (s *Service) readAll(ctx context.Context, only idp.Year) ([]idp.Document, batch, error) {
	s.writing.RLock()
	defer s.writing.RUnlock()
	noted := s.noted.copy(only)
	docs, err := s.Store.Documents(ctx, documents)
	if err != nil {
		return nil, batch{}, fmt.Errorf("read the board: %w", err)
	}
	return docs, noted, nil
}

// add adds a usage. One that is damaged, or was never counted, is none.
func (k *known) add(key useKey, g *usage, now time.Time) {
	if g.Last == 0 {
		return
	}
	g.settle(now)
	id := idp.EntityID(strings.Clone(string(key.sp)))
	k.uses[id] = append(k.uses[id], yearUse{key.year, g})
}
