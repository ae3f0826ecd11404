package sp

import (
	"fmt"
	"time"

	"vernal/idp"
)

// rehearsal is the service provider of a running rehearsal.
type rehearsal struct {
	provider *Provider
	until    time.Time
}

// Rehearse makes p, which is idp.RehearsalSP, available to Lookup until the given time. It
// exists only in memory and is never listed, stored or edited. Only one exists at a time. A
// later one replaces it.
func (r *Registry) Rehearse(p *idp.ServiceProvider, until time.Time) error {
	if p.EntityID != idp.RehearsalSP {
		return fmt.Errorf("rehearse: %q is not the provider of rehearsals", p.EntityID)
	}
	parsed, err := Parse(cloneProvider(p))
	if err != nil {
		return err
	}
	r.rehearsal.Store(&rehearsal{parsed, until})
	return nil
}

// EndRehearsal removes the provider of a rehearsal.
func (r *Registry) EndRehearsal() { r.rehearsal.Store(nil) }

// lookupRehearsal does what Lookup does, for idp.RehearsalSP.
func (r *Registry) lookupRehearsal() (*Provider, error) {
	if now := r.rehearsal.Load(); now != nil && r.clock.Now().Before(now.until) {
		return now.provider, nil
	}
	return nil, fmt.Errorf("load provider %q: %w", idp.RehearsalSP, idp.ErrNotFound)
}
