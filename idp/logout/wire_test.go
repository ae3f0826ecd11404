package logout_test

import (
	"bytes"
	"encoding/base64"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

const partialLogout = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"

// buffer collects the server's log.
type buffer struct {
	mu    sync.Mutex
	grown sync.Cond
	b     bytes.Buffer
}

func newBuffer() *buffer {
	b := new(buffer)
	b.grown.L = &b.mu
	return b
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.grown.Broadcast()
	return b.b.Write(p)
}

// logoutLine matches the log line of a request to a logout URL.
var logoutLine = regexp.MustCompile(`"path":"/(api/saml/(remote)?logout|account/sign-out)`)

// take returns the log since the last call, once it contains that many logout requests. A
// request is logged only after its answer is on the way.
func (b *buffer) take(requests int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(logoutLine.FindAllIndex(b.b.Bytes(), -1)) < requests {
		b.grown.Wait()
	}
	s := b.b.String()
	b.b.Reset()
	return s
}

// loggedDeployment returns a deployment with a readable log.
func loggedDeployment(t *testing.T, change ...func(*idp.ServiceProvider)) (*deployment, *buffer) {
	t.Helper()
	log := newBuffer()
	w := fillDeployment(t, idptest.New(t, idptest.Options{Log: slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})}), change...)
	return w, log
}

// The answer through the browser reports, within its Success, whether the user may still be
// signed in at other SPs. Without a session there is nothing to report, and the back channel
// never reports it.
func TestLogoutReportsPartialLogout(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	alone := visitor{User: w.ada.User, browser: w.Browser()}
	_, aloneIndex := w.signIn(&alone, w.a)
	check := func(what string, got *idptest.Answer, want string) {
		t.Helper()
		if got.Response == nil || got.Response.Status.StatusCode.Value != ok {
			t.Fatalf("%s: %d\n%s", what, got.Status, got.Body)
		}
		detail := ""
		if c := got.Response.Status.StatusCode.StatusCode; c != nil {
			detail = c.Value
		}
		if detail != want {
			t.Errorf("%s: detail %q, want %q", what, detail, want)
		}
	}
	front := func(b *idptest.Browser, r *idptest.LogoutRequest) *idptest.Answer {
		page := b.Get(w.a.LogoutURL(r))
		return &idptest.Answer{Status: page.Status, Body: page.Text(), Response: page.LogoutResponse()}
	}
	other := visitor{User: w.ada.User, browser: w.Browser()}
	_, index := w.signIn(&other, w.a)
	check("one session of two, by the back channel", w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{index}}), "")
	check("used alone", front(alone.browser, &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{aloneIndex}}), "")
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	check("used with another", front(w.ada.browser, r), partialLogout)
	check("the same again", front(w.ada.browser, r), partialLogout)
	check("no user signed in", front(w.ada.browser, &idptest.LogoutRequest{NameID: w.ada.name}), "")

	w.wantSignedIn("bob")
	remote := &idptest.LogoutRequest{NameID: w.bob.name}
	check("back channel", w.a.SendSOAPLogout(remote), "")
	check("the same again", w.a.SendSOAPLogout(remote), "")
	check("no user signed in", w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.bob.name}), "")
	w.wantSignedIn()
}

// RelayState is returned unchanged, even beyond the standard's 80 bytes, which is logged
// without the value. Beyond our limit it is refused. A POST is answered with 303 only.
func TestLogoutReturnsRelayState(t *testing.T) {
	t.Parallel()
	w, log := loggedDeployment(t)
	for _, tt := range []struct {
		name  string
		bytes int
		noted bool
		code  int
	}{
		{"the standard's bound", 80, false, http.StatusOK},
		{"one more", 81, true, http.StatusOK},
		{"our bound", 2048, true, http.StatusOK},
		{"beyond", 2049, false, http.StatusBadRequest},
	} {
		for _, binding := range []string{"GET", "POST"} {
			state := strings.Repeat("&<\"ü+ ", tt.bytes)[:tt.bytes-1] + "!"
			r := &idptest.LogoutRequest{NameID: "nobody", RelayState: strings.ToValidUTF8(state, "?")}
			var page *idptest.Page
			requests := 1
			if binding == "GET" {
				page = w.ada.browser.Get(w.a.LogoutURL(r))
			} else {
				resp, to := w.ada.browser.CrossSitePostOnly(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
				resp.Body.Close()
				if tt.code == http.StatusOK && (resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, w.URL+"/account/sign-out/continue?request=")) {
					t.Fatalf("%s: POST is answered with %d to %q", tt.name, resp.StatusCode, to)
				}
				if tt.code != http.StatusOK && resp.StatusCode == tt.code {
					log.take(1)
					continue
				}
				page = w.ada.browser.Get(to)
				requests++
			}
			if page.Status != tt.code {
				t.Fatalf("%s by %s: %d, want %d\n%s", tt.name, binding, page.Status, tt.code, page.Text())
			}
			if tt.code == http.StatusOK {
				checkLogoutResponse(t, page, w.a, r, requester, unknownPrincipal)
			}
			lines := log.take(requests)
			if strings.Contains(lines, `"relay_state_bytes":`) != tt.noted || strings.Contains(lines, "ü+") {
				t.Errorf("%s by %s: logged\n%s", tt.name, binding, lines)
			}
		}
	}
	w.wantSignedIn("ada", "bob")
}

// The page may post only to the registered URL and to the URLs to which the provider says that
// a post leads on.
func TestLogoutFormPostsOnlyToRegisteredURLs(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, func(p *idp.ServiceProvider) {
		p.LogoutURL = "https://slo.a.example:8443/bye"
		p.RedirectURIs = []string{"https://www.a.example/start", "https://slo.a.example:8443/again"}
	})
	nonces := map[string]bool{}
	for _, tt := range []struct {
		name string
		page *idptest.Page
		want string
	}{
		{"with redirect_uris", w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name})), "https://slo.a.example:8443 https://www.a.example"},
		{"without", w.bob.browser.Get(w.b.LogoutURL(&idptest.LogoutRequest{NameID: w.bob.otherName})), spB},
	} {
		csp := tt.page.Header.Get("Content-Security-Policy")
		if got := directive(csp, "form-action"); got != tt.want || directive(csp, "default-src") != "'none'" {
			t.Errorf("%s: form-action %q, want %q; %s", tt.name, got, tt.want, csp)
		}
		if nonce := strings.Trim(strings.TrimPrefix(directive(csp, "script-src"), "'nonce-"), "'"); nonce == "" || !strings.Contains(html.UnescapeString(string(tt.page.Body)), `nonce="`+nonce+`"`) {
			t.Errorf("%s: no script may run: %s", tt.name, csp)
		} else if nonces[nonce] {
			t.Errorf("%s: the nonce is that of another page: %s", tt.name, csp)
		} else {
			nonces[nonce] = true
		}
	}
}

func directive(csp, name string) string {
	for d := range strings.SplitSeq(csp, ";") {
		if value, found := strings.CutPrefix(strings.TrimSpace(d), name+" "); found {
			return value
		}
	}
	return ""
}

// A LogoutResponse answers no request of ours. It ends no session, and its sender gets an
// error that says so.
func TestLogoutResponseToUs(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	address := w.a.LogoutEndpoint(r)
	doc := base64.StdEncoding.EncodeToString([]byte(`<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r" InResponseTo="_q" Version="2.0" ` +
		`IssueInstant="2031-01-01T00:00:00Z" Destination="` + address + `"><saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + spA + `</saml:Issuer>` +
		`<samlp:Status><samlp:StatusCode Value="` + ok + `"/></samlp:Status></samlp:LogoutResponse>`))
	response := url.Values{"SAMLResponse": {doc}, "RelayState": {"x"}}
	both := w.a.LogoutForm(r)
	both.Set("SAMLResponse", doc)
	for name, tt := range map[string]struct {
		page *idptest.Page
		code string
	}{
		"by GET":                    {w.ada.browser.Get(address + "?" + response.Encode()), "message_type"},
		"by POST":                   {w.ada.browser.CrossSitePost(address, response), "message_type"},
		"in the place of a request": {w.ada.browser.CrossSitePost(address, url.Values{"SAMLRequest": {doc}}), "signature_missing"},
		"beside a request":          {w.ada.browser.CrossSitePost(address, both), "parameter_conflict"},
	} {
		if text := tt.page.Text(); tt.page.Status != http.StatusBadRequest || tt.page.Response() != nil || !strings.Contains(text, tt.code) {
			t.Errorf("%s: %d\n%s", name, tt.page.Status, text)
		}
	}
	if text := w.ada.browser.Get(address + "?" + response.Encode()).Text(); !strings.Contains(text, "message_type") {
		t.Errorf("the page has another code:\n%s", text)
	}
	w.wantSignedIn("ada", "bob")
}
