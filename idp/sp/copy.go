package sp

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"

	"vernal/idp"
)

// errMoved is what a change gets whose registration was changed by somebody
// else in the meantime.
var errMoved = errors.New("the registration changed in the meantime")

// cloneProvider copies a registration with all that it points to.
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

// IsAs reports whether the registration is still the one that is stored.
func (p *Provider) IsAs(stored *idp.ServiceProvider) bool {
	return reflect.DeepEqual(p.ServiceProvider, *stored)
}

// CheckStanding returns idp.ErrProviderChanged if the registration is not the
// one that a write finds in the store.
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
	case !p.IsAs(stored):
		return idp.ErrProviderChanged
	}
	known := bytes.Clone(s.Revision)
	p.revision.Store(&known)
	return nil
}
