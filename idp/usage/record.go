package usage

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"vernal/idp"
)

const (
	documentKind = "usage" // the kind in the store
	// totalKey is the key of the record about all SPs. The rotation asks for the last
	// uses every minute and before each step, and must not read every record for that.
	totalKey = ""
	// useLifetime is how long the uses of a year are kept after its end.
	useLifetime = 400 * day
)

// record is the stored data of one SP. In the record total, a tally has only the last use.
type record struct {
	Years map[idp.Year]*Tally `json:"years,omitempty"`
	Loads []Loads             `json:"loads,omitempty"`
}

// findOrAddEntry returns the entry of a map to add to.
func findOrAddEntry[M ~map[K]*V, K comparable, V any](m *M, key K) *V {
	v := (*m)[key]
	if v == nil {
		if *m == nil {
			*m = make(M)
		}
		v = new(V)
		(*m)[key] = v
	}
	return v
}

// merge adds a later record.
func (r *record) merge(later *record) {
	for y, t := range later.Years {
		findOrAddEntry(&r.Years, y).merge(t)
	}
	r.Loads = append(r.Loads, later.Loads...)
}

// addLast counts the last uses by an SP into the record total.
func (r *record) addLast(o *record) {
	for y, t := range o.Years {
		last := findOrAddEntry(&r.Years, y)
		last.LastAt = max(last.LastAt, t.LastAt)
	}
}

// clampTimes moves to now the times that a wrong clock left in the future.
func (r *record) clampTimes(now time.Time) {
	for y, t := range r.Years {
		if t == nil {
			delete(r.Years, y)
			continue
		}
		t.clampTimes(now)
	}
}

// encode returns the document to store, or nil for a record without content.
func (r *record) encode() ([]byte, error) {
	if len(r.Years)+len(r.Loads) == 0 {
		return nil, nil
	}
	return json.Marshal(r)
}

// parse reads a stored record, and returns nil without a document. It treats a damaged document
// like a missing one, so that the other records can still be written.
func (l *Ledger) parse(d *idp.Document, now time.Time) (r *record) {
	if len(d.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(d.Data, &r); err != nil || r == nil {
		l.Log.LogAttrs(context.Background(), slog.LevelError, "usage: a document in the store is damaged and left out",
			slog.String("document", d.Key), slog.Any("error", err))
		return nil
	}
	r.clampTimes(now)
	return r
}

// records maps keys to records.
type records map[string]*record

// sortNotes converts notes to records.
func (l *Ledger) sortNotes(ctx context.Context, n notes, now time.Time) records {
	all := records{}
	for key, r := range n.uses {
		r.clampTimes(now)
		findOrAddEntry(&all, key).merge(r)
		findOrAddEntry(&all, totalKey).addLast(r)
	}
	for _, load := range n.loads {
		key := totalKey
		if load.Hint != "" {
			if _, err := l.Registry.Lookup(ctx, load.Hint); err == nil {
				key = string(load.Hint)
			}
		}
		r := findOrAddEntry(&all, key)
		r.Loads = append(r.Loads, load)
	}
	return all
}

// removeOld drops the uses of years that ended long ago, and clients that have not come for long or
// are too many.
func (l *Ledger) removeOld(key string, r *record, now time.Time) {
	for y, t := range r.Years {
		over := ConvertMillis(t.LastAt) // a year that was never made ended with its last use
		if e, made := l.Years.Lookup(y, now); made {
			over = e.RetiredAt
		}
		if !over.IsZero() && now.Sub(over) > useLifetime {
			delete(r.Years, y)
		}
	}
	r.Loads = keepLoads(key, r.Loads, now)
}
