package bolt

import (
	"bytes"
	"context"
	"errors"

	"vernal/idp"
)

var errNoKind = errors.New("a document needs a kind")

// Document reads one document.
func (s *Store) Document(ctx context.Context, kind, key string) (doc []byte, err error) {
	err = s.view(ctx, func(r *reader) error {
		value, err := r.find(inDocuments, pair(kind, key))
		doc = bytes.Clone(value)
		return err
	})
	return doc, err
}

// Documents lists the documents of a kind.
func (s *Store) Documents(ctx context.Context, kind string) (docs []idp.Document, err error) {
	prefix := pair(kind, "")
	err = s.view(ctx, func(r *reader) error {
		for key, value := range r.scan(inDocuments, prefix) {
			data, err := r.verified(inDocuments, key, value)
			if err != nil {
				return err
			}
			docs = append(docs, idp.Document{Key: string(key[len(prefix):]), Data: bytes.Clone(data)})
		}
		return nil
	})
	return docs, err
}

// UpdateDocuments changes documents of a kind in one transaction.
func (s *Store) UpdateDocuments(ctx context.Context, kind string, keys []string,
	change func(key string, old []byte) ([]byte, error), events ...idp.AuditEvent) error {
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
			if err := w.changeDocument(kind, key, change); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *writer) changeDocument(kind, key string, change func(key string, old []byte) ([]byte, error)) error {
	at := pair(kind, key)
	old, err := w.get(inDocuments, at)
	if err != nil {
		return err
	}
	var doc []byte
	err = apart(func() (err error) {
		doc, err = change(key, bytes.Clone(old))
		return err
	})
	switch {
	case err != nil:
		return err
	case len(doc) == 0 && old == nil: // nothing was there, nothing is wanted
	case len(doc) == 0:
		w.delete(inDocuments, at)
	default:
		w.put(inDocuments, at, bytes.Clone(doc))
	}
	return nil
}
