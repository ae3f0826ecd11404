package account

import (
	"errors"
	"strings"
	"testing"
)

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string // want "" for an error
	}{
		{"plain", "alice@example.gov", "alice@example.gov"},
		{"domain in upper case", "Alice@Example.GOV", "Alice@example.gov"},
		{"space around", "\t alice@example.gov \n", "alice@example.gov"},
		{"plus", "alice+vernal@example.gov", "alice+vernal@example.gov"},
		{"not ASCII", "zoë@exämple.org", "zoë@exämple.org"},
		{"254 bytes", strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 92) + "cdefg", strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 92) + "cdefg"},
		{"255 bytes", strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 92) + "cdefgh", ""},
		{"local part of 65", strings.Repeat("a", 65) + "@example.gov", ""},
		{"empty", "", ""},
		{"no @", "alice", ""},
		{"no domain", "alice@", ""},
		{"no local part", "@example.gov", ""},
		{"with a name", "Alice <alice@example.gov>", ""},
		{"in brackets", "<alice@example.gov>", ""},
		{"with a comment", "alice@example.gov (me)", ""},
		{"quoted", `"alice smith"@example.gov`, ""},
		{"quoted for nothing", `"alice"@example.gov`, ""},
		{"two", "a@example.gov,b@example.gov", ""},
		{"two @", "a@b@example.gov", ""},
		{"space inside", "alice @example.gov", ""},
		{"newline inside", "alice@example.gov\nBcc: x@example.com", ""},
		{"NUL", "alice\x00@example.gov", ""},
		{"bad UTF-8", "alice\xff@example.gov", ""},
		{"direction override", "alice\u202e@example.gov", ""},
		{"zero width", "ali\u200bce@example.gov", ""},
		{"U+FFFE, which XML cannot carry", "alice\ufffe@example.gov", ""},
		{"U+FFFF in the domain", "alice@exam\uffffple.gov", ""},
		{"address literal", "alice@[192.0.2.1]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := NormalizeEmail(tt.in)
			if got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
			if _, ok := errors.AsType[*InputError](err); ok == (tt.want != "") {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestCheckNewPassword(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("wxyzabcdef ghij", n)[:n] }
	tests := []struct {
		name, password, problem string
	}{
		{"twelve characters", "tulip snow 7", ""},
		{"eleven characters", "tulip snow ", "too_short"},
		{"empty", "", "too_short"},
		{"twelve characters of two bytes", "äöüßéèêàçñõø", ""},
		{"128 characters", long(128), ""},
		{"129 characters", long(129), "too_long"},
		{"128 characters of four bytes", strings.Repeat("🌷🌱🌼🐇🐝🌦🌈☂", 16), ""},
		{"bad UTF-8", "tulips in\xff the snow", "invalid"},
		{"newline", "tulips in\nthe snow", "invalid"},
		{"the address", "my alice@example.gov", "contains_email"},
		{"the address in upper case", "ALICE@EXAMPLE.GOV", "contains_email"},
		{"a part of the address", "Alice-2026-2026", "common"},
		{"the name of the service", "tulipomania-2026", "common"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := CheckNewPassword(tt.password, alice, "Tulipomania")
			input, _ := errors.AsType[*InputError](err)
			switch {
			case tt.problem == "" && err == nil:
			case input == nil || input.Problem != tt.problem || input.Field != "password":
				t.Errorf("got %v, want %q", err, tt.problem)
			case tt.password != "" && strings.Contains(err.Error(), tt.password):
				t.Errorf("error quotes the password: %v", err)
			}
		})
	}
}

// TestPasswordFromEmailIsCommon checks a word that is in no list.
func TestPasswordFromEmailIsCommon(t *testing.T) {
	t.Parallel()
	const password = "zyxomma-2026!"
	if err := CheckNewPassword(password, alice); err != nil {
		t.Error(err)
	}
	if err := CheckNewPassword(password, "zyxomma@example.gov"); !isInput(err, "password", "common") {
		t.Errorf("error %v", err)
	}
}

func TestWeakPassword(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, password string
		weak           bool
	}{
		{"one character", "aaaaaaaaaaaaaaaa", true},
		{"four characters", "abababababcdcdcd", true},
		{"digits", "123456789012", true},
		{"a common word", "Password1234", true},
		{"common words", "qwerty-Letmein-2026!", true},
		{"the famous one", "correct horse battery staple", true},
		{"common words and one more", "qwerty-letmein-crocus", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := IsWeakPassword(tt.password); got != tt.weak {
				t.Errorf("weak: %v, want %v", got, tt.weak)
			}
			if err := checkPassword(tt.password, alice); err != nil {
				t.Errorf("an operator may not set it: %v", err)
			}
			input, _ := errors.AsType[*InputError](CheckNewPassword(tt.password, alice))
			if isRefused := input != nil && input.Problem == "common"; isRefused != tt.weak {
				t.Errorf("refused for a user: %v, want %v", isRefused, tt.weak)
			}
		})
	}
}
