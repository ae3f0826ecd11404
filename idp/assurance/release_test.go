package assurance

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vernal/idp"
)

// drawUser returns a user with or without a profile.
func drawUser(t *rapid.T) UserData {
	p := UserData{UUID: "u", Email: "e", Locale: "en", Emails: []idp.Email{{Address: "e", ConfirmedAt: time.Unix(1, 0)}, {Address: "unconfirmed"}}}
	if rapid.Bool().Draw(t, "profile") {
		p.Profile = profile()
		p.Profile.Level = rapid.SampledFrom([]string{"", "x", idp.IALVerified, idp.IALFacialMatch}).Draw(t, "proofed")
		p.Proofed = p.Profile.Proofing()
	}
	return p
}

func TestToASCII(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "plain 1": "plain 1", "Ñandú": "Nandu", "Jose\u0301": "Jose", "Ǆ": "DZ", "O’Brien": "O'Brien",
		"Ærøskøbing": "AEroskobing", "Ｗide": "Wide", "山田": "??", "a\u0328\u0301b": "ab", "\xff": "?", "Ǿ": "O", "\u0080": "?",
	} {
		if got := convertToASCII(in); got != want {
			t.Errorf("convertToASCII(%q) = %q, want %q", in, got, want)
		}
	}
}

// Release does not trust a Requirement that names more than a provider may have, made under
// another registration or incorrectly.
func TestReleaseTakesNoWord(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		need Requirement
		sp   *idp.ServiceProvider
	}{
		{"not registered", Requirement{IAL: IALVerified, Attributes: []string{"email", "ssn"}}, registerFor(idp.IALVerified)},
		{"below the level", Requirement{IAL: IALAuthOnly, Attributes: []string{"ssn"}}, registerFor(idp.IALVerified, "ssn")},
		{"may not be asked for", Requirement{IAL: IALAuthOnly, Attributes: []string{"verified_at"}}, registerFor(idp.IALAuthOnly, "verified_at")},
		{"without a source", Requirement{IAL: IALVerified, Attributes: []string{"x509_subject"}}, registerFor(idp.IALVerified, "x509_subject")},
		{"in no row", Requirement{IAL: IALVerified, Attributes: []string{"shoe_size"}}, registerFor(idp.IALVerified, "shoe_size")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, a := range Release(&tt.need, tt.sp, known.UserData) {
				if !table[findRow(a.FriendlyName)].IsAlwaysSent {
					t.Errorf("%s left: %q", a.FriendlyName, a.Values)
				}
			}
			if tt.need.ReadsProfile(tt.sp, known.Proofed) {
				t.Error("the profile would be unsealed")
			}
		})
	}
}
