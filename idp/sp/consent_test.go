package sp_test

import (
	"slices"
	"testing"

	"vernal/idp"
	"vernal/idp/sp"
)

// A registration of an earlier version asks for consent. It is shown so, is valid, and becomes
// explicit with the next change, which does not report it.
func TestRegistrationWithoutConsentAsks(t *testing.T) {
	t.Parallel()
	r, store := newRegistry(t)
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	_, err := store.UpdateProvider(t.Context(), idp.ProviderUpdate{ID: entity, Change: func(p *idp.ServiceProvider) error { p.Consent = ""; return nil }})
	if err == nil {
		_, err = r.Reload(t.Context(), entity)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Get(t.Context(), entity)
	if err != nil {
		t.Fatal(err)
	}
	fields := sp.Fields()
	field := fields[slices.IndexFunc(fields, func(f sp.Field) bool { return f.Name == "consent" })]
	if got := field.Read(p); !slices.Equal(got, []string{idp.ConsentAsk}) {
		t.Errorf("it shows %q", got)
	}
	c, err := r.ApplyEdit(t.Context(), entity, sp.Document{}, sp.Edit{Set: values{"team": {"roads"}}}, sp.Options{}, "test")
	if err != nil || !slices.Equal(c.Fields, []string{"team"}) || c.Provider.Consent != idp.ConsentAsk {
		t.Errorf("changed %+v, %v", c, err)
	}
}

// Only the field itself changes the consent: neither metadata nor a registration that replaces
// another one turns it off, and only the two values are valid.
func TestConsentIsSetByItsFieldOnly(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	edit := func(doc sp.Document, set values) string {
		t.Helper()
		c, err := r.ApplyEdit(t.Context(), entity, doc, sp.Edit{Set: set}, sp.Options{}, "test")
		if err != nil {
			t.Fatal(err)
		}
		return c.Provider.Consent
	}
	if got := edit(sp.Document{}, values{"consent": {idp.ConsentNone}}); got != idp.ConsentNone {
		t.Errorf("set none, got %q", got)
	}
	if got := edit(spMetadata(string(entity), acsElement("https://sp.example.gov/new", "0")), values{"sign_requests": {"optional"}}); got != idp.ConsentNone {
		t.Errorf("metadata made it %q", got)
	}
	p := newProvider(t, entity)
	p.Consent = ""
	c, err := r.Add(t.Context(), p, sp.Options{Replace: true}, "test")
	if err != nil || c.Provider.Consent != idp.ConsentAsk {
		t.Errorf("replaced: %+v, %v", c, err)
	}
	if _, err := r.ApplyEdit(t.Context(), entity, sp.Document{}, sp.Edit{Set: values{"consent": {"maybe"}}}, sp.Options{}, "test"); err == nil {
		t.Error("an unknown value was accepted")
	}
}
