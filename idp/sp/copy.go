package sp

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"

	"vernal/idp"
)

// errChanged is returned for a change to a registration that was changed in the meantime.
var errChanged = errors.New("the registration changed in the meantime")

// cloneProvider returns a deep copy of a registration.
func cloneProvider(p *idp.ServiceProvider) *idp.ServiceProvider {
	out := *p
	for _, f := range fieldTable {
		if list, ok := f.pointTo(&out).(*[]string); ok {
			*list = slices.Clone(*list)
		}
	}
	out.ACSIndexes = slices.Clone(p.ACSIndexes)
	out.HelpText = maps.Clone(p.HelpText)
	return &out
}

// Equals reports whether the registration still equals the stored one.
func (p *Provider) Equals(stored *idp.ServiceProvider) bool {
	return reflect.DeepEqual(p.ServiceProvider, *stored)
}

// CheckStanding returns idp.ErrProviderChanged if the registration differs from the one that a
// write finds in the store.
func (p *Provider) CheckStanding(s idp.Standing) error {
	if known := p.revision.Load(); known != nil && bytes.Equal(*known, s.Revision) {
		return nil
	}
	stored, err := s.Provider()
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return idp.ErrProviderChanged
	case err != nil:
		return err
	case !p.Equals(stored):
		return idp.ErrProviderChanged
	}
	known := bytes.Clone(s.Revision)
	p.revision.Store(&known)
	return nil
}
