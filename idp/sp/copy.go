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
var errChanged = errors.New("the registration changed in the meantime: try again")

// cloneProvider returns a deep copy of a registration.
func cloneProvider(p *idp.ServiceProvider) *idp.ServiceProvider {
	clone := *p
	for _, f := range fieldTable {
		if list, ok := f.pointTo(&clone).(*[]string); ok {
			*list = slices.Clone(*list)
		}
	}
	clone.ACSIndexes = slices.Clone(p.ACSIndexes)
	clone.HelpText = maps.Clone(p.HelpText)
	return &clone
}

// Equals reports whether the registration still equals the stored one.
func (p *Provider) Equals(record *idp.ServiceProvider) bool {
	return reflect.DeepEqual(p.ServiceProvider, *record)
}

// CheckStanding returns idp.ErrProviderChanged if the registration differs from the one that a
// write finds in the store.
func (p *Provider) CheckStanding(s idp.Standing) error {
	if revision := p.revision.Load(); revision != nil && bytes.Equal(*revision, s.Revision) {
		return nil
	}
	record, err := s.Provider()
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return idp.ErrProviderChanged
	case err != nil:
		return err
	case !p.Equals(record):
		return idp.ErrProviderChanged
	}
	revision := bytes.Clone(s.Revision)
	p.revision.Store(&revision)
	return nil
}
