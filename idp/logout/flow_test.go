package logout_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

const (
	spA = "https://a.example"
	spB = "https://b.example"

	ok               = "urn:oasis:names:tc:SAML:2.0:status:Success"
	requester        = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	unknownPrincipal = "urn:oasis:names:tc:SAML:2.0:status:UnknownPrincipal"
)

// deployment is an identity provider with two users signed in at two providers, each in their
// own browser.
type deployment struct {
	*idptest.IdP
	t        *testing.T
	a, b     *idptest.Provider
	ada, bob visitor
}

type visitor struct {
	*idptest.User
	browser *idptest.Browser
	// name and index are the values that provider a was sent.
	name, index string
	// otherName is the NameID that provider b was sent.
	otherName string
}

func newDeployment(t *testing.T, change ...func(*idp.ServiceProvider)) *deployment {
	t.Helper()
	return fillDeployment(t, idptest.New(t, idptest.Options{}), change...)
}

func fillDeployment(t *testing.T, i *idptest.IdP, change ...func(*idp.ServiceProvider)) *deployment {
	t.Helper()
	w := &deployment{IdP: i, t: t, a: i.AddProvider(spA, change...), b: i.AddProvider(spB)}
	w.ada = w.visit("ada@example.gov")
	w.bob = w.visit("bob@example.gov")
	return w
}

func (w *deployment) visit(email string) visitor {
	w.t.Helper()
	v := visitor{User: w.AddUser(email), browser: w.Browser()}
	v.name, v.index = w.signIn(&v, w.a)
	v.otherName, _ = w.signIn(&v, w.b)
	return v
}

// signIn signs in at a provider and returns the values that it was sent.
func (w *deployment) signIn(v *visitor, p *idptest.Provider) (name, index string) {
	w.t.Helper()
	r := &idptest.Request{}
	page := v.browser.Get(p.URL(r))
	if page.Response() == nil {
		page = v.browser.SignIn(page, v.User)
	}
	a, err := p.Check(r, page.Response())
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Subject.NameID.Value, a.AuthnStatements[0].SessionIndex
}

// listSignedIn lists the users with a session.
func (w *deployment) listSignedIn() (who []string) {
	w.t.Helper()
	for _, v := range []*visitor{&w.ada, &w.bob} {
		sessions, err := w.Store.Sessions(w.t.Context(), idp.SessionQuery{User: v.Record.ID})
		if err != nil {
			w.t.Fatal(err)
		}
		for range sessions {
			who = append(who, v.Email[:3])
		}
	}
	return who
}

func (w *deployment) wantSignedIn(who ...string) {
	w.t.Helper()
	if got := w.listSignedIn(); !slices.Equal(got, who) {
		w.t.Errorf("signed in: %v, want %v", got, who)
	}
}

// checkLogoutResponse checks the page that posts a LogoutResponse.
func checkLogoutResponse(t *testing.T, page *idptest.Page, p *idptest.Provider, r *idptest.LogoutRequest, status, detail string) {
	t.Helper()
	got := page.LogoutResponse()
	if got == nil {
		t.Fatalf("no LogoutResponse, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	if to := page.Form().Action; to != p.EntityID+"/logged-out" || got.Destination != to {
		t.Errorf("posted to %q, Destination %q", to, got.Destination)
	}
	if got.InResponseTo != r.ID || got.Issuer == nil || !strings.HasSuffix(got.Issuer.Value, "/api/saml") {
		t.Errorf("InResponseTo %q, Issuer %v", got.InResponseTo, got.Issuer)
	}
	code := got.Status.StatusCode
	if code.Value != status || detail != "" && (code.StatusCode == nil || code.StatusCode.Value != detail) {
		t.Errorf("status %+v, want %s %s", code, status, detail)
	}
	if relay, has := page.Form().Fields["RelayState"]; has != (r.RelayState != "") || has && relay[0] != r.RelayState {
		t.Errorf("RelayState %q, want %q", relay, r.RelayState)
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action "+p.EntityID+";") {
		t.Errorf("the page may not post to the logout address: %s", csp)
	}
}

func TestLogoutEndsSessionAndAnswersOnce(t *testing.T) {
	t.Parallel()
	for _, binding := range []string{"GET", "POST"} {
		t.Run(binding, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			r := &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.index}, RelayState: "back & forth"}
			var page *idptest.Page
			if binding == "GET" {
				page = w.ada.browser.Get(w.a.LogoutURL(r))
			} else {
				page = w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
			}
			checkLogoutResponse(t, page, w.a, r, ok, "")
			w.wantSignedIn("bob")
			if text := page.Text(); !strings.Contains(text, "You are signed out") || !strings.Contains(text, "Test "+spB) || strings.Contains(text, "Test "+spA+"\nTest") {
				t.Errorf("the page does not say where else the person may be signed in:\n%s", text)
			}
			if body := string(page.Response()); strings.Contains(body, "Signature") {
				t.Errorf("the LogoutResponse is signed: %s", body)
			}
			// The next sign-in asks for the password.
			next := &idptest.Request{}
			if page := w.ada.browser.Get(w.a.URL(next)); page.Response() != nil {
				t.Error("still signed in")
			}
			// A reload gets the same answer and ends no newer session.
			w.ada.browser.SignIn(w.ada.browser.Get(w.a.URL(&idptest.Request{})), w.ada.User)
			w.wantSignedIn("ada", "bob")
			if binding == "GET" {
				page = w.ada.browser.Get(w.a.LogoutURL(r))
			} else {
				page = w.ada.browser.Get(page.URL.String())
			}
			checkLogoutResponse(t, page, w.a, r, ok, "")
			w.wantSignedIn("ada", "bob")
		})
	}
}

// The signature and the named user decide which sessions end, each case with sessions of other
// users present.
func TestLogoutEndsOnlyNamedSessions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		request        func(w *deployment) *idptest.LogoutRequest
		status, detail string
		left           []string
	}{
		{"without a SessionIndex", func(w *deployment) *idptest.LogoutRequest { return &idptest.LogoutRequest{NameID: w.ada.name} }, ok, "", []string{"bob"}},
		{"an earlier SessionIndex of the same session", func(w *deployment) *idptest.LogoutRequest {
			first := w.ada.index
			w.signIn(&w.ada, w.a)
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{first}}
		}, ok, "", []string{"bob"}},
		{"the guide's SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.index}, GuideIndex: true}
		}, ok, "", []string{"bob"}},
		{"one of several", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{"_other", w.ada.index}}
		}, ok, "", []string{"bob"}},
		{"the user's UUID as SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.name}}
		}, ok, partialLogout, []string{"bob"}},
		{"the user's UUID beside an index that is over", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{"_over", w.ada.name}}
		}, ok, partialLogout, []string{"bob"}},
		{"the user's UUID as SessionIndex, and another name", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: "x", SessionIndexes: []string{w.ada.name}}
		}, requester, unknownPrincipal, []string{"ada", "bob"}},
		{"another user's UUID as SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.bob.name}}
		}, requester, unknownPrincipal, []string{"ada", "bob"}},
		{"another person", func(w *deployment) *idptest.LogoutRequest { return &idptest.LogoutRequest{NameID: w.bob.name} }, requester, unknownPrincipal, []string{"ada", "bob"}},
		{"unknown user", func(w *deployment) *idptest.LogoutRequest { return &idptest.LogoutRequest{NameID: "nobody"} }, requester, unknownPrincipal, []string{"ada", "bob"}},
		{"another provider's name for the person", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.otherName}
		}, requester, unknownPrincipal, []string{"ada", "bob"}},
		{"an address, which the provider is not given", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: "ada@example.gov"}
		}, requester, unknownPrincipal, []string{"ada", "bob"}},
		{"a SessionIndex that was never issued", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{"_other"}}
		}, requester, unknownPrincipal, []string{"ada", "bob"}},
		{"another person's SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.bob.index}}
		}, requester, unknownPrincipal, []string{"ada", "bob"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			r := tt.request(w)
			checkLogoutResponse(t, w.ada.browser.Get(w.a.LogoutURL(r)), w.a, r, tt.status, tt.detail)
			w.wantSignedIn(tt.left...)
		})
	}
}

// A message that is not correctly signed, fresh and addressed to us ends nothing and gets no
// answer, with either binding.
func TestUnverifiedLogoutIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(w *deployment, r *idptest.LogoutRequest)
		words  string
	}{
		{"unsigned", func(_ *deployment, r *idptest.LogoutRequest) { r.Unsigned = true }, "signature_missing"},
		{"another key", func(_ *deployment, r *idptest.LogoutRequest) { r.Key = idptest.OtherKey() }, "signature_mismatch"},
		{"another year's address", func(w *deployment, r *idptest.LogoutRequest) { r.Destination = w.URL + "/api/saml/logout1999" }, "destination"},
		{"the back channel's address", func(w *deployment, r *idptest.LogoutRequest) {
			r.Destination = w.URL + "/api/saml/remotelogout" + string(w.Year())
		}, "destination"},
		{"old", func(w *deployment, r *idptest.LogoutRequest) { r.IssuedAt = w.Clock.Now().Add(-7 * time.Minute) }, "issue_instant_old"},
		{"from the future", func(w *deployment, r *idptest.LogoutRequest) { r.IssuedAt = w.Clock.Now().Add(2 * time.Minute) }, "issue_instant_future"},
		{"expired", func(w *deployment, r *idptest.LogoutRequest) { r.NotOnOrAfter = w.Clock.Now().Add(-2 * time.Minute) }, "not_on_or_after"},
		{"two people", func(w *deployment, r *idptest.LogoutRequest) {
			r.Subject = nameXML(w.ada.name) + nameXML(w.bob.name)
		}, "name_id_invalid"},
		{"a comment in the name", func(w *deployment, r *idptest.LogoutRequest) {
			r.Subject = strings.Replace(nameXML(w.ada.name), w.ada.name, w.ada.name[:5]+"<!-- -->"+w.ada.name[5:], 1)
		}, "xml_invalid"},
		{"a comment in the SessionIndex", func(w *deployment, r *idptest.LogoutRequest) {
			r.Subject = nameXML(w.ada.name) + "<samlp:SessionIndex>" + w.ada.index + "<!-- -->x</samlp:SessionIndex>"
		}, "xml_invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			for _, binding := range []string{"GET", "POST"} {
				r := &idptest.LogoutRequest{NameID: w.ada.name}
				tt.change(w, r)
				var page *idptest.Page
				if binding == "GET" {
					page = w.ada.browser.Get(w.a.LogoutURL(r))
				} else {
					page = w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
				}
				if page.Status != http.StatusBadRequest || page.Response() != nil || !strings.Contains(page.Text(), tt.words) {
					t.Errorf("%s: %d, want 400 and %q:\n%s", binding, page.Status, tt.words, page.Text())
				}
				w.wantSignedIn("ada", "bob")
			}
		})
	}
}

func nameXML(name string) string {
	return `<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + name + `</saml:NameID>`
}

// In a browser without a session the message still ends the sessions that it names. A message
// that names no existing session is answered with Success.
func TestLogoutNeedsNoBrowserSession(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	for _, r := range []*idptest.LogoutRequest{
		{NameID: "nobody"},
		{NameID: "nobody", SessionIndexes: []string{w.ada.index}},
		{NameID: w.ada.otherName},
		{NameID: w.ada.name, SessionIndexes: []string{"_over"}},
		{NameID: w.ada.name, SessionIndexes: []string{w.bob.index}},
		{NameID: w.ada.name, SessionIndexes: []string{w.bob.name}},
	} {
		checkLogoutResponse(t, w.Browser().Get(w.a.LogoutURL(r)), w.a, r, ok, "")
		w.wantSignedIn("ada", "bob")
	}
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	page := w.Browser().Get(w.a.LogoutURL(r))
	checkLogoutResponse(t, page, w.a, r, ok, partialLogout)
	if strings.Contains(page.Text(), "Test "+spB) {
		t.Errorf("a browser without the session learns where its user was:\n%s", page.Text())
	}
	w.wantSignedIn("bob")
	r = &idptest.LogoutRequest{NameID: w.bob.name, SessionIndexes: []string{w.bob.name}}
	checkLogoutResponse(t, w.Browser().Get(w.a.LogoutURL(r)), w.a, r, ok, partialLogout)
	w.wantSignedIn()
}

// A link alone signs no user out, the page asks first.
func TestLogoutLinkAsksFirst(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	page := w.ada.browser.Get(w.URL + "/api/saml/logout" + string(w.Year()))
	if page.Status != http.StatusOK || !strings.Contains(page.Text(), "Do you want to sign out?") {
		t.Fatalf("%d:\n%s", page.Status, page.Text())
	}
	w.wantSignedIn("ada", "bob")
	page = w.ada.browser.Post(page.Form().Action, page.Form().Fields)
	if !strings.Contains(page.Text(), "You are signed out") {
		t.Errorf("%d:\n%s", page.Status, page.Text())
	}
	w.wantSignedIn("bob")
	if page := w.bob.browser.CrossSitePost("/account/sign-out", nil); page.Status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", page.Status)
	}
	w.wantSignedIn("bob")
}

// A valid message at the wrong URL is refused, and so is a stolen continue URL.
func TestMessageAtOtherEndpointIsRefused(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	login := &idptest.Request{}
	to := strings.Replace(w.a.URL(login), "/api/saml/auth", "/api/saml/logout", 1)
	if page := w.ada.browser.Get(to); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "message_type") {
		t.Errorf("an AuthnRequest at the logout address: %d\n%s", page.Status, page.Text())
	}
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	to = strings.Replace(w.a.LogoutURL(r), "/api/saml/logout", "/api/saml/auth", 1)
	if page := w.ada.browser.Get(to); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "message_type") {
		t.Errorf("a LogoutRequest at the sign-in address: %d\n%s", page.Status, page.Text())
	}
	w.wantSignedIn("ada", "bob")

	// An attacker posts a request and sends a victim to the URL of the redirect.
	r = &idptest.LogoutRequest{NameID: w.ada.name}
	there := w.bob.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r)).URL
	page := w.ada.browser.Get(there.String())
	if page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "other_browser") || strings.Contains(page.Text(), spA) {
		t.Errorf("another browser's request: %d\n%s", page.Status, page.Text())
	}
	w.wantSignedIn("ada", "bob")
}

// otherCert is a certificate that signed nothing.
var otherCert = func() string {
	text, err := os.ReadFile("../../testdata/keys/sp2.crt")
	if err != nil {
		panic(err)
	}
	return string(text)
}()

// Permissions that are withdrawn between a POST and its continue URL are not used.
func TestWithdrawnSPCannotContinueLogout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*idp.ServiceProvider)
		words  string
	}{
		{"the provider", func(p *idp.ServiceProvider) { p.Active = false }, "sp_inactive"},
		{"its logout address", func(p *idp.ServiceProvider) { p.LogoutURL = "" }, "no_logout_url"},
		{"its certificate", func(p *idp.ServiceProvider) { p.Certs = []string{otherCert} }, "signature_mismatch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			r := &idptest.LogoutRequest{NameID: w.ada.name}
			resp, to := w.ada.browser.CrossSitePostOnly(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
			resp.Body.Close()
			w.a.Edit(tt.change)
			page := w.ada.browser.Get(to)
			if page.Status != http.StatusBadRequest || page.Response() != nil || !strings.Contains(page.Text(), tt.words) {
				t.Errorf("%d, want 400 and %q:\n%s", page.Status, tt.words, page.Text())
			}
			w.wantSignedIn("ada", "bob")
		})
	}
}

// With sign_logout_response the year's key signs the response. Without a logout URL there is
// no answer.
func TestLogoutResponseIsSignedWhereConfigured(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, func(p *idp.ServiceProvider) { p.SignLogoutResponse = true })
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	page := w.ada.browser.Get(w.a.LogoutURL(r))
	checkLogoutResponse(t, page, w.a, r, ok, "")
	if err := w.a.CheckLogout(r, page.Response()); err != nil {
		t.Errorf("the provider refuses the LogoutResponse: %v\n%s", err, page.Response())
	}
}

func TestLogoutAtRetiredYearAnswers410(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	year := w.Year()
	w.Retire(year)
	r := &idptest.LogoutRequest{NameID: w.ada.name, Year: year}
	page := w.ada.browser.Get(w.a.LogoutURL(r))
	if page.Status != http.StatusGone || page.Response() != nil || page.Form().Action != "/account/sign-out" {
		t.Fatalf("%d, form to %q:\n%s", page.Status, page.Form().Action, page.Text())
	}
	w.wantSignedIn("ada", "bob")
	w.ada.browser.Post(page.Form().Action, page.Form().Fields)
	w.wantSignedIn("bob")
}
