package suggest

import (
	"strings"
	"testing"
)

func TestNearestForgivesTypos(t *testing.T) {
	t.Parallel()
	keys := []string{"base_url", "listen", "data_dir"}
	fields := []string{"email", "password_hash", "name_ids"}
	tests := []struct {
		name, key string
		names     []string
		want      string
	}{
		{"letters swapped", "base_ulr", keys, "base_url"},
		{"letter missing", "liste", keys, "listen"},
		{"hyphen", "data-dir", keys, "data_dir"},
		{"nothing like it", "xylophone", keys, ""},
		{"another hyphen", "e-mail", fields, "email"},
		{"a capital", "Email", fields, "email"},
		{"camel case", "passwordHash", fields, "password_hash"},
		{"another word", "colour", fields, ""},
		{"too long", strings.Repeat("x", 1000), fields, ""},
	}
	for _, tt := range tests {
		if got := Nearest(tt.key, tt.names, len(tt.key)/2); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
