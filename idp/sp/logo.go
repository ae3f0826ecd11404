package sp

import (
	"context"
	"errors"
	"fmt"

	"vernal/idp"
	"vernal/idp/logo"
)

// logoKind is the kind of the documents that contain the logos, by file name. They are not part
// of the registrations, because those are read with every request.
const logoKind = "sp_logo"

// Logo returns a stored logo by the file name in a registration, or idp.ErrNotFound.
func (r *Registry) Logo(ctx context.Context, name string) (*logo.Image, error) {
	if !logo.IsName(name) {
		return nil, fmt.Errorf("logo: %w", idp.ErrNotFound)
	}
	docs, err := r.store.Documents(ctx, logoKind, idp.DocumentQuery{Keys: []string{name}})
	switch {
	case err != nil:
		return nil, fmt.Errorf("load logo %s: %w", name, err)
	case len(docs) == 0:
		return nil, fmt.Errorf("logo %s: %w", name, idp.ErrNotFound)
	}
	return &logo.Image{Type: logo.TypeOf(name), Data: docs[0].Data}, nil
}

// changeLogo makes a change of a registration that may replace its logo by file, nil for no new
// one. The new logo is stored before a registration names it, and the old one is removed after,
// so that a page never shows a missing one. A crash in between leaves a logo that no page shows.
func (r *Registry) changeLogo(ctx context.Context, id idp.EntityID, file []byte, change func() error) error {
	r.logoMu.Lock()
	defer r.logoMu.Unlock()
	var names []string
	old, err := r.store.Provider(ctx, id)
	switch {
	case err == nil && logo.IsName(old.Logo):
		names = append(names, old.Logo)
	case err != nil && !isNotFound(err):
		return fmt.Errorf("load provider %q: %w", id, err)
	}
	if file != nil {
		image, err := logo.Parse(file)
		if err != nil {
			return change() // it reports this problem together with the others
		}
		if err := r.putLogo(ctx, image.Name(), image.Data); err != nil {
			return err
		}
		names = append(names, image.Name())
	}
	err = change()
	if removeErr := r.removeUnusedLogos(ctx, names); removeErr != nil {
		return errors.Join(err, removeErr)
	}
	return err
}

// putLogo stores a logo, or removes it if data is empty.
func (r *Registry) putLogo(ctx context.Context, name string, data []byte) error {
	err := r.store.UpdateDocuments(ctx, logoKind, []string{name}, func(d *idp.Document) error {
		d.Data = data
		return nil
	})
	if err != nil {
		return fmt.Errorf("store logo %s: %w", name, err)
	}
	return nil
}

// removeUnusedLogos removes those of the named logos that no registration names. It removes none
// if a registration cannot be read.
func (r *Registry) removeUnusedLogos(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // the change is made
	all, err := r.List(ctx)
	if err != nil {
		if errors.Is(err, idp.ErrTampered) {
			return nil
		}
		return err
	}
	usedNames := make(map[string]bool)
	for _, p := range all {
		usedNames[p.Logo] = true
	}
	for _, name := range names {
		if usedNames[name] {
			continue
		}
		if err := r.putLogo(ctx, name, nil); err != nil {
			return err
		}
	}
	return nil
}
