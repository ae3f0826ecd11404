package usage

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
	documents  = "usage" // the kind in the store
	useMark    = "use\x00"
	fetchMark  = "fetch\x00"
	flushEvery = time.Minute
	pruneEvery = day
	pruneBatch = 500 // documents a step, so that no sign-in waits long behind one
	// keepUses is how long the uses of a year are kept after its end.
	keepUses = 400 * day
)

func (k useKey) document() string { return useMark + string(k.sp) + "\x00" + string(k.year) }

// useOf parses the name of a document; false if it is not a tally's.
func useOf(document string) (useKey, bool) {
	rest, ok := strings.CutPrefix(document, useMark)
	i := strings.LastIndexByte(rest, 0) // a year contains no NUL, an entity ID may
	if !ok || i < 0 {
		return useKey{}, false
	}
	return useKey{idp.EntityID(rest[:i]), idp.Year(rest[i+1:])}, true
}

// Run flushes every minute until ctx ends, and once more then. Wait for it
// before closing the store.
func (l *Ledger) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failed := false
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		err := l.Flush(context.WithoutCancel(ctx))
		if err != nil && (!failed || ended) { // once, not every minute
			l.Log.LogAttrs(ctx, slog.LevelError, "usage: what was counted is kept for the next minute", slog.String("error", err.Error()))
		}
		failed = err != nil
	}
}

// Flush writes what was noted in one transaction. If that fails, what was noted
// stays noted. Once a day it removes what is too old.
func (l *Ledger) Flush(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.write(ctx); err != nil {
		return err
	}
	return l.prune(ctx)
}

// write adds what was noted to what is stored, because another server may have
// written there meanwhile. l.writing must be held.
func (l *Ledger) write(ctx context.Context) error {
	b := l.noted.take()
	if b.empty() {
		return nil
	}
	now := l.Clock.Now()
	uses := make(map[string]*Tally, len(b.uses))
	keys := make([]string, 0, len(b.uses)+2)
	for k, t := range b.uses {
		uses[k.document()] = t
		keys = append(keys, k.document())
	}
	if len(uses) > 0 {
		keys = append(keys, lastKey)
	}
	loads := l.loadsByDocument(ctx, b.fetches)
	for key := range loads {
		keys = append(keys, key)
	}
	err := l.Store.UpdateDocuments(ctx, documents, keys, idp.ChangeData(func(key string, old []byte) ([]byte, error) {
		if more, ok := loads[key]; ok {
			return json.Marshal(mergeLoads(l.parseLoads(key, old), more, limitOf(key), now))
		}
		if key == lastKey {
			last, ok := l.parseLast(old)
			if !ok {
				l.pruned = time.Time{} // prune makes the document again
			}
			last.settle(now)
			last.merge(lastOf(b.uses))
			return last.encode()
		}
		t := l.parseTally(key, old)
		t.settle(now)
		t.merge(uses[key])
		return t.encode(), nil
	}))
	if err != nil {
		l.noted.giveBack(b)
		return fmt.Errorf("write the ledger of uses: %w", err)
	}
	return nil
}

// loadsByDocument groups loads by the document that they go to.
func (l *Ledger) loadsByDocument(ctx context.Context, all []Loads) map[string][]Loads {
	by := make(map[string][]Loads)
	for _, load := range all {
		key := fetchMark
		if load.Hint != "" {
			if _, err := l.Registry.Lookup(ctx, load.Hint); err == nil {
				key += string(load.Hint)
			}
		}
		by[key] = append(by[key], load)
	}
	return by
}

func limitOf(key string) int {
	if key == fetchMark {
		return maxFetches
	}
	return maxHintFetches
}

// prune removes, once a day, the uses of years that ended long ago and clients
// that did not come for long, and corrects what a wrong clock wrote. l.writing
// must be held.
func (l *Ledger) prune(ctx context.Context) error {
	now := l.Clock.Now()
	if !l.pruned.IsZero() && now.Sub(l.pruned).Abs() < pruneEvery {
		return nil
	}
	docs, err := l.Store.Documents(ctx, documents)
	if err != nil {
		return fmt.Errorf("read the ledger of uses: %w", err)
	}
	var keys []string
	var last []byte
	tallies := lastUses{}
	for _, d := range docs {
		if d.Key == lastKey {
			last = d.Data
			continue
		}
		if kept, err := l.keep(d.Key, d.Data, tallies, now); err != nil || !bytes.Equal(kept, d.Data) {
			keys = append(keys, d.Key)
		}
	}
	if kept, err := l.keepLast(last, tallies, now); err != nil || !bytes.Equal(kept, last) {
		keys = append(keys, lastKey)
	}
	for part := range slices.Chunk(keys, pruneBatch) {
		err = l.Store.UpdateDocuments(ctx, documents, part, idp.ChangeData(func(key string, old []byte) ([]byte, error) {
			if key == lastKey {
				return l.keepLast(old, tallies, now)
			}
			return l.keep(key, old, lastUses{}, now)
		}))
		if err != nil {
			return fmt.Errorf("remove old uses from the ledger: %w", err)
		}
	}
	l.pruned = now
	return nil
}

// keep returns what to keep of a document; nil for nothing. It adds the last use
// of a tally to last.
func (l *Ledger) keep(key string, doc []byte, last lastUses, now time.Time) ([]byte, error) {
	k, ok := useOf(key)
	if !ok {
		kept := mergeLoads(nil, l.parseLoads(key, doc), limitOf(key), now)
		if len(kept) == 0 {
			return nil, nil
		}
		return json.Marshal(kept)
	}
	t := l.parseTally(key, doc)
	if l.isForgotten(k.year, t.Last, now) {
		return nil, nil
	}
	changed := t.settle(now)
	if t.Last > 0 {
		last.add(k.year, t.Last)
	}
	if !changed {
		return doc, nil
	}
	return t.encode(), nil
}

// isForgotten reports whether a year ended so long ago that its uses are not kept.
// A year that was never made ended with its last use.
func (l *Ledger) isForgotten(y idp.Year, last int64, now time.Time) bool {
	over := Moment(last)
	if e, made := l.Years.Lookup(y, now); made {
		over = e.RetiredAt
	}
	return !over.IsZero() && now.Sub(over) > keepUses
}

// parseTally reads a stored tally. One that is damaged is as good as none: it
// must not keep the others from being written.
func (l *Ledger) parseTally(key string, doc []byte) *Tally {
	if doc == nil {
		return new(Tally)
	}
	t, err := decodeTally(doc)
	if err != nil {
		l.reportDamage(key, err)
		return new(Tally)
	}
	return t
}

func (l *Ledger) parseLoads(key string, doc []byte) (list []Loads) {
	if doc == nil {
		return nil
	}
	if err := json.Unmarshal(doc, &list); err != nil {
		l.reportDamage(key, err)
		return nil
	}
	return list
}

func (l *Ledger) reportDamage(key string, err error) {
	if err == nil {
		err = errDamaged
	}
	l.Log.LogAttrs(context.Background(), slog.LevelError, "usage: a document in the store is damaged and left out",
		slog.String("document", strings.ReplaceAll(key, "\x00", " ")), slog.String("error", err.Error()))
}
