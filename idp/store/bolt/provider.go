package bolt

import (
	"context"
	"errors"

	"vernal/idp"
)

// readProvider reads a registration, and returns a *idp.RemovedError if it was removed.
func (r *reader) readProvider(id idp.EntityID) (*idp.ServiceProvider, error) {
	p, err := decode[idp.ServiceProvider](r, inProviders, []byte(id))
	if !errors.Is(err, idp.ErrNotFound) {
		return p, err
	}
	scope, scopeErr := r.get(inProviderScopes, []byte(id))
	switch {
	case scopeErr != nil:
		return nil, scopeErr
	case scope != nil:
		return nil, &idp.RemovedError{Scope: idp.NameIDScope(scope)}
	}
	return nil, err
}

// CreateProvider adds a registration.
func (s *Store) CreateProvider(ctx context.Context, p *idp.ServiceProvider, last idp.NameIDScope, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		key := []byte(p.EntityID)
		if w.has(inProviders, key) {
			return existsError(inProviders)
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
	return readValue(ctx, s, func(r *reader) (*idp.ServiceProvider, error) { return r.readProvider(id) })
}

// Providers lists all registrations by EntityID.
func (s *Store) Providers(ctx context.Context) (out []*idp.ServiceProvider, err error) {
	var tampered []idp.EntityID
	err = s.view(ctx, func(r *reader) error {
		for key := range r.scan(inProviders, nil) {
			p, err := decode[idp.ServiceProvider](r, inProviders, key)
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
	switch {
	case err != nil:
		return nil, err
	case len(tampered) > 0:
		return out, &idp.TamperedError{Providers: tampered}
	}
	return out, nil
}

// UpdateProvider changes a registration. Its NameIDs are copied in the same transaction, however
// many they are. Sign-ins wait for it, and find the NameIDs before and after it.
func (s *Store) UpdateProvider(ctx context.Context, u idp.ProviderUpdate, events ...idp.AuditEvent) (copied int, err error) {
	return changeValue(ctx, s, events, func(w *writer) (int, error) {
		p, err := w.readProvider(u.ID)
		if err != nil {
			return 0, err
		}
		before := p.NameIDScope
		if err := u.Change(p); err != nil {
			return 0, err
		}
		if p.EntityID != u.ID {
			return 0, errors.New("change of a provider: its EntityID must stay")
		}
		w.putJSON(inProviders, []byte(u.ID), p)
		if !u.KeepNameIDs {
			return 0, nil
		}
		return w.copyNameIDs(before, p.NameIDScope)
	})
}

// RemoveProvider removes a registration and notes its scope.
func (s *Store) RemoveProvider(ctx context.Context, id idp.EntityID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		p, err := w.readProvider(id)
		if err != nil {
			return err
		}
		w.delete(inProviders, []byte(id))
		w.put(inProviderScopes, []byte(id), []byte(p.NameIDScope))
		return nil
	})
}
