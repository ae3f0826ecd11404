package sp

import (
	"fmt"
	"time"

	"vernal/idp"
)

// rehearsal is the service provider of a running rehearsal.
type rehearsal struct {
	provider *Provider
	endAt    time.Time
}

// Rehearse makes p, which is idp.RehearsalSP, available to Lookup until endAt. It
// exists only in memory and is never listed, stored or edited. Only one exists at a time. A
// later one replaces it.
func (r *Registry) Rehearse(p *idp.ServiceProvider, endAt time.Time) error {
	if p.EntityID != idp.RehearsalSP {
		return fmt.Errorf("cannot rehearse with service provider %q: its entity ID must be %q", p.EntityID, idp.RehearsalSP)
	}
	provider, err := Parse(cloneProvider(p))
	if err != nil {
		return err
	}
	r.rehearsal.Store(&rehearsal{provider, endAt})
	return nil
}

// EndRehearsal removes the service provider of the rehearsal.
func (r *Registry) EndRehearsal() { r.rehearsal.Store(nil) }

// lookupRehearsal returns the service provider of the running rehearsal, or idp.ErrNotFound.
func (r *Registry) lookupRehearsal() (*Provider, error) {
	if current := r.rehearsal.Load(); current != nil && r.clock.Now().Before(current.endAt) {
		return current.provider, nil
	}
	return nil, fmt.Errorf("load provider %q: %w", idp.RehearsalSP, idp.ErrNotFound)
}
