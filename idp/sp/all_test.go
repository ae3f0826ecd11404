package sp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/sp"
)

// All follows every change, and reads nothing in between.
func TestAllFollowsEveryChange(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	want := func(what string, names ...string) []*sp.Provider {
		t.Helper()
		all, err := r.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range all {
			got = append(got, string(p.EntityID)+" "+p.Name)
			if len(p.RequestCerts) != 1 || p.CertSHA256(p.RequestCerts[0]) == "" {
				t.Errorf("%s: %s has the request certificates %v", what, p.EntityID, p.RequestCerts)
			}
		}
		if diff := cmp.Diff(names, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		return all
	}
	add := func(id idp.EntityID) {
		t.Helper()
		if _, err := r.Add(t.Context(), newProvider(t, id), sp.Options{}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	want("at first")
	add("urn:b")
	want("one", "urn:b Permits")
	add("urn:a")
	first := want("two", "urn:a Permits", "urn:b Permits")
	if again := want("again", "urn:a Permits", "urn:b Permits"); again[0] != first[0] {
		t.Error("what did not change is read again")
	}
	rename := func(p *idp.ServiceProvider) error {
		p.Name = "Taxes"
		return nil
	}
	if _, err := r.Edit(t.Context(), "urn:a", rename, sp.Options{}, "test"); err != nil {
		t.Fatal(err)
	}
	want("after a change", "urn:a Taxes", "urn:b Permits")
	if err := r.Remove(t.Context(), "urn:a", "test"); err != nil {
		t.Fatal(err)
	}
	want("one removed", "urn:b Permits")
}
