package sp_test

import (
	"errors"
	"fmt"
	"testing"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
)

const logoKind = "sp_logo"

// drawing returns an SVG file with a circle of a radius.
func drawing(radius int) []byte {
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="%d"/></svg>`, radius)
}

// storedLogos returns the file names of the stored logos.
func storedLogos(t *testing.T, store idp.Store) (names []string) {
	t.Helper()
	docs, err := store.Documents(t.Context(), logoKind, idp.DocumentQuery{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		names = append(names, d.Key)
	}
	return names
}

// addWithLogo registers a provider with a logo.
func addWithLogo(t *testing.T, r *sp.Registry, id idp.EntityID, logo []byte) *idp.ServiceProvider {
	t.Helper()
	edit := sp.Edit{Logo: logo, Set: map[string][]string{
		"name": {"Permits"}, "acs_urls": {"https://sp.example.gov/acs"}, "certs": {certs.EncodePEM(goodCert(t))},
	}}
	c, err := r.AddEdit(t.Context(), id, sp.Document{}, edit, sp.Options{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c.Provider
}

// A logo is stored once, cleaned, and only as long as a registration names it.
func TestLogosAreStoredWhileNamed(t *testing.T) {
	t.Parallel()
	r, store := newRegistry(t)
	edit := func(id idp.EntityID, e sp.Edit) *idp.ServiceProvider {
		t.Helper()
		c, err := r.ApplyEdit(t.Context(), id, sp.Document{}, e, sp.Options{}, "test")
		if err != nil {
			t.Fatal(err)
		}
		return c.Provider
	}
	stored := func(when string, want int) {
		t.Helper()
		if got := storedLogos(t, store); len(got) != want {
			t.Errorf("%s: the logos %v are stored, want %d", when, got, want)
		}
	}
	first := addWithLogo(t, r, "urn:a", drawing(1))
	image, err := r.Logo(t.Context(), first.Logo)
	if err != nil || image.Type != "image/svg+xml" || image.Name() != first.Logo {
		t.Fatalf("logo %q: %v, %v", first.Logo, image, err)
	}
	if first.LogoPath() != idp.LogoPrefix+first.Logo {
		t.Errorf("path %q", first.LogoPath())
	}
	addWithLogo(t, r, "urn:b", drawing(1))
	stored("the same for two", 1)
	changed := edit("urn:a", sp.Edit{Logo: drawing(2)})
	if changed.Logo == first.Logo {
		t.Error("the new logo has the name of the old one")
	}
	stored("one changed", 2)
	edit("urn:a", sp.Edit{Set: map[string][]string{"name": {"Taxes"}}})
	stored("another field changed", 2)
	edit("urn:a", sp.Edit{Remove: map[string][]string{"logo": {""}}})
	stored("one taken away", 1)
	if _, err := r.Logo(t.Context(), changed.Logo); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("a logo that was taken away: %v", err)
	}
	mustRemove(t, r, "urn:b")
	stored("the provider removed", 0)
}

// A change that is refused stores no logo, and a broken logo is reported with the other
// problems.
func TestRefusedChangeStoresNoLogo(t *testing.T) {
	t.Parallel()
	r, store := newRegistry(t)
	bad := sp.Edit{Logo: drawing(1), Set: map[string][]string{"acs_urls": {"https://sp.example.gov/acs"}, "aal": {"9"}}}
	_, err := r.AddEdit(t.Context(), "urn:a", sp.Document{}, bad, sp.Options{}, "test")
	if invalid, ok := errors.AsType[*sp.InvalidError](err); !ok || len(invalid.Problems) == 0 {
		t.Errorf("error %v", err)
	}
	addWithLogo(t, r, "urn:b", drawing(3))
	bad = sp.Edit{Logo: []byte("GIF89a"), Set: map[string][]string{"sign_response": {"maybe"}}}
	_, err = r.ApplyEdit(t.Context(), "urn:b", sp.Document{}, bad, sp.Options{}, "test")
	invalid, ok := errors.AsType[*sp.InvalidError](err)
	fields := map[string]bool{}
	if ok {
		for _, p := range invalid.Problems {
			fields[p.Field] = true
		}
	}
	if !fields["logo"] || !fields["sign_response"] {
		t.Errorf("error %v", err)
	}
	if got := storedLogos(t, store); len(got) != 1 {
		t.Errorf("the logos %v are stored, want that of urn:b", got)
	}
}

// A registration of an earlier version keeps its URL, which is not shown. No new URL is taken.
func TestLogoURLIsKeptAndNotShown(t *testing.T) {
	t.Parallel()
	const old = "https://sp.example.gov/logo.svg"
	r, _ := newRegistry(t)
	p := newProvider(t, entity)
	p.Logo = old
	mustAdd(t, r, p, sp.Options{})
	set := func(field, value string) error {
		_, err := r.ApplyEdit(t.Context(), entity, sp.Document{}, sp.Edit{Set: map[string][]string{field: {value}}}, sp.Options{}, "test")
		return err
	}
	if err := set("name", "Taxes"); err != nil {
		t.Errorf("another field: %v", err)
	}
	got, err := r.Get(t.Context(), entity)
	if err != nil || got.Logo != old || got.LogoPath() != "" {
		t.Errorf("logo %q, shown from %q: %v", got.Logo, got.LogoPath(), err)
	}
	for _, value := range []string{"https://sp.example.gov/new.svg", "0123456789abcdef0123456789abcdef.svg", "../x"} {
		if _, ok := errors.AsType[*sp.InvalidError](set("logo", value)); !ok {
			t.Errorf("logo %q is taken", value)
		}
	}
	for _, name := range []string{"", "../x", old, "0123456789abcdef0123456789abcdef.svg", "0123456789abcdef0123456789abcdef.svg\x00"} {
		if _, err := r.Logo(t.Context(), name); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("logo %q: %v", name, err)
		}
	}
}
