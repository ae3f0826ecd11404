package bolt

import (
	"context"
	"errors"

	"vernal/idp"
)

// CreateProvider adds a registration.
func (s *Store) CreateProvider(ctx context.Context, p *idp.ServiceProvider, last idp.NameIDScope, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		key := []byte(p.EntityID)
		if w.has(inProviders, key) {
			return exists(inProviders)
		}
		scope, err := w.get(inProviderScopes, key)
		switch {
		case err != nil:
			return err
		case string(scope) != string(last):
			return idp.ErrProviderChanged
		}
		w.putJSON(inProviders, key, p)
		return nil
	})
}

// Provider looks a registration up.
func (s *Store) Provider(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error) {
	p := new(idp.ServiceProvider)
	err := s.view(ctx, func(r *reader) error { return r.decode(inProviders, []byte(id), p) })
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Providers lists all registrations by EntityID.
func (s *Store) Providers(ctx context.Context) (out []*idp.ServiceProvider, err error) {
	var tampered []idp.EntityID
	err = s.view(ctx, func(r *reader) error {
		for key := range r.scan(inProviders, nil) {
			p := new(idp.ServiceProvider)
			err := r.decode(inProviders, key, p)
			switch {
			case errors.Is(err, idp.ErrTampered):
				tampered = append(tampered, idp.EntityID(key))
				continue
			case err != nil:
				return err
			}
			out = append(out, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(tampered) > 0 {
		return out, &idp.TamperedError{Providers: tampered}
	}
	return out, nil
}

// UpdateProvider changes a registration. Its EntityID must stay.
func (s *Store) UpdateProvider(ctx context.Context, id idp.EntityID, change func(*idp.ServiceProvider) error, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		_, _, err := w.changeProvider(id, change)
		return err
	})
}

// MoveProvider changes a registration and copies the NameIDs of its scope to
// the one that it then has. It is one transaction, however many they are:
// sign-ins wait for it, and find the NameIDs on either side of it.
func (s *Store) MoveProvider(ctx context.Context, id idp.EntityID, change func(*idp.ServiceProvider) error, events ...idp.AuditEvent) (copied int, err error) {
	err = s.update(ctx, events, func(w *writer) error {
		from, to, err := w.changeProvider(id, change)
		if err != nil {
			return err
		}
		copied, err = w.copyNameIDs(from, to)
		return err
	})
	if err != nil {
		return 0, err
	}
	return copied, nil
}

// changeProvider notes a change of a registration. It returns its scope before
// and after.
func (w *writer) changeProvider(id idp.EntityID, change func(*idp.ServiceProvider) error) (before, after idp.NameIDScope, err error) {
	p := new(idp.ServiceProvider)
	if err := w.decode(inProviders, []byte(id), p); err != nil {
		return "", "", err
	}
	before = p.NameIDScope
	if err := apart(func() error { return change(p) }); err != nil {
		return "", "", err
	}
	if p.EntityID != id {
		return "", "", errors.New("change of a provider: its EntityID must stay")
	}
	w.putJSON(inProviders, []byte(id), p)
	return before, p.NameIDScope, nil
}

// RemoveProvider removes a registration and notes its scope.
func (s *Store) RemoveProvider(ctx context.Context, id idp.EntityID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		var p idp.ServiceProvider
		if err := w.decode(inProviders, []byte(id), &p); err != nil {
			return err
		}
		w.delete(inProviders, []byte(id))
		w.put(inProviderScopes, []byte(id), []byte(p.NameIDScope))
		return nil
	})
}

// LastScope is the scope of a provider that was removed.
func (s *Store) LastScope(ctx context.Context, id idp.EntityID) (idp.NameIDScope, error) {
	var scope idp.NameIDScope
	err := s.view(ctx, func(r *reader) error {
		value, err := r.find(inProviderScopes, []byte(id))
		scope = idp.NameIDScope(value)
		return err
	})
	return scope, err
}
