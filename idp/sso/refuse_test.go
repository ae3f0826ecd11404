package sso_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/xmldsig"
)

func TestBadRequestGetsExplainedRefusal(t *testing.T) {
	t.Parallel()
	log := &buffer{}
	i := idptest.New(t, idptest.Options{Log: slog.NewJSONHandler(log, nil)})
	a := i.AddProvider(spA)
	b := i.AddProvider(spB)
	stranger := *a
	stranger.EntityID = "https://stranger.example"
	inactive := i.AddProvider("https://old.example", func(p *idp.ServiceProvider) { p.Active = false })
	loose := i.AddProvider("https://loose.example", func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	post := "/api/saml/auth" + string(i.Year())
	message := func(w *idptest.Browser, text string) *idptest.Page {
		return w.CrossSitePost(post, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(text))}})
	}
	xml, issuerEnds := loose.XML(&idptest.Request{})
	anonymous := xml[:strings.Index(xml, "<saml:Issuer")] + xml[issuerEnds:]

	tests := []struct {
		name string
		page func(*idptest.Browser) *idptest.Page
		says []string // the field, the seen value, and part of the fix
	}{
		{"unsigned", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{Unsigned: true}))
		}, []string{"Signature"}},
		{"unsigned by POST", func(w *idptest.Browser) *idptest.Page {
			return w.CrossSitePost(post, a.Form(&idptest.Request{Unsigned: true}))
		}, []string{"Signature"}},
		{"another key", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{Key: idptest.OtherKey()}))
		}, []string{"Signature"}},
		{"ACS not registered", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{ACS: "https://evil.example/acs"}))
		}, []string{"AssertionConsumerServiceURL", "https://evil.example/acs"}},
		{"ACS of another provider", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{ACS: b.ACS}))
		}, []string{"AssertionConsumerServiceURL", b.ACS}},
		{"unknown issuer", func(w *idptest.Browser) *idptest.Page {
			return w.Get(stranger.URL(&idptest.Request{}))
		}, []string{"Issuer", stranger.EntityID}},
		{"inactive provider", func(w *idptest.Browser) *idptest.Page {
			return w.Get(inactive.URL(&idptest.Request{}))
		}, []string{"Issuer", inactive.EntityID}},
		{"too old", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{IssuedAt: i.Clock.Now().Add(-7 * time.Minute)}))
		}, []string{"IssueInstant"}},
		{"from the future", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{IssuedAt: i.Clock.Now().Add(2 * time.Minute)}))
		}, []string{"IssueInstant"}},
		{"address as NameID without leave", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{Format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}))
		}, []string{"NameIDPolicy", "emailAddress"}},
		{"unknown context", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{ClassRefs: []string{"urn:example:nonsense"}}))
		}, []string{"AuthnContextClassRef", "urn:example:nonsense"}},
		{"more than the provider may ask", func(w *idptest.Browser) *idptest.Page {
			return w.Get(a.URL(&idptest.Request{ClassRefs: []string{"urn:acr.login.gov:verified"}}))
		}, []string{"AuthnContextClassRef", "urn:acr.login.gov:verified"}},
		{"more contexts than are kept", func(w *idptest.Browser) *idptest.Page {
			return w.CrossSitePost(post, a.Form(&idptest.Request{ClassRefs: slices.Repeat([]string{reqAttr + strings.Repeat("x", 900)}, 9)}))
		}, []string{"AuthnContextClassRef", "request_too_large"}},
		{"no issuer", func(w *idptest.Browser) *idptest.Page { return message(w, anonymous) }, []string{"Issuer", "issuer_invalid"}},
		{"another message", func(w *idptest.Browser) *idptest.Page {
			return message(w, strings.ReplaceAll(xml, "AuthnRequest", "LogoutRequest"))
		}, []string{"LogoutRequest", "message_type"}},
		{"nothing", func(w *idptest.Browser) *idptest.Page { return w.Get(i.URL + post) }, []string{"SAMLRequest"}},
		{"not base64", func(w *idptest.Browser) *idptest.Page {
			return w.Get(i.URL + post + "?SAMLRequest=%21%21")
		}, []string{"SAMLRequest"}},
		{"not XML", func(w *idptest.Browser) *idptest.Page {
			return w.CrossSitePost(post, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte("<a"))}})
		}, []string{"SAMLRequest"}},
		{"unknown request", func(w *idptest.Browser) *idptest.Page {
			return w.Get(i.URL + "/sign-in/continue?request=nonsense")
		}, nil},
		{"unknown request at the sign-in page", func(w *idptest.Browser) *idptest.Page {
			return w.Get(i.URL + "/sign-in?request=nonsense")
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := tt.page(i.Browser())
			checkRefusal(t, page, http.StatusBadRequest, tt.says...)
			if len(tt.says) > 0 && page.URL.Path != post {
				t.Errorf("the request was kept before it was refused, at %s", page.URL)
			}
			verified := strings.HasPrefix(tt.name, "ACS ")
			if strings.Contains(string(page.Body), a.ACS) != verified {
				t.Errorf("the page quotes the registered URL: %v, the sender is verified: %v", !verified, verified)
			}
			id := errorID.FindString(page.Text())
			if id == "" {
				t.Fatalf("no error id on the page:\n%s", page.Text())
			}
			if !strings.Contains(log.String(), id) {
				t.Errorf("error id %s is not in the log", id)
			}
		})
	}
}

// In every format, only a sender with a verified signature learns which registered URL was
// probably meant. No sender learns which certificates are registered.
func TestRegisteredValuesAreDisclosedToVerifiedSendersOnly(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	loose := i.AddProvider("https://loose.example", func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	forged := *a
	forged.Key, forged.Cert = idptest.OtherKey(), i.NewOtherCert()
	fingerprint := func(p *idptest.Provider) string { return fmt.Sprintf("%x", sha256.Sum256(p.Cert.Raw)) }
	send := func(method, address string, form url.Values, accept string) string {
		t.Helper()
		r := httptest.NewRequest(method, address, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", accept)
		got := httptest.NewRecorder()
		i.Handler.ServeHTTP(got, r)
		if got.Code != http.StatusBadRequest || !strings.HasPrefix(got.Header().Get("Content-Type"), accept) {
			t.Fatalf("%s: %d %s", accept, got.Code, got.Header().Get("Content-Type"))
		}
		return got.Body.String()
	}
	for _, tt := range []struct {
		name     string
		sender   *idptest.Provider
		request  idptest.Request
		code     string
		verified bool
	}{
		{"signed", a, idptest.Request{ACS: a.ACS + "/"}, "acs_url", true},
		{"signed, where it is optional", loose, idptest.Request{ACS: loose.ACS + "/"}, "acs_url", true},
		{"unsigned", loose, idptest.Request{ACS: loose.ACS + "/", Unsigned: true}, "acs_url", false},
		{"unsigned, without leave", a, idptest.Request{ACS: a.ACS + "/", Unsigned: true}, "signature_missing", false},
		{"another key", &forged, idptest.Request{ACS: a.ACS + "/"}, "signature_mismatch", false},
	} {
		post := i.URL + "/api/saml/auth" + string(i.Year())
		for _, accept := range []string{"text/html", "text/plain", "application/json"} {
			byGet, byPost := tt.request, tt.request
			for binding, body := range map[string]string{
				"GET":  send(http.MethodGet, tt.sender.URL(&byGet), nil, accept),
				"POST": send(http.MethodPost, post, tt.sender.Form(&byPost), accept),
			} {
				if !strings.Contains(body, tt.code) {
					t.Errorf("%s by %s, %s: want code %s in\n%s", tt.name, binding, accept, tt.code, body)
				}
				quoted := strings.Contains(strings.ReplaceAll(body, tt.request.ACS, ""), tt.sender.ACS)
				if quoted != tt.verified {
					t.Errorf("%s by %s, %s: the registered URL is quoted: %v", tt.name, binding, accept, quoted)
				}
				if strings.Contains(body, fingerprint(a)) || strings.Contains(body, fingerprint(loose)) {
					t.Errorf("%s by %s, %s: the registered certificate is quoted", tt.name, binding, accept)
				}
				if tt.sender == &forged && !strings.Contains(body, xmldsig.AlgorithmRSASHA256) {
					t.Errorf("%s by %s, %s: the algorithm is missing:\n%s", tt.name, binding, accept, body)
				}
				if got, want := strings.Contains(body, fingerprint(&forged)), tt.sender == &forged && binding == "POST"; got != want {
					t.Errorf("%s by %s, %s: the fingerprint of the certificate in the message is there: %v", tt.name, binding, accept, got)
				}
			}
		}
	}
}

// A form that is too long is not read to its end, and the refusal says that it is too long.
func TestTooLongFormIsRefused(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	page := i.Browser().CrossSitePost("/api/saml/auth"+string(i.Year()), url.Values{"SAMLRequest": {strings.Repeat("A", 2<<20)}})
	checkRefusal(t, page, http.StatusRequestEntityTooLarge, "too large")
}

var errorID = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{16}\b`)

func TestUnsignedIsAcceptedWhereOptional(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	person := i.AddUser("ada@example.gov")
	r := &idptest.Request{Unsigned: true}
	accept(t, a, r, signIn(i.Browser(), a, r, person))
	checkRefusal(t, i.Browser().Get(a.URL(&idptest.Request{Key: idptest.OtherKey()})), http.StatusBadRequest, "Signature")
}

func TestRetiredYearAnswers410AndUnknown404(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	year := i.Year()
	old := string(year) + "a"
	i.Retire(idp.Year(old))

	tests := []struct {
		name, method, path, accept string
		status                     int
		says                       string
	}{
		{"never was", http.MethodGet, "/api/saml/auth1999", "text/html", 404, "<html"},
		{"never was, for a program", http.MethodGet, "/api/saml/metadata1999", "", 404, ""},
		{"no year", http.MethodGet, "/api/saml/auth", "text/html", 404, "<html"},
		{"not a year", http.MethodGet, "/api/saml/auth20x6", "text/html", 404, "<html"},
		{"retired", http.MethodGet, "/api/saml/auth" + old, "text/html", 410, "/api/saml/auth" + string(year)},
		{"retired, for a program", http.MethodGet, "/api/saml/metadata" + old, "", 410, "/api/saml/metadata" + string(year)},
		{"certificate of a retired year", http.MethodGet, "/api/saml/certificate" + old + ".pem", "", 200, "BEGIN CERTIFICATE"},
		{"wrong method", http.MethodDelete, "/api/saml/auth" + string(year), "text/html", 405, ""},
		{"metadata by POST", http.MethodPost, "/api/saml/metadata" + string(year), "text/html", 405, ""},
		{"metadata by HEAD", http.MethodHead, "/api/saml/metadata" + string(year), "", 200, ""},
		{"auth by HEAD", http.MethodHead, strings.TrimPrefix(a.URL(&idptest.Request{}), i.URL), "", 200, ""},
		{"auth by HEAD with junk", http.MethodHead, "/api/saml/auth" + string(year) + "?SAMLRequest=x", "", 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), tt.method, i.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.accept != "" {
				req.Header.Set("Accept", tt.accept)
			}
			resp, err := i.Client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body bytes.Buffer
			_, _ = body.ReadFrom(resp.Body)
			if resp.StatusCode != tt.status || !strings.Contains(body.String(), tt.says) {
				t.Errorf("status %d, want %d with %q:\n%s", resp.StatusCode, tt.status, tt.says, body.String())
			}
			if tt.status == 405 && resp.Header.Get("Allow") == "" {
				t.Error("no Allow header")
			}
			if tt.accept == "" && tt.status > 400 && strings.Contains(body.String(), "<html") {
				t.Error("HTML for a client that did not ask for it")
			}
		})
	}
}

// A year that is retired during a sign-in no longer signs anything.
func TestRetiredDuringSignIn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	browser, year := i.Browser(), i.Year()
	page := browser.Get(a.URL(&idptest.Request{Year: year}))
	i.Retire(year)
	checkRefusal(t, browser.SignIn(page, person), http.StatusGone)
}

func TestEveryYearSignsWithItsOwnKey(t *testing.T) {
	t.Parallel()
	emergency := rotation.DefaultPolicy().FirstYears(time.Now())[0] + "b"
	i := idptest.New(t, idptest.Options{Years: []idp.Year{emergency}})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	live := i.Years.Live(i.Clock.Now())
	if len(live) < 2 {
		t.Fatalf("%d live years, want two at least", len(live))
	}
	for _, e := range live {
		r := &idptest.Request{Year: e.Key.Year}
		accept(t, a, r, signIn(i.Browser(), a, r, person)) // checks against the metadata of that year alone
	}
}

// Many tabs that finish at once get one Response to one request, and a user gets one NameID.
func TestConcurrentTabsGetOneResponse(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	start := &idptest.Request{}
	accept(t, a, start, signIn(browser, a, start, person))

	one := &idptest.Request{}
	address := b.URL(one)
	var mu sync.Mutex
	var answered int
	names := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			page := browser.Get(address)
			fresh := &idptest.Request{}
			got := browser.Get(b.URL(fresh))
			assertion, err := b.Check(fresh, got.Response())
			mu.Lock()
			defer mu.Unlock()
			if page.Response() != nil {
				answered++
			}
			if err != nil {
				t.Errorf("Response refused: %v", err)
				return
			}
			names[assertion.Subject.NameID.Value] = true
		})
	}
	wg.Wait()
	if answered != 1 || len(names) != 1 {
		t.Errorf("one request was answered %d times; one person has %d NameIDs", answered, len(names))
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
