package sp_test

import (
	"errors"
	"testing"

	"vernal/idp"
	"vernal/idp/sp"
)

// step is one change to a provider's registration.
type step struct {
	do     string // "add", "edit" or "remove"
	agency string
	opts   sp.Options
	// want is the scope afterwards. refused is the code of a refusal instead.
	want    idp.NameIDScope
	refused string
}

// TestNameIDScope walks registrations through additions, moves and removals. The scope decides
// which NameIDs a provider sees. A wrong scope makes known users unknown, or discloses to one
// provider who the users of another are.
func TestNameIDScope(t *testing.T) {
	t.Parallel()
	resume, fresh, keep := sp.Options{Resume: true}, sp.Options{NewNameIDs: true}, sp.Options{KeepNameIDs: true}
	tests := []struct {
		name  string
		id    idp.EntityID
		steps []step
	}{
		{"alone", "https://a/", []step{{do: "add", want: "sp:https://a/"}}},
		{"with an agency", "https://a/", []step{{do: "add", agency: "Parks", want: "agency:Parks"}}},
		{"entity ID like an agency's scope", "agency:Parks", []step{{do: "add", want: "sp:agency:Parks"}}},
		{"entity ID like a second life", "https://a/#2", []step{{do: "add", want: "sp:https://a/##2"}}},
		{"removed and added again", "https://a/", []step{
			{do: "add", want: "sp:https://a/"}, {do: "remove"},
			{do: "add", want: "sp:https://a/#2"}, {do: "remove"},
			{do: "add", want: "sp:https://a/#3"},
		}},
		{"resumed", "https://a/", []step{
			{do: "add", want: "sp:https://a/"}, {do: "remove"},
			{do: "add", opts: resume, want: "sp:https://a/"},
		}},
		{"the second life resumed", "https://a/", []step{
			{do: "add", want: "sp:https://a/"}, {do: "remove"},
			{do: "add", want: "sp:https://a/#2"}, {do: "remove"},
			{do: "add", opts: resume, want: "sp:https://a/#2"},
		}},
		{"agency again needs a word", "https://a/", []step{
			{do: "add", agency: "Parks", want: "agency:Parks"}, {do: "remove"},
			{do: "add", agency: "Parks", refused: "resume"},
			{do: "add", agency: "Parks", opts: resume, want: "agency:Parks"},
		}},
		{"agency resumed without naming it", "https://a/", []step{
			{do: "add", agency: "Parks", want: "agency:Parks"}, {do: "remove"},
			{do: "add", opts: resume, want: "agency:Parks"},
		}},
		{"resumed under another agency", "https://a/", []step{
			{do: "add", want: "sp:https://a/"}, {do: "remove"},
			{do: "add", agency: "Parks", opts: resume, refused: "resume"},
			{do: "add", agency: "Parks", want: "agency:Parks"},
		}},
		{"alone after an agency never meets an older life", "https://a/", []step{
			{do: "add", want: "sp:https://a/"},
			{do: "edit", agency: "Parks", opts: fresh, want: "agency:Parks"}, {do: "remove"},
			{do: "add", want: "sp:https://a/#1936776600000"},
		}},
		{"agency changed", "https://a/", []step{
			{do: "add", want: "sp:https://a/"},
			{do: "edit", agency: "Parks", refused: "name_ids"},
			{do: "edit", agency: "Parks", opts: sp.Options{KeepNameIDs: true, NewNameIDs: true}, refused: "name_ids"},
			{do: "edit", agency: "Parks", opts: fresh, want: "agency:Parks"},
			{do: "edit", agency: "Parks", want: "agency:Parks"},
			{do: "edit", opts: fresh, want: "sp:https://a/#1936776600000"},
			{do: "edit", agency: "Roads", opts: fresh, want: "agency:Roads"},
		}},
		{"agency changed, NameIDs kept", "https://a/", []step{
			{do: "add", want: "sp:https://a/"},
			{do: "edit", agency: "Parks", opts: keep, want: "agency:Parks"},
			{do: "edit", agency: "Parks", opts: keep, want: "agency:Parks"},
			{do: "edit", agency: "Roads", opts: keep, want: "agency:Roads"},
			{do: "edit", opts: keep, want: "sp:https://a/#1936776600000"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRegistry(t)
			for i, s := range tt.steps {
				c, err := take(t, r, tt.id, s)
				var refused *sp.RefusedError
				switch {
				case s.refused != "":
					if !errors.As(err, &refused) || refused.Code != s.refused {
						t.Fatalf("step %d: got %v, want a refusal %q", i, err, s.refused)
					}
				case err != nil:
					t.Fatalf("step %d: %v", i, err)
				case c != nil && (c.Provider.NameIDScope != s.want || c.Provider.Agency != agencyIn(s.want)):
					t.Fatalf("step %d: scope %q, agency %q; want %q", i, c.Provider.NameIDScope, c.Provider.Agency, s.want)
				}
			}
		})
	}
}

func take(t *testing.T, r *sp.Registry, id idp.EntityID, s step) (*sp.Change, error) {
	t.Helper()
	switch s.do {
	case "remove":
		return nil, r.Remove(t.Context(), id, "test")
	case "edit":
		return r.Edit(t.Context(), id, func(p *idp.ServiceProvider) error { p.Agency = s.agency; return nil }, s.opts, "test")
	}
	p := newProvider(t, id)
	p.Agency = s.agency
	return r.Add(t.Context(), p, s.opts, "test")
}

func agencyIn(scope idp.NameIDScope) string {
	if len(scope) > 7 && scope[:7] == "agency:" {
		return string(scope[7:])
	}
	return ""
}
