package assurance

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vernal/idp"
)

// anybody is a person with or without a profile.
func anybody(t *rapid.T) Person {
	p := Person{UUID: "u", Email: "e", Locale: "en", Emails: []idp.Email{{Address: "e", ConfirmedAt: time.Unix(1, 0)}, {Address: "unconfirmed"}}}
	if rapid.Bool().Draw(t, "profile") {
		p.Profile = profile()
		p.Profile.Level = rapid.SampledFrom([]string{"", "x", idp.IALVerified, idp.IALFacialMatch}).Draw(t, "proofed")
	}
	return p
}

func profile() *idp.Profile {
	return &idp.Profile{
		Level: idp.IALVerified, VerifiedAt: time.Date(2031, 4, 1, 11, 0, 0, 5, time.FixedZone("", 7200)),
		FirstName: "Zoë", MiddleName: "Đ", LastName: "Müller-Strauß", Address1: "1 Łódź St", City: "Nice", State: "NY",
		Zipcode: "123456789", DOB: "1990-02-28", SSN: "900-11-2222", Phone: "+12025550123",
	}
}

// What proofed people, and others, are released with.
func TestReleaseProofed(t *testing.T) {
	t.Parallel()
	all := sp(idp.IALVerified, withIALMax, func(p *idp.ServiceProvider) {
		p.Attributes = nil
		for _, row := range table {
			p.Attributes = append(p.Attributes, row.Name)
		}
	})
	u := func(name string, values ...string) Attribute {
		return Attribute{Name: name, NameFormat: uri, FriendlyName: name, Values: values}
	}
	proofed := []Attribute{
		u("first_name", "Zoë"), u("middle_name", "Đ"), u("last_name", "Müller-Strauß"), u("address1", "1 Łódź St"), u("address2"),
		u("city", "Nice"), u("state", "NY"), u("zipcode", "12345"), u("dob", "1990-02-28"), u("ssn", "900-11-2222"),
		u("phone", "+12025550123"), u("verified_at", "2031-04-01T09:00:00Z"),
	}
	only := func(names ...string) (out []Attribute) {
		for _, a := range proofed {
			if slices.Contains(names, a.Name) {
				out = append(out, a)
			}
		}
		return out
	}
	tests := []struct {
		name    string
		refs    []string
		profile *idp.Profile
		want    []Attribute // but for those that always leave
	}{
		{"all of it", []string{ns + "ial/2"}, profile(), append([]Attribute{
			{Name: "email", NameFormat: basic, FriendlyName: "email", Values: []string{"a@x.gov"}},
			{Name: "all_emails", NameFormat: basic, FriendlyName: "all_emails", Values: []string{"a@x.gov", "b@x.gov"}},
			u("locale", "es"),
		}, proofed...)},
		{"what is asked for", []string{ns + "ial/2", req + "ssn,dob"}, profile(), only("dob", "ssn", "verified_at")},
		{"IALMax of somebody proofed", []string{ns + "ial/0", req + "ssn"}, profile(), only("ssn", "verified_at")},
		{"IALMax of somebody else: no name, not even empty", []string{ns + "ial/0", req + "ssn"}, nil, []Attribute{u("verified_at")}},
		{"a level that nobody knows", []string{ns + "ial/0", req + "ssn"}, &idp.Profile{Level: "trusted", SSN: "900112222"}, []Attribute{u("verified_at")}},
		{"nothing below the level", []string{ns + "ial/1", req + "ssn,first_name"}, profile(), nil},
		{"the time of proofing below the level", []string{ns + "ial/1", req + "verified_at,ssn"}, profile(), only("verified_at")},
		{"in ASCII", []string{ns + "ial/2", req + "first_name,middle_name,last_name,address1,ascii"}, profile(), []Attribute{
			u("first_name", "Zoe"), u("middle_name", "D"), u("last_name", "Muller-Strauss"), u("address1", "1 Lodz St"), only("verified_at")[0]}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Resolve(Ask{"", tt.refs}, all)
			if err != nil {
				t.Fatal(err)
			}
			confirmed := time.Unix(1, 0)
			got := Release(r, all, Person{
				UUID: "u", Email: "a@x.gov", Locale: "es", Profile: tt.profile,
				Emails: []idp.Email{{Address: "a@x.gov", ConfirmedAt: confirmed}, {Address: "new@x.gov"}, {Address: "b@x.gov", ConfirmedAt: confirmed}},
			})
			got = slices.DeleteFunc(got, func(a Attribute) bool { return rowOf(a.FriendlyName).Always })
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
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
