package sp_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/sp"
)

// grant returns Options with one permission.
func grant(p sp.Permission) sp.Options {
	return sp.Options{
		Replace: p == sp.PermitReplace, Resume: p == sp.PermitResume, AllowInsecureURL: p == sp.PermitInsecureURL,
		KeepNameIDs: p == sp.PermitKeepNameIDs, NewNameIDs: p == sp.PermitNewNameIDs,
	}
}

// A refusal names the permissions that allow the change, and each of them does.
func TestRefusalsNamePermissions(t *testing.T) {
	t.Parallel()
	roads := func(p *idp.ServiceProvider) error { p.Agency = "Roads"; return nil }
	tests := []struct {
		name string
		want []sp.Permission
		try  func(r *sp.Registry, o sp.Options) error
	}{
		{"another agency", []sp.Permission{sp.PermitKeepNameIDs, sp.PermitNewNameIDs}, func(r *sp.Registry, o sp.Options) error {
			mustAdd(t, r, newProvider(t, entity), sp.Options{})
			_, err := r.Edit(t.Context(), entity, roads, o, "test")
			return err
		}},
		{"back with its agency", []sp.Permission{sp.PermitResume}, func(r *sp.Registry, o sp.Options) error {
			p := newProvider(t, entity)
			p.Agency = "Parks"
			mustAdd(t, r, p, sp.Options{})
			mustRemove(t, r, entity)
			_, err := r.Add(t.Context(), p, o, "test")
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := newRegistry(t)
			var refused *sp.RefusedError
			if err := tt.try(r, sp.Options{}); !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if diff := cmp.Diff(tt.want, refused.Permissions); diff != "" {
				t.Errorf("permissions (-want +got):\n%s", diff)
			}
			for _, p := range refused.Permissions {
				r, _ := newRegistry(t)
				if err := tt.try(r, grant(p)); err != nil {
					t.Errorf("with %s: %v", p, err)
				}
			}
		})
	}
}

// A problem of metadata comes with a suggestion to fix it.
func TestMetadataRefusalSuggestsFix(t *testing.T) {
	t.Parallel()
	const good = "https://sp.example.gov/a"
	several := sp.Document{Data: []byte(`<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` +
		string(spMetadata("urn:a", acsElement(good, "0")).Data) + string(spMetadata("urn:b", acsElement(good, "0")).Data) + `</EntitiesDescriptor>`)}
	edit := func() idp.Suggestion { return idp.Suggest(idp.DoSPEdit, "urn:a") }
	name := edit().WithOption(idp.OptionName, "").WithLabel(idp.LabelNameProvider)
	tests := []struct {
		name string
		doc  sp.Document
		want []idp.Suggestion
	}{
		{"no name", spMetadata("urn:a", acsElement(good, "0")), []idp.Suggestion{name}},
		{"http beside https", spMetadata("urn:a", acsElement("http://sp.example.gov/b", "0")+acsElement(good, "1")),
			[]idp.Suggestion{edit().WithOption(idp.OptionMetadata, "").WithOption(idp.OptionAllowInsecureURL, "").WithLabel(idp.LabelAllowHTTP), name}},
		{"several providers", several, []idp.Suggestion{idp.Suggest(idp.DoSPAdd).WithOption(idp.OptionMetadata, "").WithOption(idp.OptionEntityID, "").WithLabel(idp.LabelChooseProvider)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRegistry(t)
			c, err := r.AddEdit(t.Context(), "", tt.doc, sp.Edit{Set: values{"sign_requests": {"optional"}}}, sp.Options{}, "test")
			got := idp.FindSuggestions(err)
			if err == nil {
				got = c.Suggestions
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

// The names of settings are those of idp.Option: in the singular, each once.
func TestFieldOptionsAreUniqueSingulars(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range sp.Fields() {
		if seen[f.Option()] {
			t.Errorf("%s has the option of another field", f.Name)
		}
		seen[f.Option()] = true
		if plural := f.Kind.IsList() && f.Kind != sp.KindMap; plural != (f.Option() != f.Name) {
			t.Errorf("the option of %s is %s", f.Name, f.Option())
		}
	}
	for _, p := range sp.Permissions() {
		if seen[string(p)] {
			t.Errorf("the permission %s is called like a field", p)
		}
	}
}
