package idp

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// The rotation's document: the history of the yearly keys. A Check depends on it; see Standing.
const (
	RotationKind = "rotation"
	RotationKey  = "history"
)

// Records gives typed access to the documents of one kind, which are stored as JSON. An
// expired record counts as missing, whether or not the store has removed it. All fields are
// required.
type Records[T any] struct {
	Store DocumentStore
	Kind  string
	Clock Clock
}

// Record is one document of Records, decoded.
type Record[T any] struct {
	Key string
	// Value is nil if the record does not exist.
	Value *T
	// ExpiresAt is when the record expires; zero: never.
	ExpiresAt time.Time
}

// List returns all records, sorted by key.
func (r Records[T]) List(ctx context.Context) ([]Record[T], error) {
	return r.find(ctx, DocumentQuery{All: true})
}

// Find returns the existing records among the keys, sorted by key.
func (r Records[T]) Find(ctx context.Context, keys ...string) ([]Record[T], error) {
	return r.find(ctx, DocumentQuery{Keys: keys})
}

func (r Records[T]) find(ctx context.Context, q DocumentQuery) ([]Record[T], error) {
	docs, err := r.Store.Documents(ctx, r.Kind, q)
	if err != nil {
		return nil, err
	}
	var list []Record[T]
	for i := range docs {
		rec, err := r.decode(&docs[i])
		if err != nil {
			return nil, err
		}
		if rec.Value != nil {
			list = append(list, rec)
		}
	}
	return list, nil
}

// Get returns one record, or ErrNotFound.
func (r Records[T]) Get(ctx context.Context, key string) (*T, error) {
	list, err := r.Find(ctx, key)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, fmt.Errorf("record %q: %w", r.Kind, ErrNotFound)
	}
	return list[0].Value, nil
}

// Update calls change to replace Value and ExpiresAt of each record, in one step; see
// DocumentStore.UpdateDocuments. A nil Value removes the record.
func (r Records[T]) Update(ctx context.Context, keys []string, change func(*Record[T]) error, events ...AuditEvent) error {
	return r.Store.UpdateDocuments(ctx, r.Kind, keys, func(d *Document) error {
		rec, err := r.decode(d)
		if err != nil {
			return err
		}
		if err := change(&rec); err != nil {
			return err
		}
		d.Data, d.ExpiresAt = nil, rec.ExpiresAt
		if rec.Value != nil {
			d.Data, err = json.Marshal(rec.Value)
		}
		return err
	}, events...)
}

func (r Records[T]) decode(d *Document) (Record[T], error) {
	rec := Record[T]{Key: d.Key}
	if len(d.Data) == 0 || !d.ExpiresAt.IsZero() && !d.ExpiresAt.After(r.Clock.Now()) {
		return rec, nil
	}
	rec.Value, rec.ExpiresAt = new(T), d.ExpiresAt
	if err := json.Unmarshal(d.Data, rec.Value); err != nil {
		return rec, fmt.Errorf("record %q of kind %q in the store is damaged: %w", d.Key, r.Kind, err)
	}
	return rec, nil
}
