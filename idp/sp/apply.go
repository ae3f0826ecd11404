package sp

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"vernal/idp"
	"vernal/metadata"
)

// AddEdit registers a provider from an operator's input: Defaults, then the provider's metadata if
// supplied, then the edit. Errors are those of Add.
func (r *Registry) AddEdit(ctx context.Context, id idp.EntityID, doc Document, e Edit, o Options, actor string) (*Change, error) {
	p := Defaults()
	p.EntityID = id
	var notes []metadata.Note
	if doc.Data != nil {
		var err error
		if p, notes, err = r.readDocument(doc, id, nil, e, o); err != nil {
			return nil, err
		}
	}
	if err := e.applyToDefaults(p); err != nil {
		return nil, err
	}
	var c *Change
	err := r.changeLogo(ctx, p.EntityID, e.Logo, func() (err error) {
		c, err = r.Add(ctx, p, o, actor)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.addNotes(notes)
	return c, nil
}

// ApplyEdit changes a registration by an operator's input. It takes from metadata the fields that
// metadata may define, and leaves the fields that only the operator decides.
func (r *Registry) ApplyEdit(ctx context.Context, id idp.EntityID, doc Document, e Edit, o Options, actor string) (*Change, error) {
	var source *idp.ServiceProvider
	var notes []metadata.Note
	if doc.Data != nil {
		old, err := r.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if source, notes, err = r.readDocument(doc, id, old, e, o); err != nil {
			return nil, err
		}
	}
	var c *Change
	err := r.changeLogo(ctx, id, e.Logo, func() (err error) {
		c, err = r.Edit(ctx, id, func(p *idp.ServiceProvider) error {
			if source != nil {
				refreshProvider(p, source)
			}
			return e.Apply(p)
		}, o, actor)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.addNotes(notes)
	return c, nil
}

// addNotes puts the notes about the metadata before the other warnings. It keeps one of two
// identical suggestions.
func (c *Change) addNotes(notes []metadata.Note) {
	warnings, suggestions := convertNotes(notes, c.Provider.EntityID)
	c.Warnings = append(warnings, c.Warnings...)
	var suggestionList []idp.Suggestion
	for _, s := range append(suggestions, c.Suggestions...) {
		if !slices.ContainsFunc(suggestionList, func(o idp.Suggestion) bool { return reflect.DeepEqual(o, s) }) {
			suggestionList = append(suggestionList, s)
		}
	}
	c.Suggestions = suggestionList
}

func newEntityError(want, have idp.EntityID) error {
	return &InvalidError{Problems: []Problem{{
		Field: "entity_id", Value: string(have), Text: fmt.Sprintf("is the entity ID in the metadata, but the request names %q", want),
	}}}
}

// refreshProvider copies URLs and certificates from a provider's metadata. The provider's
// permissions stay as the operator set them. Metadata turns encryption on, never off.
func refreshProvider(p, source *idp.ServiceProvider) {
	source = cloneProvider(source)
	p.ACSURLs, p.ACSIndexes = source.ACSURLs, source.ACSIndexes
	p.Certs, p.EncryptionCerts = source.Certs, source.EncryptionCerts
	if source.LogoutURL != "" {
		p.LogoutURL = source.LogoutURL
	}
	if p.Encryption == idp.EncryptionNone {
		p.Encryption = source.Encryption
	}
}
