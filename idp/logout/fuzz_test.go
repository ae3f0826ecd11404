package logout_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vernal/idp/idptest/corpus"
	"vernal/idp/saml"
)

// fuzzDeployment is a corpusDeployment that receives fuzzed bytes: the whole handler over a
// real store, with two users signed in. The fuzzer starts from messages that the service
// providers signed and has no key, so whatever it makes of them, only those original messages
// may end sessions.
type fuzzDeployment struct {
	*corpusDeployment
	signed map[string]bool // see said
}

func newFuzzDeployment(f *testing.F) *fuzzDeployment {
	f.Helper()
	cases := corpus.Read(f)
	i := slices.IndexFunc(cases, func(c *corpus.Case) bool { return c.Name == "logout-bob" })
	w := &fuzzDeployment{newCorpusDeployment(f, cases[i].Now), map[string]bool{}}
	for _, c := range cases {
		if what := w.said(c.Inbound); what != "" {
			w.signed[what] = true
		}
	}
	if len(w.signed) < 10 {
		f.Fatalf("only %d messages of the corpus verify", len(w.signed))
	}
	return w
}

// said returns the content of a LogoutRequest that is signed by its sender, or "" for any
// other message.
func (w *fuzzDeployment) said(in saml.HTTPRequest) string {
	read := saml.Read
	if in.ContentType == "text/xml" {
		read = func(in saml.HTTPRequest) (*saml.Message, error) { return saml.ReadSOAP(in.Body) }
	}
	m, err := read(in)
	if err != nil {
		return ""
	}
	issuer, err := m.ClaimedIssuer()
	if err != nil {
		return ""
	}
	name := map[string]string{corpusSP1: "sp1", corpusSP2: "sp2"}[string(issuer)]
	if name == "" {
		return ""
	}
	root, _, err := m.Verify(corpus.Certs(w.t, name), true)
	if err != nil {
		return ""
	}
	r, err := saml.ParseLogoutRequest(root)
	if err != nil {
		return ""
	}
	return fmt.Sprint(r.Issuer, r.ID, r.IssueInstant, r.Destination, r.NotOnOrAfter, r.NameID, r.SessionIndexes)
}

// judge sends fuzzed bytes in the browser of a user ("" for one without a session).
func (w *fuzzDeployment) judge(t *testing.T, endpoint string, in saml.HTTPRequest, browser string) {
	w.t = t
	got := w.send(&corpus.Case{Inbound: in}, endpoint, browser)
	if got.status >= http.StatusInternalServerError {
		t.Errorf("%d\n%s", got.status, got.body)
	}
	doc := got.response()
	acted := doc != "" && !strings.Contains(doc, ":status:RequestDenied")
	if acted && !w.signed[w.said(in)] {
		t.Errorf("acted upon, and unsigned: %q\n%s", w.said(in), doc)
	}
	if who := w.listEnded(); len(who) > 0 {
		// One message ends sessions of one user only; in a browser with a session, of its
		// user.
		if !acted || len(who) > 1 || browser != "" && who[0] != browser || !strings.Contains(doc, ":status:Success") {
			t.Errorf("the sessions of %v ended, with %d\n%s", who, got.status, got.body)
		}
		w.signIn()
	}
	w.log.take(0)
}

// FuzzLogout sends queries and forms to the front channel, in ada's browser and in one without
// a session.
func FuzzLogout(f *testing.F) {
	w := newFuzzDeployment(f)
	for _, c := range corpus.Read(f) {
		if !c.IsSOAP() && len(c.Inbound.RawQuery)+len(c.Inbound.Body) < 16<<10 {
			for _, signedIn := range []bool{false, true} {
				f.Add(c.Inbound.Method == http.MethodPost, signedIn, c.Inbound.RawQuery, c.Inbound.ContentType, c.Inbound.Body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, post, signedIn bool, query, contentType string, body []byte) {
		in := saml.HTTPRequest{Method: http.MethodGet, RawQuery: query}
		if post {
			in.Method, in.ContentType, in.Body = http.MethodPost, contentType, body
		}
		w.judge(t, corpus.Logout, in, map[bool]string{true: "ada"}[signedIn])
	})
}

// FuzzRemoteLogout sends queries and forms to the back channel.
func FuzzRemoteLogout(f *testing.F) {
	w := newFuzzDeployment(f)
	for _, c := range corpus.Read(f) {
		if !c.IsSOAP() && c.Inbound.Method == http.MethodPost && len(c.Inbound.RawQuery)+len(c.Inbound.Body) < 16<<10 {
			f.Add(c.Inbound.RawQuery, c.Inbound.ContentType, c.Inbound.Body)
		}
	}
	f.Fuzz(func(t *testing.T, query, contentType string, body []byte) {
		if media := strings.ToLower(contentType); strings.Contains(media, "xml") {
			t.Skip("that of SOAP")
		}
		w.judge(t, corpus.RemoteLogout, saml.HTTPRequest{Method: http.MethodPost, RawQuery: query, ContentType: contentType, Body: body}, "ada")
	})
}

// FuzzSOAPLogout sends envelopes to the back channel.
func FuzzSOAPLogout(f *testing.F) {
	w := newFuzzDeployment(f)
	for _, c := range corpus.Read(f) {
		if c.IsSOAP() && len(c.Inbound.Body) < 16<<10 {
			f.Add(c.Inbound.Body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w.judge(t, corpus.RemoteLogout, saml.HTTPRequest{Method: http.MethodPost, ContentType: "text/xml", Body: body}, "ada")
	})
}
