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
	a, b, c := newProvider("https://a.example"), newProvider("https://b.example"), newProvider("urn:c")
	requireNoError(t, s.CreateProvider(ctx, c, ""))
	requireNoError(t, s.CreateProvider(ctx, a, "", newEvent("sp.add"), newEvent("sp.approve")))
	requireNoError(t, s.CreateProvider(ctx, b, ""))
	checkKinds(t, s, 0, "sp.add", "sp.approve")

	got, err := s.Provider(ctx, a.EntityID)
	checkSame(t, a, got, err)
	list, err = s.Providers(ctx)
	checkSame(t, []*idp.ServiceProvider{a, b, c}, list, err)

	requireNoError(t, updateProvider(ctx, s, b.EntityID, func(p *idp.ServiceProvider) error {
		p.Name, p.Active = "Other", false
		return nil
	}, newEvent("sp.edit")))
	b.Name, b.Active = "Other", false
	got, err = s.Provider(ctx, b.EntityID)
	checkSame(t, b, got, err)

	requireNoError(t, s.RemoveProvider(ctx, a.EntityID, newEvent("sp.remove")))
	_, err = s.Provider(ctx, a.EntityID)
	checkError(t, err, idp.ErrNotFound)
	checkKinds(t, s, 2, "sp.edit", "sp.remove")

	// The caller may change the result of a look-up, and the store keeps no reference to it.
	got.ACSURLs[0], b.Certs[0] = "changed", "changed"
	got, err = s.Provider(ctx, b.EntityID)
	b.Certs[0] = "PEM"
	checkSame(t, b, got, err)
}

func testProviderErrors(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	a := newProvider("https://a.example")
	requireNoError(t, s.CreateProvider(ctx, a, ""))
	checkError(t, s.CreateProvider(ctx, newProvider("https://a.example"), "", newEvent("x")), idp.ErrExists)
	requireNoError(t, s.CreateProvider(ctx, newProvider("https://A.example"), "")) // entity IDs are exact

	_, err := s.Provider(ctx, "https://b.example")
	checkError(t, err, idp.ErrNotFound)
	checkError(t, s.RemoveProvider(ctx, "https://b.example", newEvent("x")), idp.ErrNotFound)
	checkError(t, updateProvider(ctx, s, "https://b.example", func(*idp.ServiceProvider) error { return nil }, newEvent("x")), idp.ErrNotFound)
	if updateProvider(ctx, s, a.EntityID, func(p *idp.ServiceProvider) error { p.EntityID = "other"; return nil }, newEvent("x")) == nil {
		t.Error("an update changed the EntityID")
	}
	if s.CreateProvider(ctx, newProvider(""), "", newEvent("x")) == nil {
		t.Error("a provider without EntityID was stored")
	}
	cause := errors.New("no")
	checkError(t, updateProvider(ctx, s, a.EntityID, func(p *idp.ServiceProvider) error { p.Name = "x"; return cause }, newEvent("x")), cause)
	got, err := s.Provider(ctx, a.EntityID)
	checkSame(t, a, got, err)
	checkKinds(t, s, 0)
}

// readLastScope returns the scope of a removed service provider.
func readLastScope(ctx context.Context, s idp.OwnedStore, id idp.EntityID) (idp.NameIDScope, error) {
	_, err := s.Provider(ctx, id)
	if removedErr, ok := errors.AsType[*idp.RemovedError](err); ok && errors.Is(err, idp.ErrNotFound) {
		return removedErr.Scope, nil
	}
	return "", err
}

func testLastScope(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	_, err := readLastScope(ctx, s, "https://a.example")
	checkError(t, err, idp.ErrNotFound)
	p := newProvider("https://a.example")
	requireNoError(t, s.CreateProvider(ctx, p, ""))
	_, err = readLastScope(ctx, s, p.EntityID)
	requireNoError(t, err)

	requireNoError(t, s.RemoveProvider(ctx, p.EntityID))
	got, err := readLastScope(ctx, s, p.EntityID)
	checkSame(t, p.NameIDScope, got, err)

	first := p.NameIDScope
	p.NameIDScope = "sp:https://a.example#2"
	checkError(t, s.CreateProvider(ctx, p, "", newEvent("x")), idp.ErrProviderChanged) // chosen for one that was never removed
	checkError(t, s.CreateProvider(ctx, p, "another", newEvent("x")), idp.ErrProviderChanged)
	checkKinds(t, s, 0)
	requireNoError(t, s.CreateProvider(ctx, p, first))
	requireNoError(t, s.RemoveProvider(ctx, p.EntityID))
	got, err = readLastScope(ctx, s, p.EntityID)
	checkSame(t, p.NameIDScope, got, err)
}
