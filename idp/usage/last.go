package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// lastKey names the document with the last use of each year. The rotation asks
// for it every minute and before each step, and must not read every tally for
// that. It is written in the same transaction as the tallies.
const lastKey = "last"

// lastUses has the last use of each year by any SP, registered or not, in Unix
// milliseconds.
type lastUses map[idp.Year]int64

func (u lastUses) add(y idp.Year, at int64) { u[y] = max(u[y], at) }

func (u lastUses) merge(o lastUses) {
	for y, at := range o {
		u.add(y, at)
	}
}

// settle moves to now what a wrong clock left in the future.
func (u lastUses) settle(now time.Time) {
	for y, at := range u {
		if at > now.Add(ahead).UnixMilli() {
			u[y] = now.UnixMilli()
		}
	}
}

// encode returns nil for no uses, so that no document is stored.
func (u lastUses) encode() ([]byte, error) {
	if len(u) == 0 {
		return nil, nil
	}
	return json.Marshal(u)
}

func lastOf(uses map[useKey]*Tally) lastUses {
	last := lastUses{}
	for key, t := range uses {
		last.add(key.year, t.Last)
	}
	return last
}

// LastUses returns when each year was last used by any SP. A year that was never
// used is missing.
func (l *Ledger) LastUses(ctx context.Context) (map[idp.Year]time.Time, error) {
	l.writing.RLock()
	defer l.writing.RUnlock()
	last, err := l.storedLast(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the last uses: %w", err)
	}
	last.merge(l.noted.lastUses())
	last.settle(l.Clock.Now())
	at := make(map[idp.Year]time.Time, len(last))
	for y, millis := range last {
		at[y] = Moment(millis)
	}
	return at, nil
}

// storedLast falls back to the tallies if the document is damaged: a use that is
// overlooked could end a year in use.
func (l *Ledger) storedLast(ctx context.Context) (lastUses, error) {
	doc, err := idp.LookupDocument(ctx, l.Store, documents, lastKey)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return nil, err
	}
	last, ok := l.parseLast(doc)
	if ok {
		return last, nil
	}
	docs, err := l.Store.Documents(ctx, documents)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		if key, ok := useOf(d.Key); ok {
			if t := l.parseTally(d.Key, d.Data); t.Last > 0 {
				last.add(key.year, t.Last)
			}
		}
	}
	return last, nil
}

// parseLast reads the stored document. It returns false, and no uses, if the
// document is damaged.
func (l *Ledger) parseLast(doc []byte) (lastUses, bool) {
	last := lastUses{}
	if doc == nil {
		return last, false // not written yet, or lost
	}
	if err := json.Unmarshal(doc, &last); err != nil || last == nil {
		l.reportDamage(lastKey, err)
		return lastUses{}, false
	}
	return last, true
}

// keepLast returns what to keep of the document, given the last uses by the
// stored tallies; nil for nothing.
func (l *Ledger) keepLast(doc []byte, tallies lastUses, now time.Time) ([]byte, error) {
	last, _ := l.parseLast(doc)
	last.settle(now)
	last.merge(tallies)
	for y, at := range last {
		if l.isForgotten(y, at, now) {
			delete(last, y)
		}
	}
	return last.encode()
}

// lastUses returns the last noted use of each year.
func (n *noted) lastUses() lastUses {
	n.mu.Lock()
	defer n.mu.Unlock()
	return lastOf(n.uses)
}
