package bolt

import (
	"bytes"
	"context"

	"vernal/idp"
)

// rotationKey is where the rotation's document is, in inMeta: there is one.
var rotationKey = []byte("rotation")

// Rotation reads the rotation's document.
func (s *Store) Rotation(ctx context.Context) (doc []byte, err error) {
	err = s.view(ctx, func(r *reader) error {
		value, err := r.get(inMeta, rotationKey)
		doc = bytes.Clone(value)
		return err
	})
	return doc, err
}

// UpdateRotation replaces the rotation's document.
func (s *Store) UpdateRotation(ctx context.Context, change func(old []byte) ([]byte, error), events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		stored, err := w.get(inMeta, rotationKey)
		if err != nil {
			return err
		}
		var doc []byte
		err = apart(func() (err error) {
			doc, err = change(bytes.Clone(stored))
			return err
		})
		switch {
		case err != nil:
			return err
		case len(doc) == 0:
			w.delete(inMeta, rotationKey)
		default:
			w.put(inMeta, rotationKey, bytes.Clone(doc))
		}
		return nil
	})
}
