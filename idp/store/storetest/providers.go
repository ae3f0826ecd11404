package storetest

import (
	"context"
	"errors"
	"testing"

	"vernal/idp"
)

func testProviders(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	list, err := s.Providers(ctx)
	if err != nil || len(list) != 0 {
		t.Errorf("Providers of an empty store = %v, %v", list, err)
	}
	a, b, c := provider("https://a.example"), provider("https://b.example"), provider("urn:c")
	ok(t, s.CreateProvider(ctx, c, ""))
	ok(t, s.CreateProvider(ctx, a, "", event("sp.add"), event("sp.approve")))
	ok(t, s.CreateProvider(ctx, b, ""))
	kinds(t, s, 0, "sp.add", "sp.approve")

	got, err := s.Provider(ctx, a.EntityID)
	checkSame(t, a, got, err)
	list, err = s.Providers(ctx)
	checkSame(t, []*idp.ServiceProvider{a, b, c}, list, err)

	ok(t, updateProvider(ctx, s, b.EntityID, func(p *idp.ServiceProvider) error {
		p.Name, p.Active = "Other", false
		return nil
	}, event("sp.edit")))
	b.Name, b.Active = "Other", false
	got, err = s.Provider(ctx, b.EntityID)
	checkSame(t, b, got, err)

	ok(t, s.RemoveProvider(ctx, a.EntityID, event("sp.remove")))
	_, err = s.Provider(ctx, a.EntityID)
	is(t, err, idp.ErrNotFound)
	kinds(t, s, 2, "sp.edit", "sp.remove")

	// The caller may change the result of a look-up, and the store keeps no reference to it.
	got.ACSURLs[0], b.Certs[0] = "changed", "changed"
	got, err = s.Provider(ctx, b.EntityID)
	b.Certs[0] = "PEM"
	checkSame(t, b, got, err)
}

func testProviderErrors(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	a := provider("https://a.example")
	ok(t, s.CreateProvider(ctx, a, ""))
	is(t, s.CreateProvider(ctx, provider("https://a.example"), "", event("x")), idp.ErrExists)
	ok(t, s.CreateProvider(ctx, provider("https://A.example"), "")) // entity IDs are exact

	_, err := s.Provider(ctx, "https://b.example")
	is(t, err, idp.ErrNotFound)
	is(t, s.RemoveProvider(ctx, "https://b.example", event("x")), idp.ErrNotFound)
	is(t, updateProvider(ctx, s, "https://b.example", func(*idp.ServiceProvider) error { return nil }, event("x")), idp.ErrNotFound)
	if updateProvider(ctx, s, a.EntityID, func(p *idp.ServiceProvider) error { p.EntityID = "other"; return nil }, event("x")) == nil {
		t.Error("an update changed the EntityID")
	}
	if s.CreateProvider(ctx, provider(""), "", event("x")) == nil {
		t.Error("a provider without EntityID was stored")
	}
	cause := errors.New("no")
	is(t, updateProvider(ctx, s, a.EntityID, func(p *idp.ServiceProvider) error { p.Name = "x"; return cause }, event("x")), cause)
	got, err := s.Provider(ctx, a.EntityID)
	checkSame(t, a, got, err)
	kinds(t, s, 0)
}

// lastScope returns the scope of a removed service provider.
func lastScope(ctx context.Context, s idp.OwnedStore, id idp.EntityID) (idp.NameIDScope, error) {
	_, err := s.Provider(ctx, id)
	if removed, ok := errors.AsType[*idp.RemovedError](err); ok && errors.Is(err, idp.ErrNotFound) {
		return removed.Scope, nil
	}
	return "", err
}

func testLastScope(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	_, err := lastScope(ctx, s, "https://a.example")
	is(t, err, idp.ErrNotFound)
	p := provider("https://a.example")
	ok(t, s.CreateProvider(ctx, p, ""))
	_, err = lastScope(ctx, s, p.EntityID)
	ok(t, err)

	ok(t, s.RemoveProvider(ctx, p.EntityID))
	got, err := lastScope(ctx, s, p.EntityID)
	checkSame(t, p.NameIDScope, got, err)

	first := p.NameIDScope
	p.NameIDScope = "sp:https://a.example#2"
	is(t, s.CreateProvider(ctx, p, "", event("x")), idp.ErrProviderChanged) // chosen for one that was never removed
	is(t, s.CreateProvider(ctx, p, "another", event("x")), idp.ErrProviderChanged)
	kinds(t, s, 0)
	ok(t, s.CreateProvider(ctx, p, first))
	ok(t, s.RemoveProvider(ctx, p.EntityID))
	got, err = lastScope(ctx, s, p.EntityID)
	checkSame(t, p.NameIDScope, got, err)
}
