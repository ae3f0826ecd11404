package sp

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"

	"vernal/idp"
)

// errMoved is what a change gets whose registration was changed by somebody
// else in the meantime.
var errMoved = errors.New("the registration changed in the meantime")

// clone copies a registration with all that it points to.
func clone(p *idp.ServiceProvider) *idp.ServiceProvider {
	out := *p
	out.ACSURLs = slices.Clone(p.ACSURLs)
	out.ACSIndexes = slices.Clone(p.ACSIndexes)
	out.Certs = slices.Clone(p.Certs)
	out.EncryptionCerts = slices.Clone(p.EncryptionCerts)
	out.RedirectURIs = slices.Clone(p.RedirectURIs)
	out.Attributes = slices.Clone(p.Attributes)
	out.NameIDFormats = slices.Clone(p.NameIDFormats)
	out.HelpText = maps.Clone(p.HelpText)
	out.Contacts = slices.Clone(p.Contacts)
	return &out
}

// same reports whether two registrations say the same in every field.
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

func same(a, b *idp.ServiceProvider) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
