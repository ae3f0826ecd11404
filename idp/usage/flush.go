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
	batchSize  = 500 // records in one transaction, so that no sign-in waits long for it
)

// Run flushes every minute until ctx ends, and then once more. Wait for it
// before closing the store.
func (l *Ledger) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	hasFailed := false
	for hasEnded := false; !hasEnded; {
		select {
		case <-ctx.Done():
			hasEnded = true
		case <-ticker.C:
		}
		err := l.Flush(context.WithoutCancel(ctx))
		if err != nil && (!hasFailed || hasEnded) { // log the first failure, not every one
			l.Log.LogAttrs(ctx, slog.LevelError, "usage: the counted uses cannot be written and stay in memory until the next attempt in a minute", slog.String("error", err.Error()))
		}
		hasFailed = err != nil
	}
}

// Flush writes the uses in memory. If that fails, unwritten uses stay in memory. Once a day it removes
// expired data.
func (l *Ledger) Flush(ctx context.Context) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.write(ctx); err != nil {
		return err
	}
	return l.prune(ctx)
}

// write moves the pending uses to the store. The caller holds l.flushMu.
func (l *Ledger) write(ctx context.Context) error {
	l.mu.Lock()
	pending := l.pending
	l.pending = notes{}
	l.mu.Unlock()
	for len(pending.uses)+len(pending.loads) > 0 {
		batch := pending.takeBatch(batchSize)
		additions := l.sortNotes(ctx, batch, l.Clock.Now())
		if err := l.update(ctx, slices.Sorted(maps.Keys(additions)), additions); err != nil {
			pending.merge(batch)
			l.mu.Lock()
			pending.merge(l.pending)
			l.pending = pending
			l.mu.Unlock()
			return fmt.Errorf("write the ledger of uses: %w", err)
		}
	}
	return nil
}

// update adds to the records under the keys, because another server may have changed them
// meanwhile, and removes expired data from them.
func (l *Ledger) update(ctx context.Context, keys []string, additions records) error {
	now := l.Clock.Now()
	return l.Store.UpdateDocuments(ctx, documentKind, keys, func(d *idp.Document) (err error) {
		r := l.parse(d, now)
		if r == nil {
			if r = new(record); d.Key == totalKey {
				l.prunedAt = time.Time{} // so that prune writes the record again
			}
		}
		r.merge(findOrAddEntry(&additions, d.Key))
		l.removeOld(d.Key, r, now)
		d.Data, err = r.encode()
		return err
	})
}

// prune removes expired data once a day, corrects times that a wrong clock wrote, and rebuilds the
// record of totalKey from the others. The caller holds l.flushMu.
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
		if encoded, err := r.encode(); err != nil || !bytes.Equal(encoded, d.Data) {
			keys = append(keys, d.Key)
		}
	}
	for batch := range slices.Chunk(keys, batchSize) {
		if err := l.update(ctx, batch, records{totalKey: sum}); err != nil {
			return fmt.Errorf("remove old uses from the ledger: %w", err)
		}
	}
	l.prunedAt = now
	return nil
}
