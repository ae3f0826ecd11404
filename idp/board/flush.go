package board

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

const (
	documents  = "board" // the kind in the store
	useMark    = "use\x00"
	fetchMark  = "fetch\x00"
	flushEvery = time.Minute
	pruneEvery = day
	pruneBatch = 500 // documents a step, so that no sign-in waits long behind one
	// keepUses is how long the uses of a year are kept after its end.
	keepUses = 400 * day
)

func (k useKey) document() string { return useMark + string(k.sp) + "\x00" + string(k.year) }

// useOf reads the name of a document; false if it is of something else.
func useOf(document string) (useKey, bool) {
	rest, ok := strings.CutPrefix(document, useMark)
	i := strings.LastIndexByte(rest, 0) // a year has none, whatever an entity ID has
	if !ok || i < 0 {
		return useKey{}, false
	}
	return useKey{idp.EntityID(rest[:i]), idp.Year(rest[i+1:])}, true
}

// Run flushes every minute until ctx ends, and once more then; wait for it
// before the store is closed.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failed := false
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		err := s.Flush(context.WithoutCancel(ctx))
		if err != nil && (!failed || ended) { // once, not every minute
			s.Log.LogAttrs(ctx, slog.LevelError, "board: what was counted is kept for the next minute", slog.String("error", err.Error()))
		}
		failed = err != nil
	}
}

// Flush writes down what was noted, in one step, and tells Counted how things
// stand. If it fails, what was noted stays noted. Once a day it removes what is
// too old.
func (s *Service) Flush(ctx context.Context) error {
	if err := s.write(ctx); err != nil {
		return err
	}
	if err := s.prune(ctx); err != nil {
		return err
	}
	if s.Counted == nil {
		return nil
	}
	b, err := s.Board(ctx)
	if err != nil {
		return err
	}
	unmoved := make(map[idp.Year]int)
	for _, y := range b.Years {
		if y.State.Live() {
			unmoved[y.Year] = y.Unmoved
		}
	}
	if err := s.Counted(ctx, unmoved); err != nil {
		return fmt.Errorf("count who has not moved: %w", err)
	}
	return nil
}

// write adds what was noted to what is stored: another server may have written
// there meanwhile.
func (s *Service) write(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	b := s.noted.take()
	if b.empty() {
		return nil
	}
	now := s.Clock.Now()
	uses := make(map[string]*usage, len(b.uses))
	keys := make([]string, 0, len(b.uses))
	for k, g := range b.uses {
		uses[k.document()] = g
		keys = append(keys, k.document())
	}
	loads := s.bySP(ctx, b.fetches)
	for key := range loads {
		keys = append(keys, key)
	}
	err := s.Store.UpdateDocuments(ctx, documents, keys, func(key string, old []byte) ([]byte, error) {
		if more, ok := loads[key]; ok {
			return json.Marshal(mergeLoads(s.readLoads(key, old), more, limitOf(key), now))
		}
		g := s.readUsage(key, old)
		g.settle(now)
		g.merge(uses[key])
		return g.encode(), nil
	})
	if err != nil {
		s.noted.giveBack(b)
		return fmt.Errorf("write the board: %w", err)
	}
	return nil
}

// bySP sorts loads by the document that they go to.
func (s *Service) bySP(ctx context.Context, all []loads) map[string][]loads {
	by := make(map[string][]loads)
	for _, l := range all {
		key := fetchMark
		if l.Hint != "" {
			if _, err := s.Registry.Lookup(ctx, l.Hint); err == nil {
				key += string(l.Hint)
			}
		}
		by[key] = append(by[key], l)
	}
	return by
}

func limitOf(key string) int {
	if key == fetchMark {
		return maxFetches
	}
	return maxHintFetches
}

// prune removes, once a day, the uses of years that have long been over and
// clients that did not come for long, and puts right what a clock that was
// wrong wrote.
func (s *Service) prune(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	now := s.Clock.Now()
	if !s.pruned.IsZero() && now.Sub(s.pruned).Abs() < pruneEvery {
		return nil
	}
	docs, err := s.Store.Documents(ctx, documents)
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	var keys []string
	for _, d := range docs {
		if kept, err := s.keep(d.Key, d.Data, now); err != nil || !bytes.Equal(kept, d.Data) {
			keys = append(keys, d.Key)
		}
	}
	for part := range slices.Chunk(keys, pruneBatch) {
		err = s.Store.UpdateDocuments(ctx, documents, part, func(key string, old []byte) ([]byte, error) { return s.keep(key, old, now) })
		if err != nil {
			return fmt.Errorf("remove what is old from the board: %w", err)
		}
	}
	s.pruned = now
	return nil
}

// keep is what is to be kept of a document; nil for nothing.
func (s *Service) keep(key string, doc []byte, now time.Time) ([]byte, error) {
	k, ok := useOf(key)
	if !ok {
		kept := mergeLoads(nil, s.readLoads(key, doc), limitOf(key), now)
		if len(kept) == 0 {
			return nil, nil
		}
		return json.Marshal(kept)
	}
	g := s.readUsage(key, doc)
	if over := s.overSince(k.year, g, now); !over.IsZero() && now.Sub(over) > keepUses {
		return nil, nil
	}
	if !g.settle(now) {
		return doc, nil
	}
	return g.encode(), nil
}

// overSince is when a year came to its end, the last use of one that was never
// made; zero while it is not over.
func (s *Service) overSince(y idp.Year, g *usage, now time.Time) time.Time {
	if e, made := s.Years.Lookup(y, now); made {
		return e.RetiredAt
	}
	return at(g.Last)
}

// readUsage reads a stored usage. One that is damaged is as good as none: it
// must not keep the others from being written.
func (s *Service) readUsage(key string, doc []byte) *usage {
	if doc == nil {
		return new(usage)
	}
	g, err := decodeUsage(doc)
	if err != nil {
		s.damaged(key, err)
		return new(usage)
	}
	return g
}

func (s *Service) readLoads(key string, doc []byte) (list []loads) {
	if doc == nil {
		return nil
	}
	if err := json.Unmarshal(doc, &list); err != nil {
		s.damaged(key, err)
		return nil
	}
	return list
}

func (s *Service) damaged(key string, err error) {
	s.Log.LogAttrs(context.Background(), slog.LevelError, "board: a document in the store is damaged, and left out",
		slog.String("document", strings.ReplaceAll(key, "\x00", " ")), slog.String("error", err.Error()))
}
