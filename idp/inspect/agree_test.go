package inspect_test

import (
	"encoding/pem"
	"fmt"
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
	"vernal/idp/inspect"
	"vernal/idp/sp"
)

const (
	corpusBase = "https://idp.example.com"
	corpusSP1  = "https://sp1.example.com/metadata"
	corpusSP2  = "https://sp2.example.com/metadata"
	adaAtSP1   = "0b6f7a52-3c1d-4e8f-9a2b-5d4c3b2a1f0e"
	adaAtSP2   = "7d9e1c3b-5a4f-4b6d-8e2c-1f0a9b8c7d6e"
)

// corpusIdP returns an identity provider as the messages of the corpus expect it, with ada
// signed in at both service providers.
func corpusIdP(t *testing.T, now time.Time) *idptest.IdP {
	t.Helper()
	i := idptest.New(t, idptest.Options{Now: now, BaseURL: corpusBase, Key: corpus.Key(t, "idp"), Log: slog.DiscardHandler})
	names := map[idp.NameIDScope]idp.NameID{}
	for id, key := range map[string]string{corpusSP1: "sp1", corpusSP2: "sp2"} {
		i.AddProvider(id, func(p *idp.ServiceProvider) {
			p.Certs = corpusCerts(t, key)
			p.ACSURLs = []string{"https://" + key + ".example.com/saml/acs"}
		})
		p, err := i.Registry.Lookup(t.Context(), idp.EntityID(id))
		if err != nil {
			t.Fatal(err)
		}
		names[p.NameIDScope] = map[string]idp.NameID{corpusSP1: adaAtSP1, corpusSP2: adaAtSP2}[id]
	}
	ada := i.AddUser("ada@example.gov")
	errs, err := i.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: ada.Record, AlreadyExists: true, NameIDs: names, Event: idp.AuditEvent{Kind: idp.AuditUserImport}}})
	if err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	at := i.Clock.Now()
	err = i.Store.StartSession(t.Context(), idp.SessionStart{Session: &idp.Session{
		ID: idp.HashSessionToken("ada"), User: ada.Record.ID, CreatedAt: at, SeenAt: at, AuthnAt: at, ExpiresAt: at.Add(time.Hour),
		Participants: []idp.Participant{
			{SP: corpusSP1, NameID: adaAtSP1, SessionIndexes: []string{"_ada-at-sp1"}, Year: "2026", At: at},
			{SP: corpusSP2, NameID: adaAtSP2, SessionIndexes: []string{"_ada-at-sp2"}, Year: "2026", At: at},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func corpusCerts(t *testing.T, names ...string) (certs []string) {
	for _, c := range corpus.Certs(t, names...) {
		certs = append(certs, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	return certs
}

// verdict is the result for a message: the code of the refusal, or the last part of the status
// of an answer. Both are "" if the message was accepted.
type verdict struct{ code, status string }

var (
	codeOnPage = regexp.MustCompile(`<dt>Reason code</dt>\s*<dd><code>([a-z_0-9]+)</code>`)
	codeInText = regexp.MustCompile(`(?m)^Reason code: ([a-z_0-9]+)$`)
	codeInSOAP = regexp.MustCompile(`<samlp:StatusMessage>([a-z_0-9]+) \(`)
	statusCode = regexp.MustCompile(`StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:(\w+)"`)
)

// serverSays sends a case to the server, without cookies.
func serverSays(t *testing.T, i *idptest.IdP, c *corpus.Case) verdict {
	t.Helper()
	r := httptest.NewRequest(c.Inbound.Method, "/", strings.NewReader(string(c.Inbound.Body)))
	r.URL = &url.URL{Scheme: "https", Host: "idp.example.com", Path: "/api/saml/" + c.Endpoint + "2026", RawQuery: c.Inbound.RawQuery}
	r.Host, r.RequestURI = r.URL.Host, r.URL.RequestURI()
	r.Header.Set("Accept", "text/html")
	if c.Inbound.ContentType != "" {
		r.Header.Set("Content-Type", c.Inbound.ContentType)
	}
	rec := httptest.NewRecorder()
	i.Handler.ServeHTTP(rec, r)
	body, _ := io.ReadAll(rec.Body)
	for _, re := range []*regexp.Regexp{codeOnPage, codeInText, codeInSOAP} {
		if m := re.FindSubmatch(body); m != nil {
			return verdict{code: string(m[1])}
		}
	}
	if c.Endpoint == corpus.RemoteLogout {
		all := statusCode.FindAllSubmatch(body, -1)
		if len(all) == 0 {
			t.Fatalf("%s: %d without a code\n%s", c.Name, rec.Code, body)
		}
		return verdict{status: string(all[len(all)-1][1])}
	}
	if rec.Code >= 400 {
		return verdict{code: fmt.Sprint(rec.Code)}
	}
	return verdict{}
}

// inspectorSays returns the first refusal of a report, because the server stops there.
func inspectorSays(r *inspect.Report) (v verdict) {
	for _, c := range r.Checks {
		if c.Outcome == inspect.OutcomeRefused && c.Code != "" {
			return verdict{code: string(c.Code)}
		}
		if c.Outcome == inspect.OutcomeRefused && c.Status == "" {
			return verdict{code: c.Field}
		}
		if c.Status != "" {
			v.status = c.Status[strings.LastIndexByte(c.Status, ':')+1:]
		}
	}
	return v
}

// unknowable lists the cases in which the inspector lacks information that the server decides
// by.
var unknowable = map[string]string{
	"logout-soap-no-envelope": "XML without an envelope does not say by which Content-Type it was sent",
	"param-multipart":         "parameters do not say by which Content-Type they were sent",
}

// statusUnknown lists the endpoints whose status is not compared, with the reason.
var statusUnknown = map[string]string{
	corpus.Auth:   "it comes after the user signed in",
	corpus.Logout: "it depends on the session of the browser, which its cookie names; the inspector warns",
}

// mixed reports whether a case uses the query and the body of one request. A paste separates
// the two.
func mixed(c *corpus.Case) bool {
	return c.Inbound.Method == http.MethodPost && c.Inbound.RawQuery != ""
}

// asSent returns a case as pasted text, and as it is found at best.
func asSent(c *corpus.Case) (text string, sent inspect.FoundMessage) {
	address := corpusBase + "/api/saml/" + c.Endpoint + "2026"
	switch {
	case c.IsSOAP():
		return string(c.Inbound.Body), inspect.FoundMessage{XML: string(c.Inbound.Body), URL: address}
	case c.Inbound.Method == http.MethodPost:
		query := string(c.Inbound.Body)
		return "POST " + address + " HTTP/1.1\nHost: idp.example.com\n\n" + query, inspect.FoundMessage{Query: query, URLQuery: c.Inbound.RawQuery, URL: address, Post: true}
	}
	return address + "?" + c.Inbound.RawQuery, inspect.FoundMessage{Query: c.Inbound.RawQuery, URL: address}
}

// TestInspectorAgreesWithServer checks that the inspector reports for every message of the
// corpus what the server does with it.
func TestInspectorAgreesWithServer(t *testing.T) {
	t.Parallel()
	cases := corpus.Read(t)
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint("part ", part), func(t *testing.T) {
			t.Parallel()
			var i *idptest.IdP
			for n, c := range cases {
				if n%parts != part {
					continue
				}
				if i == nil {
					i = corpusIdP(t, c.Now)
				}
				i.Clock.Advance(c.Now.Sub(i.Clock.Now()))
				if !registerCase(t, i, c) {
					continue // no such registration is possible
				}
				text, sent := asSent(c)
				ours := inspectorSays(inspectMessage(t, inspector(i), inspect.Message{FoundMessage: sent, AssumedAt: c.Now}))
				pasted := inspectorSays(inspectText(t, inspector(i), text, c.Now))
				theirs := serverSays(t, i, c)
				if statusUnknown[c.Endpoint] != "" {
					ours.status, pasted.status = "", ""
				}
				if why, ok := unknowable[c.Name]; ok {
					if ours == theirs && pasted == theirs {
						t.Errorf("%s agrees by now: %s", c.Name, why)
					}
				} else if ours != theirs {
					t.Errorf("%s: the inspector says %q, the server %q (%s)", c.Name, ours, theirs, c.Verdict)
				} else if pasted != theirs && !mixed(c) {
					t.Errorf("%s, pasted: the inspector says %q, the server %q (%s)", c.Name, pasted, theirs, c.Verdict)
				}
				if theirs.code == "" {
					i = nil // its ID is used up
				}
			}
		})
	}
	for name := range unknowable {
		if !slices.ContainsFunc(cases, func(c *corpus.Case) bool { return c.Name == name }) {
			t.Errorf("no case %s", name)
		}
	}
}

// registerCase gives the sender of a case the matching registration.
func registerCase(t *testing.T, i *idptest.IdP, c *corpus.Case) bool {
	t.Helper()
	if strings.HasPrefix(c.Name, "logout-sp2") {
		return true
	}
	_, err := i.Registry.Edit(t.Context(), corpusSP1, func(p *idp.ServiceProvider) error {
		p.Certs, p.SignRequests = corpusCerts(t, c.Certs...), c.Signing
		if c.Endpoint != corpus.Auth && len(c.Certs) > 0 {
			p.SignRequests = idp.SignRequestsOptional // must not affect a sign-out
		}
		return nil
	}, sp.Options{AllowInsecureURL: true}, "test")
	return err == nil
}
