package idp_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"vernal/idp"
)

func TestDisplayName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 2*idp.MaxName)
	tests := []struct{ name, id, want string }{
		{"short", "urn:a", "urn:a"},
		{"at the limit", strings.Repeat("é", idp.MaxName), strings.Repeat("é", idp.MaxName)},
		{"URL", "https://sp.example:8443/" + long, "sp.example:8443"},
		{"URL with a long host", "https://" + strings.Repeat("a", 200) + "/", strings.Repeat("a", idp.MaxName-1) + "…"},
		{"URN", "urn:" + long, "urn:" + strings.Repeat("é", idp.MaxName-5) + "…"},
	}
	for _, tt := range tests {
		got := idp.EntityID(tt.id).DisplayName()
		if got != tt.want || utf8.RuneCountInString(got) > idp.MaxName {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestHasControl(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "Société": false, "שלום": false, "a\u200fb": false, "a\tb": true, "a\nb": true, "a\x7fb": true,
		"a\u0085b": true, "a\u2028b": true, "a\u202eb": true, "a\u2066b": true, "a\ufffeb": true, "a\ufffdb": true,
	} {
		if idp.HasControl(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
