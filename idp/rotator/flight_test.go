package rotator_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// TestSignInAcrossStep checks that a sign-in that began before a step ends correctly after
// it: with the key of the requested year or, if that is over, at the page that says so. It
// waits at every page in turn.
func TestSignInAcrossStep(t *testing.T) {
	t.Parallel()
	const y2026, y2027 = idp.Year("2026"), idp.Year("2027")
	published := []rotation.Step{{Kind: rotation.StepPublish, Year: y2027}}
	preferred := append(slices.Clone(published), rotation.Step{Kind: rotation.StepPrefer, Year: y2027})
	rolledBack := append(slices.Clone(preferred), rotation.Step{Kind: rotation.StepRollback, Year: y2026, Reason: "test"})
	tests := []struct {
		name   string
		until  time.Time       // automatic steps run until then; zero: 20 January 2027
		before []rotation.Step // by hand, before the sign-in begins
		year   idp.Year        // where it begins
		step   rotation.Step   // while it waits
		gone   bool            // where it ends
	}{
		{name: "publish", year: y2026, step: published[0]},
		{name: "prefer, on the old year", before: published, year: y2026, step: preferred[1]},
		{name: "prefer, on the new year", before: published, year: y2027, step: preferred[1]},
		{name: "rollback, on the old year", before: preferred, year: y2026, step: rolledBack[2]},
		{name: "rollback, on the new year", before: preferred, year: y2027, step: rolledBack[2]},
		{name: "resume", before: rolledBack, year: y2027, step: rotation.Step{Kind: rotation.StepResume}},
		{name: "retire", until: day(2027, 6, 30), year: y2026, gone: true, step: rotation.Step{
			Kind: rotation.StepRetire, Year: y2026, Force: true, Reason: "test",
		}},
		{name: "retire, on the new year", until: day(2027, 6, 30), year: y2027, step: rotation.Step{
			Kind: rotation.StepRetire, Year: y2026,
		}},
		{name: "revoke", before: preferred, year: y2026, gone: true, step: rotation.Step{
			Kind: rotation.StepRevoke, Year: y2026, Reason: "test",
		}},
		{name: "revoke, on the other year", before: preferred, year: y2026, step: rotation.Step{
			Kind: rotation.StepRevoke, Year: y2027, Reason: "test",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{Now: day(2027, 1, 20).Add(12 * time.Hour)})
			if !tt.until.IsZero() {
				runDaily(t, i, tt.until.Add(12*time.Hour))
			}
			for _, step := range tt.before {
				takeStep(t, i, step)
			}
			waiting := everyPage(t, i, tt.year)
			takeStep(t, i, tt.step)
			for _, w := range waiting {
				page := w.end()
				if tt.gone {
					if page.Status != http.StatusGone || page.Response() != nil {
						t.Errorf("%s: %d, a Response: %v, want 410 and none\n%s", w.at, page.Status, page.Response() != nil, page.Text())
					}
					continue
				}
				if page.Status != http.StatusOK {
					t.Errorf("%s: %d\n%s", w.at, page.Status, page.Text())
				} else if err := signedBy(i, page.Response(), tt.year); err != nil {
					t.Errorf("%s: %v", w.at, err)
				}
			}
		})
	}
}

// waiting is a sign-in on the year that waits at a page, and how it ends.
type waiting struct {
	at  string
	end func() *idptest.Page
}

// everyPage begins a sign-in for every page at which one can wait, each of
// another person.
func everyPage(t *testing.T, i *idptest.IdP, y idp.Year) []waiting {
	t.Helper()
	sp := i.AddProvider("https://a.example")
	form := i.Browser()
	formPage, formPerson := form.Get(sp.URL(&idptest.Request{Year: y})), i.AddUser("form@example.gov")

	code, codePerson := i.Browser(), i.AddUser("code@example.gov")
	f := code.Get(sp.URL(&idptest.Request{Year: y})).Form()
	f.Fields.Set("email", codePerson.Email)
	f.Fields.Set("password", codePerson.Password)
	codeForm := code.Post(f.Action, f.Fields).Form()
	if _, ok := codeForm.Fields["code"]; !ok {
		t.Fatal("no code page after the password")
	}

	// A signed-in user posts an AuthnRequest. The 303 is not yet followed.
	post, postPerson := i.Browser(), i.AddUser("post@example.gov")
	if page := post.SignIn(post.Get(sp.URL(&idptest.Request{Year: y})), postPerson); page.Response() == nil {
		t.Fatalf("sign-in on %s: %d\n%s", y, page.Status, page.Text())
	}
	r := &idptest.Request{Year: y}
	answer, to := post.CrossSitePostOnly("/api/saml/auth"+string(y), sp.Form(r))
	answer.Body.Close()
	if to == "" {
		t.Fatalf("no 303 but %d", answer.StatusCode)
	}
	return []waiting{
		{"at the sign-in page", func() *idptest.Page { return form.SignIn(formPage, formPerson) }},
		{"at the code page", func() *idptest.Page {
			codeForm.Fields.Set("code", codePerson.Code())
			return code.Post(codeForm.Action, codeForm.Fields)
		}},
		{"between POST and GET", func() *idptest.Page { return post.Get(to) }},
	}
}

// takeStep takes a step by hand that must work.
func takeStep(t *testing.T, i *idptest.IdP, step rotation.Step) {
	t.Helper()
	var err error
	if step.Kind == rotation.StepRevoke {
		_, err = i.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: step.Year, Reason: step.Reason}, "test", false)
	} else {
		_, err = i.Rotation.Take(t.Context(), step, "test", false)
	}
	ok(t, err)
}

// signedBy checks that a Response holds an assertion that is signed by the
// year's key, with the year's certificate. No Response is an error.
func signedBy(i *idptest.IdP, response []byte, y idp.Year) error {
	if response == nil {
		return errors.New("no Response")
	}
	root, err := xmltree.Parse(response, xmltree.MessageLimits())
	if err != nil {
		return err
	}
	e, _ := i.Years.Lookup(y, i.Clock.Now())
	for a := range root.Elements() {
		if a.Local == "Assertion" {
			_, err := xmldsig.VerifyEnveloped(a, []*x509.Certificate{e.Key.Cert})
			return err
		}
	}
	return errors.New("no Assertion in the Response")
}
