package templates

import "io"

// consentSamples returns the page of a consent in each state.
func consentSamples(b, long Base) []sample {
	all := []ConsentValue{
		{"email", []string{"ada@example.com"}}, {"first_name", []string{"Ada"}}, {"middle_name", nil}, {"last_name", []string{"Lovelace"}},
		{"address1", []string{"1600 Pennsylvania Avenue NW"}}, {"address2", nil}, {"city", []string{"Washington"}}, {"state", []string{"DC"}},
		{"zipcode", []string{"20500"}}, {"dob", []string{"1985-12-10"}}, {"ssn", []string{"900-11-2222"}}, {"phone", nil},
		{"verified_at", []string{"2027-03-09T14:05:00Z"}},
	}
	consent := func(name string, b Base, values []ConsentValue, change func(*ConsentPage)) sample {
		p := ConsentPage{Base: b, Action: "/sign-in/consent", Request: "Zx81", Shown: "aGFzaA", Reason: "first", Items: NewConsentItems(values),
			Email: "ada@example.com", SignInURL: "/sign-in?request=Zx81", AccountURL: "/account"}
		change(&p)
		return sample{name, false, func(s *Set, w io.Writer) error { return s.WriteHTML(w, p) }}
	}
	return []sample{
		consent("consent", b, all[:1], func(*ConsentPage) {}),
		consent("consent-verified", b, all, func(p *ConsentPage) { p.Agency = "Department of Records" }),
		consent("consent-grown", b, all, func(p *ConsentPage) {
			p.Reason, p.Agency, p.SharedWith = "grown", "Department of Records", []string{"Archive", "Birth certificates"}
			p.MarkNew([]string{"phone", "zipcode"})
		}),
		consent("consent-reproofed", b, all, func(p *ConsentPage) { p.Reason, p.IsChanged = "reproofed", true }),
		consent("consent-expired", b, []ConsentValue{{"email", []string{"ada@example.com"}}, {"all_emails", []string{"ada@example.com", "ada@example.org"}}},
			func(p *ConsentPage) { p.Reason, p.IsKnownByEmail = "expired", true }),
		consent("consent-withdrawn", b, nil, func(p *ConsentPage) { p.Reason, p.ReturnURL = "withdrawn", "" }),
		consent("consent-long", long, all, func(*ConsentPage) {}),
	}
}
