package inspect_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
	"vernal/idp/saml"
)

func refusedFields(r *inspect.Report) (out []string) {
	for _, c := range r.Checks {
		if c.Outcome == inspect.OutcomeRefused {
			out = append(out, c.Field)
		}
	}
	return out
}

// The requested user is reported, and refused if the server refuses it.
func TestInspectJudgesSubjectAsServer(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: time.Date(2027, 3, 10, 9, 0, 0, 0, time.UTC), Years: []idp.Year{"2026"}})
	a := i.AddProvider("https://a.example")
	open := i.AddProvider("https://open.example", func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	start := &idptest.Request{}
	if browser.SignIn(browser.Get(a.URL(start)), person).Response() == nil {
		t.Fatal("no sign-in")
	}
	name := func(attributes, value string) string {
		return "<saml:NameID" + attributes + ">" + value + "</saml:NameID>"
	}
	encrypted := func(year idp.Year) string { return encryptedID(t, i, year, "someone") }
	var other idp.Year
	for _, e := range i.Years.Live(i.Clock.Now()) {
		if e.Year() != i.Year() {
			other = e.Year()
		}
	}
	tests := []struct {
		name, subject string
		sp            *idptest.Provider
		unsigned      bool
		code          idp.RefusalCode // of the server and of inspect; only the server returns subject_mismatch
	}{
		{"a name", name("", "someone"), a, false, idp.RefusedSubject},
		{"no one", "<saml:SubjectConfirmation></saml:SubjectConfirmation>", a, false, ""},
		{"another format", name(` Format="`+saml.NameIDFormatTransient+`"`, "someone"), a, false, idp.RefusedSubjectForm},
		{"two names", name("", "a") + name("", "b"), a, false, idp.RefusedSubjectForm},
		{"encrypted", encrypted(i.Year()), a, false, idp.RefusedSubject},
		{"encrypted to another year", encrypted(other), a, false, idp.RefusedEncryptedID},
		{"encrypted, unsigned", encrypted(i.Year()), open, true, idp.RefusedEncryptedID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := tt.sp.URL(&idptest.Request{Subject: tt.subject, Unsigned: tt.unsigned})
			r := inspectText(t, inspector(i), address, i.Clock.Now())
			page := browser.Get(address)
			if tt.code == "" || tt.code == idp.RefusedSubject {
				if r.Refused {
					t.Errorf("inspect refuses: %v", codes(r))
				}
			} else if !slices.Equal(codes(r), []idp.RefusalCode{tt.code}) {
				t.Errorf("inspect: %v, want %s", codes(r), tt.code)
			}
			if c := check(r, "Subject NameID"); tt.code == idp.RefusedSubject && (c.Seen != "someone" || len(c.Hints) == 0) {
				t.Errorf("%+v", c)
			}
			if tt.code != "" && !strings.Contains(page.Text(), string(tt.code)) || tt.code == "" && page.Response() == nil {
				t.Errorf("the server: %d\n%s", page.Status, page.Text())
			}
		})
	}
}

// Inspect reports exactly what compatibility loosens.
func TestInspectAppliesLoginGovCompat(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	loose := func(p *idp.ServiceProvider) { p.Compat = idp.CompatLoginGov }
	a, strict := i.AddProvider("https://a.example", loose), i.AddProvider("https://strict.example")
	otherURL := "https://idp.int.identitysandbox.gov/api/saml/auth2025"
	for _, tt := range []struct {
		name    string
		request idptest.Request
		field   string // refused field in strict mode, and field of the hint otherwise
		code    idp.RefusalCode
	}{
		{"ACS URL", idptest.Request{ACS: "https://other.example/acs"}, "AssertionConsumerServiceURL", idp.RefusedACSURL},
		{"Destination", idptest.Request{Destination: otherURL}, "Destination", idp.RefusedDestination},
	} {
		r := tt.request
		report := inspectText(t, inspector(i), a.URL(&r), i.Clock.Now())
		if c := check(report, tt.field); report.Refused || len(c.Hints) == 0 {
			t.Errorf("%s: %v %+v", tt.name, refusedFields(report), c)
		}
		if page := i.Browser().Get(a.URL(&r)); page.Status != 200 {
			t.Errorf("%s: the server says %d", tt.name, page.Status)
		}
		r = tt.request
		if report := inspectText(t, inspector(i), strict.URL(&r), i.Clock.Now()); !slices.Equal(codes(report), []idp.RefusalCode{tt.code}) {
			t.Errorf("%s, without compat: %v", tt.name, codes(report))
		}
	}
	report := inspectText(t, inspector(i), a.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/1"}}), i.Clock.Now())
	if report.Levels == nil || report.Levels.ClassRef != "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo" {
		t.Errorf("%+v", report.Levels)
	}
	for name, r := range map[string]idptest.Request{
		"unsigned": {Unsigned: true, ACS: "https://other.example/acs"}, "another key": {Key: idptest.OtherKey()},
	} {
		if report := inspectText(t, inspector(i), a.URL(&r), i.Clock.Now()); !report.Refused {
			t.Errorf("%s is not refused", name)
		}
	}
	logout := inspectText(t, inspector(i), a.LogoutURL(&idptest.LogoutRequest{NameID: "x", Destination: otherURL}), i.Clock.Now())
	if logout.Refused {
		t.Errorf("a LogoutRequest: %v", refusedFields(logout))
	}
}
