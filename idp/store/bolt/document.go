package bolt

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"vernal/idp"
)

var errNoKind = errors.New("a document needs a kind")

// readDocument reads one document. Its Data is empty if it is missing.
func (r *reader) readDocument(kind, key string) (idp.Document, error) {
	at := pairKey(kind, key)
	value, err := r.get(inDocuments, at)
	switch {
	case value == nil || err != nil:
		return idp.Document{Key: key}, err
	case len(value) <= timeLen:
		return idp.Document{}, corruptError(inDocuments, at, errors.New("not a document"))
	}
	return idp.Document{Key: key, ExpiresAt: decodeTime(value), Data: bytes.Clone(value[timeLen:])}, nil
}

// putDocument queues the new state of a document, and its expiry.
func (w *writer) putDocument(kind string, before, d idp.Document) {
	at := pairKey(kind, d.Key)
	if len(d.Data) == 0 {
		d.ExpiresAt = time.Time{}
	}
	w.moveExpiry(documentKind, at, before.ExpiresAt, d.ExpiresAt)
	switch {
	case len(d.Data) > 0:
		w.put(inDocuments, at, append(appendTime(make([]byte, 0, timeLen+len(d.Data)), d.ExpiresAt), d.Data...))
	case len(before.Data) > 0:
		w.delete(inDocuments, at)
	}
}

// Documents lists documents of a kind.
func (s *Store) Documents(ctx context.Context, kind string, q idp.DocumentQuery) ([]idp.Document, error) {
	return readValue(ctx, s, func(r *reader) ([]idp.Document, error) { return r.readDocuments(kind, q) })
}

func (r *reader) readDocuments(kind string, q idp.DocumentQuery) (docs []idp.Document, err error) {
	keys := slices.Clone(q.Keys)
	if prefix := pairKey(kind, ""); q.All {
		for at := range r.scan(inDocuments, prefix) {
			keys = append(keys, string(at[len(prefix):]))
		}
	}
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		d, err := r.readDocument(kind, key)
		if err != nil {
			return nil, err
		}
		if len(d.Data) > 0 {
			docs = append(docs, d)
		}
	}
	return docs, nil
}

// UpdateDocuments changes documents of a kind in one transaction.
func (s *Store) UpdateDocuments(ctx context.Context, kind string, keys []string,
	change func(*idp.Document) error, events ...idp.AuditEvent) error {
	if kind == "" {
		return errNoKind
	}
	return s.update(ctx, events, func(w *writer) error {
		seen := make(map[string]bool, len(keys))
		for _, key := range keys {
			if seen[key] {
				continue
			}
			seen[key] = true
			before, err := w.readDocument(kind, key)
			if err != nil {
				return err
			}
			d := before
			d.Data = bytes.Clone(before.Data)
			if err := change(&d); err != nil {
				return err
			}
			if d.Key != key {
				return errors.New("change of a document: Key must stay")
			}
			w.putDocument(kind, before, d)
		}
		return nil
	})
}
