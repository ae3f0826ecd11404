package server_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/idptest/fixture"
)

const spURL = "https://sp.example.gov/saml"

// answer is what a client without cookies gets.
func answer(t *testing.T, h http.Handler, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "localhost"
	for name := range header {
		r.Header.Set(name, header.Get(name))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// assertion returns the assertion that a page posts to the provider.
func assertion(t *testing.T, p *idptest.Provider, r *idptest.Request, page *idptest.Page) *saml.Assertion {
	t.Helper()
	a, err := p.Check(r, page.Response())
	if err != nil {
		t.Fatalf("%d: %v\n%s", page.Status, err, page.Text())
	}
	return a
}

// checkMetric checks the value of a series on the admin listener.
func checkMetric(t *testing.T, i *idptest.IdP, series string, isGood func(string) bool) {
	t.Helper()
	body := answer(t, i.AdminHandler, "http://localhost/metrics", nil).Body.String()
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			if !isGood(strings.TrimSpace(value)) {
				t.Errorf("%s", line)
			}
			return
		}
	}
	t.Errorf("no series %s", series)
}

// checkTrail verifies the whole audit trail.
func checkTrail(t *testing.T, i *idptest.IdP) {
	t.Helper()
	if progress, err := i.Trail.Verify(t.Context(), audit.Progress{}, nil, time.Hour); err != nil || progress.Broken != nil || !progress.Done {
		t.Errorf("audit trail: %+v, %v", progress, err)
	}
}

// tokenBox is a token that can be unplugged.
type tokenBox struct {
	mu   sync.Mutex
	keys map[idp.Year]*rsa.PrivateKey
	away error
}

func (b *tokenBox) unplug(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = err
}

func (b *tokenBox) Make(y idp.Year, _ int) (crypto.PublicKey, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away == nil && b.keys[y] == nil {
		b.keys[y] = fixture.Key(int(y[3]) % 2)
	}
	return b.keys[y].Public(), b.away
}

func (b *tokenBox) Sign(y idp.Year, _ crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil {
		return nil, b.away
	}
	return b.keys[y].Sign(rand.Reader, digest, opts)
}

func (b *tokenBox) CheckReady(idp.Year, crypto.PublicKey) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.away
}

func (b *tokenBox) Destroy(idp.Year, crypto.PublicKey) error { return errors.New("not in this test") }

// While the token with the signing key is away, sign-ins wait with 503 and what is signed
// already is served. Nothing is lost, and no restart is needed.
func TestTokenAwayIsAnsweredAndPasses(t *testing.T) {
	t.Parallel()
	box := &tokenBox{keys: map[idp.Year]*rsa.PrivateKey{}}
	i := idptest.New(t, idptest.Options{FirstStart: true, Vault: box, Log: slog.DiscardHandler})
	p, ana := i.AddProvider(spURL), i.AddUser("ana@example.gov")
	browser := i.Browser()
	first := new(idptest.Request)
	want := assertion(t, p, first, browser.SignIn(browser.Get(p.URL(first)), ana)).Subject.NameID.Value
	status := func(path string) int { return answer(t, i.Handler, i.URL+path, nil).Code }
	for _, path := range []string{"/readyz", "/api/saml/metadata"} {
		if code := status(path); code != http.StatusOK {
			t.Fatalf("at first, %s: %d", path, code)
		}
	}
	box.unplug(errors.New("the slot is empty"))
	if code := status("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", code)
	}
	checkMetric(t, i, "vernal_ready", func(v string) bool { return v == "0" })
	request := new(idptest.Request)
	waiting := i.Browser()
	signedIn := waiting.SignIn(waiting.Get(p.URL(request)), ana)
	for name, page := range map[string]*idptest.Page{"with a session": browser.Get(p.URL(new(idptest.Request))), "after the sign-in": signedIn} {
		if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || page.Response() != nil {
			t.Errorf("%s: %d, Retry-After %q, Response %t", name, page.Status, page.Header.Get("Retry-After"), page.Response() != nil)
		}
		if strings.Contains(page.Text(), "slot") {
			t.Errorf("%s: the page says what is for the log", name)
		}
	}
	if code := status("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	box.unplug(nil)
	i.Clock.Advance(11 * time.Second)
	if code := status("/readyz"); code != http.StatusOK {
		t.Errorf("with the token back, /readyz: %d", code)
	}
	checkMetric(t, i, "vernal_ready", func(v string) bool { return v == "1" })
	// The user loads the page again, and the request that waited is answered.
	if got := assertion(t, p, request, waiting.Get(signedIn.URL.String())).Subject.NameID.Value; got != want {
		t.Errorf("NameID %s, want %s", got, want)
	}
	checkTrail(t, i)
}

// A clock that is an hour off refuses requests with a reason that names both times. Once it is
// right again, everything goes on.
func TestClockAnHourOffIsAnsweredAndPasses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		by   time.Duration
		code idp.RefusalCode
	}{
		"ahead":  {time.Hour, idp.RefusedIssueInstantOld},
		"behind": {-time.Hour, idp.RefusedIssueInstantFuture},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{Log: slog.DiscardHandler})
			p, ana := i.AddProvider(spURL), i.AddUser("ana@example.gov")
			right := i.Clock.Now()
			browser := i.Browser()
			first := new(idptest.Request)
			want := assertion(t, p, first, browser.SignIn(browser.Get(p.URL(first)), ana)).Subject.NameID.Value
			sent := p.URL(&idptest.Request{IssuedAt: right})
			i.Clock.Set(right.Add(tt.by))
			page := i.Browser().Get(sent)
			if page.Status != http.StatusBadRequest || page.Response() != nil {
				t.Errorf("a request: %d, Response %t", page.Status, page.Response() != nil)
			}
			refused := 0
			records, err := audit.Records(t.Context(), i.Store, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				if r.Kind == idp.AuditRefusal && r.Outcome == string(tt.code) {
					refused++
				}
			}
			if refused != 1 {
				t.Errorf("%d refusals with the code %s are recorded", refused, tt.code)
			}
			for _, path := range []string{"/readyz", "/api/saml/metadata"} {
				if w := answer(t, i.Handler, i.URL+path, nil); w.Code != http.StatusOK {
					t.Errorf("%s: %d", path, w.Code)
				}
			}
			i.Clock.Set(right.Add(time.Minute))
			again := new(idptest.Request)
			if got := assertion(t, p, again, browser.Get(p.URL(again))).Subject.NameID.Value; got != want {
				t.Errorf("NameID %s, want %s", got, want)
			}
			checkTrail(t, i)
		})
	}
}
