package main

import (
	"testing"

	"vernal/idp"
)

// TestSuggestionIsTypedAsCommand checks that a suggestion is printed as the command reads
// it: with quotes where a shell needs them, and with placeholders for what the user must
// fill in.
func TestSuggestionIsTypedAsCommand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		suggestion idp.Suggestion
		want       string // "" for none
	}{
		{"subject", idp.Suggest("rotation.publish", "2027"), "vernal rotation publish 2027"},
		{"subject to fill in", idp.Suggest("rotation.create", ""), "vernal rotation create YEAR"},
		{"options", idp.Suggest("rotation.retire", "2026").WithOption("force", "").WithOption("reason", "").WithOption("yes", "2026"),
			"vernal rotation retire 2026 --force --reason TEXT --yes 2026"},
		{"foreign text", idp.Suggest("sp.edit", "https://a.example/$(id)").WithOption("acs_url", "it's"),
			`vernal sp edit 'https://a.example/$(id)' --acs-url 'it'\''s'`},
		{"subject that looks like an option", idp.Suggest("sp.edit", "--all").WithOption("acs_url", "https://a.example"),
			"vernal sp edit --acs-url https://a.example -- --all"},
		{"no such command", idp.Suggest("rotation.sell", "2027"), ""},
		{"no such option", idp.Suggest("rotation.plan").WithOption("month", "2"), ""},
		{"a group of commands", idp.Suggest(""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := commandTree.Render(newCommandTree, tt.suggestion)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
