package usage

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"vernal/idp"
)

const (
	flushEvery = time.Minute
	pruneEvery = day
	batchSize      = 500 // records a transaction, so that no sign-in waits long behind one
)

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

// Flush writes the notes in memory. If that fails, the unwritten ones stay. Once a day it removes
// expired data.
func (l *Ledger) Flush(ctx context.Context) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.write(ctx); err != nil {
		return err
	}
	return l.prune(ctx)
}

// write moves the notes to the store. l.writing must be held.
func (l *Ledger) write(ctx context.Context) error {
	l.mu.Lock()
	noted := l.pending
	l.pending = notes{}
	l.mu.Unlock()
	for len(noted.uses)+len(noted.loads) > 0 {
		part := noted.takeBatch(batchSize)
		more := l.sortNotes(ctx, part, l.Clock.Now())
		if err := l.update(ctx, slices.Sorted(maps.Keys(more)), more); err != nil {
			noted.merge(part)
			l.mu.Lock()
			noted.merge(l.pending)
			l.pending = noted
			l.mu.Unlock()
			return fmt.Errorf("write the ledger of uses: %w", err)
		}
	}
	return nil
}

// update adds to the records under the keys, because another server may have written there
// meanwhile, and removes expired data from them.
func (l *Ledger) update(ctx context.Context, keys []string, more records) error {
	now := l.Clock.Now()
	return l.Store.UpdateDocuments(ctx, documentKind, keys, func(d *idp.Document) (err error) {
		r := l.parse(d, now)
		if r == nil {
			if r = new(record); d.Key == totalKey {
				l.prunedAt = time.Time{} // prune makes the record again
			}
		}
		r.merge(findOrAddEntry(&more, d.Key))
		l.removeOld(d.Key, r, now)
		d.Data, err = r.encode()
		return err
	})
}

// prune removes expired data once a day, corrects times that a wrong clock wrote, and rebuilds the
// record total from the others. l.writing must be held.
func (l *Ledger) prune(ctx context.Context) error {
	now := l.Clock.Now()
	if !l.prunedAt.IsZero() && now.Sub(l.prunedAt).Abs() < pruneEvery {
		return nil
	}
	docs, err := l.Store.Documents(ctx, documentKind, idp.DocumentQuery{All: true})
	if err != nil {
		return fmt.Errorf("read the ledger of uses: %w", err)
	}
	keys, sum := []string{totalKey}, new(record)
	for _, d := range docs {
		if d.Key == totalKey {
			continue
		}
		r := cmp.Or(l.parse(&d, now), new(record))
		l.removeOld(d.Key, r, now)
		sum.addLast(r)
		if kept, err := r.encode(); err != nil || !bytes.Equal(kept, d.Data) {
			keys = append(keys, d.Key)
		}
	}
	for part := range slices.Chunk(keys, batchSize) {
		if err := l.update(ctx, part, records{totalKey: sum}); err != nil {
			return fmt.Errorf("remove old uses from the ledger: %w", err)
		}
	}
	l.prunedAt = now
	return nil
}
