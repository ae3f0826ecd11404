package logout_test

import (
	"encoding/base64"
	"encoding/pem"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/idptest/corpus"
	"vernal/idp/sp"
)

// These are the users of the corpus and the names that its service providers were sent.
// idp/saml/corpus_logout_test.go documents the same for authors of cases.
const (
	corpusBase = "https://idp.example.com"
	corpusSP1  = "https://sp1.example.com/metadata"
	corpusSP2  = "https://sp2.example.com/metadata"
)

var corpusPeople = []struct{ name, atSP1, atSP2 string }{
	{"ada", "0b6f7a52-3c1d-4e8f-9a2b-5d4c3b2a1f0e", "7d9e1c3b-5a4f-4b6d-8e2c-1f0a9b8c7d6e"},
	{"bob", "c4d3e2f1-0a9b-4c8d-b7e6-f5a4b3c2d1e0", "29b8a7c6-d5e4-4f3a-9b1c-0d9e8f7a6b5c"},
}

// corpusDeployment is an identity provider at which every user of the corpus is signed in,
// having used both service providers.
type corpusDeployment struct {
	*idptest.IdP
	t      testing.TB
	log    *buffer
	people map[string]*idptest.User
	// sp1 and sp2 sign with their keys of testdata/keys.
	sp1, sp2 *idptest.Provider
}

func newCorpusDeployment(t testing.TB, now time.Time) *corpusDeployment {
	t.Helper()
	w := &corpusDeployment{t: t, log: newBuffer(), people: map[string]*idptest.User{}}
	w.IdP = idptest.New(t, idptest.Options{
		Now: now, BaseURL: corpusBase, Key: corpus.Key(t, "idp"),
		Log: slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}),
	})
	add := func(id, name string) *idptest.Provider {
		p := w.AddProvider(id, func(p *idp.ServiceProvider) { p.Certs = corpusCerts(t, name) })
		p.Key, p.Cert = corpus.Key(t, name), corpus.Certs(t, name)[0]
		return p
	}
	w.sp1, w.sp2 = add(corpusSP1, "sp1"), add(corpusSP2, "sp2")
	for _, p := range corpusPeople {
		person := w.AddUser(p.name + "@example.gov")
		errs, err := w.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: person.Record, AlreadyExists: true, Event: idp.AuditEvent{Kind: idp.AuditUserImport}, NameIDs: map[idp.NameIDScope]idp.NameID{
			w.scope(corpusSP1): idp.NameID(p.atSP1), w.scope(corpusSP2): idp.NameID(p.atSP2),
		}}})
		if err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		w.people[p.name] = person
	}
	w.signIn()
	return w
}

func corpusCerts(t testing.TB, names ...string) (certs []string) {
	for _, c := range corpus.Certs(t, names...) {
		certs = append(certs, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	return certs
}

func (w *corpusDeployment) scope(id idp.EntityID) idp.NameIDScope {
	w.t.Helper()
	p, err := w.Registry.Lookup(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.NameIDScope
}

// signIn creates a session for every user without one.
func (w *corpusDeployment) signIn() {
	w.t.Helper()
	for _, p := range corpusPeople {
		if slices.Contains(w.listSignedIn(), p.name) {
			continue
		}
		now := w.Clock.Now()
		s := &idp.Session{
			ID: idp.HashSessionToken("token of " + p.name), User: w.people[p.name].Record.ID,
			CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: now.Add(time.Hour),
			Participants: []idp.Participant{
				{SP: corpusSP1, NameID: idp.NameID(p.atSP1), SessionIndexes: []string{"_" + p.name + "-at-sp1"}, Year: "2026", At: now},
				{SP: corpusSP2, NameID: idp.NameID(p.atSP2), SessionIndexes: []string{"_" + p.name + "-at-sp2"}, Year: "2026", At: now},
			},
		}
		if err := w.Store.StartSession(w.t.Context(), idp.SessionStart{Session: s}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *corpusDeployment) listSignedIn() (who []string) {
	w.t.Helper()
	for _, p := range corpusPeople {
		all, err := w.Store.Sessions(w.t.Context(), idp.SessionQuery{User: w.people[p.name].Record.ID})
		if err != nil {
			w.t.Fatal(err)
		}
		for range all {
			who = append(who, p.name)
		}
	}
	return who
}

// listEnded returns the users whose sessions have ended.
func (w *corpusDeployment) listEnded() (who []string) {
	w.t.Helper()
	left := w.listSignedIn()
	for _, p := range corpusPeople {
		if !slices.Contains(left, p.name) {
			who = append(who, p.name)
		}
	}
	return who
}

// answer is the final response.
type answer struct {
	status int
	body   string
}

// send delivers a case to an endpoint of 2026, in the browser of a user ("" for one without a
// session) or, to the back channel, from a server. A browser posts without its session's
// cookie and then follows the redirect with it.
func (w *corpusDeployment) send(c *corpus.Case, endpoint, browser string) answer {
	w.t.Helper()
	target := corpusBase + "/api/saml/" + endpoint + "2026"
	if c.Inbound.RawQuery != "" {
		target += "?" + c.Inbound.RawQuery
	}
	r := httptest.NewRequest(c.Inbound.Method, "/", strings.NewReader(string(c.Inbound.Body)))
	r.URL = &url.URL{Scheme: "https", Host: "idp.example.com", Path: "/api/saml/" + endpoint + "2026", RawQuery: c.Inbound.RawQuery}
	r.Host, r.RequestURI = r.URL.Host, r.URL.RequestURI()
	r.Header.Set("Accept", "text/html")
	if c.Inbound.ContentType != "" {
		r.Header.Set("Content-Type", c.Inbound.ContentType)
	}
	session := &http.Cookie{Name: "__Host-vernal-session", Value: "token of " + browser}
	if endpoint == corpus.Logout && browser != "" && c.Inbound.Method == http.MethodGet {
		r.AddCookie(session)
	}
	rec := httptest.NewRecorder()
	w.Handler.ServeHTTP(rec, r)
	if rec.Code == http.StatusSeeOther {
		next := httptest.NewRequest(http.MethodGet, rec.Header().Get("Location"), nil)
		next.Host = "idp.example.com"
		next.Header.Set("Accept", "text/html")
		for _, cookie := range rec.Result().Cookies() {
			next.AddCookie(cookie)
		}
		if browser != "" {
			next.AddCookie(session)
		}
		rec = httptest.NewRecorder()
		w.Handler.ServeHTTP(rec, next)
	}
	body, _ := io.ReadAll(rec.Body)
	return answer{rec.Code, string(body)}
}

var responseField = regexp.MustCompile(`name="SAMLResponse" value="([^"]*)"`)

// response returns the LogoutResponse, also from the form of a page, or "" if there is none.
func (a answer) response() string {
	if m := responseField.FindStringSubmatch(a.body); m != nil {
		doc, _ := base64.StdEncoding.DecodeString(html.UnescapeString(m[1]))
		return string(doc)
	}
	if strings.Contains(a.body, "<samlp:LogoutResponse ") {
		return a.body
	}
	return ""
}

// register registers the certificates of the case for the sender and reports whether that is
// possible.
func (w *corpusDeployment) register(c *corpus.Case) bool {
	w.t.Helper()
	if strings.HasPrefix(c.Name, "logout-sp2") {
		return true // sent by the other SP, which keeps its certificates
	}
	change := func(p *idp.ServiceProvider) error {
		p.Certs, p.SignRequests = corpusCerts(w.t, c.Certs...), c.Signing
		return nil
	}
	_, err := w.Registry.Edit(w.t.Context(), corpusSP1, change, sp.Options{AllowInsecureURL: true}, "test")
	if bad := len(c.Certs) == 0 || slices.Contains(c.Certs, "weak"); err != nil && !bad {
		w.t.Fatal(err)
	}
	return err == nil
}

// Every message of the corpus, for whichever endpoint it was made, arrives at the logout URLs
// while users are signed in. Refused messages end no session and get no LogoutResponse through
// a browser.
func TestRefusedCorpusMessageEndsNoSession(t *testing.T) {
	t.Parallel()
	cases := corpus.Read(t)
	w := newCorpusDeployment(t, cases[0].Now)
	for _, c := range cases {
		if c.Verdict == "accepted" && c.Endpoint != corpus.Auth {
			continue
		}
		w.Clock.Advance(c.Now.Sub(w.Clock.Now()))
		if !w.register(c) {
			continue
		}
		for _, endpoint := range []string{corpus.Logout, corpus.RemoteLogout} {
			if endpoint == corpus.RemoteLogout && c.Inbound.Method != http.MethodPost {
				continue
			}
			if c.Endpoint != endpoint && strings.Contains(c.Message, ` Destination="`+corpusBase+"/api/saml/"+endpoint+`2026"`) {
				continue // the endpoint that the case is for
			}
			got := w.send(c, endpoint, "ada")
			w.checkLog(c)
			if who := w.listEnded(); len(who) > 0 {
				t.Errorf("%s at %s ends the sessions of %v", c.Name, endpoint, who)
				w.signIn()
			}
			soap := endpoint == corpus.RemoteLogout && c.HasSOAPType()
			if doc := got.response(); soap && (got.status != 200 || strings.Contains(doc, ":status:Success")) || !soap && doc != "" || got.status >= 500 {
				t.Errorf("%s at %s: %d\n%s", c.Name, endpoint, got.status, got.body)
			}
			if code := strings.Fields(c.Verdict); c.Endpoint == endpoint && !strings.Contains(got.body, code[1]) {
				t.Errorf("%s at %s: %d, want %s\n%s", c.Name, endpoint, got.status, code[1], got.body)
			}
		}
	}
	w.checkTrail()
}

// Accepted messages end the sessions that they name and no others, once. In another user's
// browser they end nothing.
func TestAcceptedCorpusMessageEndsNamedSession(t *testing.T) {
	t.Parallel()
	for _, c := range corpus.Read(t) {
		if c.Verdict != "accepted" || c.Endpoint == corpus.Auth {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			w := newCorpusDeployment(t, c.Now)
			w.register(c)
			got := w.send(c, c.Endpoint, "ada")
			if doc := got.response(); !strings.Contains(doc, ":status:"+c.Status) {
				t.Errorf("%d, want a LogoutResponse with %s:\n%s", got.status, c.Status, got.body)
			}
			if who := w.listEnded(); !slices.Equal(who, c.EndedUsers) {
				t.Errorf("it ends the sessions of %v, want %v", who, c.EndedUsers)
			}
			w.Clock.Advance(time.Second) // so that the new sessions begin after the message came
			w.signIn()
			if again := w.send(c, c.Endpoint, "ada"); c.Endpoint == corpus.RemoteLogout && again.response() == "" {
				t.Errorf("the same again: %d\n%s", again.status, again.body)
			}
			if who := w.listEnded(); len(who) > 0 {
				t.Errorf("the same again ends the sessions of %v", who)
			}
			w.checkLog(c)
			w.checkTrail()
			if c.Endpoint == corpus.RemoteLogout {
				return
			}
			w = newCorpusDeployment(t, c.Now)
			w.register(c)
			w.send(c, c.Endpoint, "bob")
			w.checkLog(c)
			if who := w.listEnded(); !strings.Contains(c.Name, "bob") && len(who) > 0 {
				t.Errorf("in bob's browser it ends the sessions of %v", who)
			}
		})
	}
}
