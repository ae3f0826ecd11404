package inspect_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
	"vernal/idp/sp"
)

// Inspect looks up whether an ID was used before, and reports what the server would answer to
// a repetition.
func TestInspectJudgesReplayAsServer(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	person := i.AddUser("ada@example.gov")
	address := a.URL(&idptest.Request{})
	said := func(at time.Time) (*inspect.Report, inspect.Check) {
		r := inspectText(t, inspector(i), address, at)
		return r, check(r, "ID")
	}
	for range 2 { // a look-up spends nothing
		if r, c := said(i.Clock.Now()); r.Refused || c.Outcome != inspect.OutcomeOK {
			t.Fatalf("before: %+v", c)
		}
	}
	i.Clock.Advance(time.Minute)
	browser := i.Browser()
	page := browser.Get(address)
	// The same bytes, as after a double click.
	if r, c := said(i.Clock.Now()); r.Refused || c.Outcome != inspect.OutcomeOK || len(c.Hints) == 0 {
		t.Errorf("at once: %v, %+v", codes(r), c)
	}
	if other := i.Browser().Get(address); other.Status != 200 {
		t.Errorf("the server at once, from another browser: %d", other.Status)
	}
	i.Clock.Advance(idp.ResubmitWindow + time.Second)
	if r, c := said(i.Clock.Now()); !slices.Equal(codes(r), []idp.RefusalCode{idp.RefusedReplay}) || !strings.Contains(strings.Join(c.Hints, " "), "and not answered") {
		t.Errorf("under way: %v, %+v", codes(r), c)
	}
	if other := i.Browser().Get(address); other.Status != 400 || !strings.Contains(other.Text(), string(idp.RefusedReplay)) {
		t.Errorf("the server, from another browser: %d", other.Status)
	}
	if browser.SignIn(page, person).Response() == nil {
		t.Fatal("no sign-in")
	}
	want := "and answered at " + i.Clock.Now().Format(time.RFC3339)
	if r, c := said(i.Clock.Now()); !slices.Equal(codes(r), []idp.RefusalCode{idp.RefusedReplay}) || !strings.Contains(strings.Join(c.Hints, " "), want) {
		t.Errorf("answered: %v, %+v", codes(r), c)
	}
	// At the time when it was made, it was valid.
	if r, c := said(i.Clock.Now().Add(-time.Minute)); r.Refused || !strings.Contains(strings.Join(c.Hints, " "), "later than the time") {
		t.Errorf("as at its time: %v, %+v", codes(r), c)
	}
}

func TestRepeatedLogoutGetsHint(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	address := a.LogoutURL(&idptest.LogoutRequest{NameID: "someone"})
	if page := i.Browser().Get(address); page.LogoutResponse() == nil {
		t.Fatalf("no answer: %d", page.Status)
	}
	r := inspectText(t, inspector(i), address, i.Clock.Now())
	if c := check(r, "ID"); r.Refused || len(c.Hints) == 0 {
		t.Errorf("%v, %+v", codes(r), c)
	}
}

// A LogoutResponse is compared with the registration.
func TestInspectJudgesLogoutResponse(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	doc := string(i.Browser().Get(a.LogoutURL(&idptest.LogoutRequest{NameID: "someone"})).Response())
	r := inspectText(t, inspector(i), doc, i.Clock.Now())
	if r.Refused || r.SP != "https://a.example" || check(r, "InResponseTo").Outcome != inspect.OutcomeOK {
		t.Errorf("%v: %+v", codes(r), r.Checks)
	}
	altered := strings.Replace(doc, "https://a.example/logged-out", "https://evil.example/", 1)
	if r := inspectText(t, inspector(i), altered, i.Clock.Now()); !r.Refused {
		t.Errorf("to a stranger: %+v", r.Checks)
	}
}

// Metadata is compared with the registration, and ours with our keys.
func TestInspectComparesMetadataWithRegistration(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 10, 9, 0, 0, 0, time.UTC)
	i := idptest.New(t, idptest.Options{Now: now, Years: []idp.Year{"2026"}})
	file, err := os.ReadFile("../../testdata/metadata/shibboleth.xml")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(file)
	if r := inspectText(t, inspector(i), doc, now); r.Refused || !r.Metadata || check(r, "entityID").Note != "it is not registered yet" {
		t.Errorf("not registered: %+v", r.Checks)
	}
	record, _, err := sp.ConvertMetadata(file, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Registry.Add(t.Context(), record, sp.Options{AllowInsecureURL: true}, "test"); err != nil {
		t.Fatal(err)
	}
	if r := inspectText(t, inspector(i), doc, now); r.Refused || r.Unknown {
		t.Errorf("registered so: %+v", r.Checks)
	}
	changed := strings.ReplaceAll(doc, record.ACSURLs[0], record.ACSURLs[0]+"/")
	if r := inspectText(t, inspector(i), changed, now); !r.Refused || !strings.Contains(hints(r), "a slash at its end that is not registered") {
		t.Errorf("another ACS: %+v", r.Checks)
	}
	for _, tt := range []struct {
		path string
		year idp.Year
		want string // substring of a hint
	}{
		{"/api/saml/metadata2027", "2027", ""},
		{"/api/saml/metadata2026", "2026", "the preferred year, 2027, is not in it"},
		{"/api/saml/metadata", "2027", ""},
	} {
		ours := string(i.Get(tt.path))
		r := inspectText(t, inspector(i), ours, now)
		if r.Refused || r.Year != tt.year || !strings.Contains(hints(r), tt.want) || tt.want == "" && hints(r) != "" {
			t.Errorf("%s: year %s, %+v", tt.path, r.Year, r.Checks)
		}
		if r := inspectText(t, inspector(i), strings.Replace(ours, "/api/saml/auth", "/api/saml/evil", 1), now); !r.Refused {
			t.Errorf("%s, changed: %+v", tt.path, r.Checks)
		}
	}
}
