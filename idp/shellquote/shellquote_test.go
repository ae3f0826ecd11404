package shellquote_test

import (
	"os/exec"
	"testing"

	"vernal/idp/shellquote"
)

func TestQuote(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, word, want string }{
		{"plain", "https://a.example:8080/acs?x=1", "'https://a.example:8080/acs?x=1'"},
		{"nothing to quote", "ann+x@example.org", "ann+x@example.org"},
		{"empty", "", "''"},
		{"apostrophe", "o'brien@example.org", `'o'\''brien@example.org'`},
		{"command", "https://a.example/;$(id)`id`&", "'https://a.example/;$(id)`id`&'"},
		{"line", "a\nb", "'a\nb'"},
		{"home", "~root", "'~root'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := shellquote.Quote(tt.word)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "printf %s "+got).Output()
			if err != nil || string(out) != tt.word {
				t.Errorf("a shell reads %q, %v", out, err)
			}
		})
	}
}
