package assurance

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vernal/idp"
)

// anybody is a person with or without a profile.
func anybody(t *rapid.T) Person {
	p := Person{UUID: "u", Email: "e", Locale: "en", Emails: []idp.Email{{Address: "e", ConfirmedAt: time.Unix(1, 0)}, {Address: "unconfirmed"}}}
	if rapid.Bool().Draw(t, "profile") {
		p.Profile = profile()
		p.Profile.Level = rapid.SampledFrom([]string{"", "x", idp.IALVerified, idp.IALFacialMatch}).Draw(t, "proofed")
		p.Proofed = p.Profile.Proofed()
	}
	return p
}

func TestToASCII(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "plain 1": "plain 1", "Ñandú": "Nandu", "Jose\u0301": "Jose", "Ǆ": "DZ", "O’Brien": "O'Brien",
		"Ærøskøbing": "AEroskobing", "Ｗide": "Wide", "山田": "??", "a\u0328\u0301b": "ab", "\xff": "?",
	} {
		if got := toASCII(in); got != want {
			t.Errorf("toASCII(%q) = %q, want %q", in, got, want)
		}
	}
}
