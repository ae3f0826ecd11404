package rotator_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vernal/idp/idptest"
)

// TestClosedYearAnswers503 checks that a live year without its key answers 503 while the
// others serve. Its certificate stays available, and the stable metadata does not list it.
// It opens again when the key is back, without a restart.
func TestClosedYearAnswers503(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: day(2027, 2, 15).Add(12 * time.Hour)})
	sp, person := i.AddProvider("https://a.example"), i.AddUser("ada@example.gov")
	e, _ := i.Years.Lookup("2027", i.Clock.Now())
	recorded := e.Key.Cert
	// A sign-in that was begun before, and waits at its page.
	waitingBrowser := i.Browser()
	waitingPage := waitingBrowser.Get(sp.URL(&idptest.Request{Year: "2027"}))

	key := filepath.Join(i.KeysFolder(), "2027.key")
	ok(t, os.Rename(key, key+".away"))
	i.Stop()
	i.Start()
	for _, tt := range []struct{ name, method, path string }{
		{"metadata", http.MethodGet, "/api/saml/metadata2027"},
		{"auth", http.MethodGet, "/api/saml/auth2027?SAMLRequest=AAAA"},
		{"logout", http.MethodGet, "/api/saml/logout2027"},
		{"remote logout", http.MethodPost, "/api/saml/remotelogout2027"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, i.URL+tt.path, strings.NewReader(""))
		ok(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := i.Client.Do(r)
		ok(t, err)
		resp.Body.Close()
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if resp.StatusCode != http.StatusServiceUnavailable || err != nil || seconds <= 0 {
			t.Errorf("%s: %d, Retry-After %q; want 503 with seconds", tt.name, resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	if page := waitingBrowser.SignIn(waitingPage, person); page.Status != http.StatusServiceUnavailable || page.Response() != nil {
		t.Errorf("a sign-in that was begun before: %d, want 503", page.Status)
	}
	page := i.Browser().Get(i.URL + "/api/saml/certificate2027.pem")
	if block, _ := pem.Decode(page.Body); page.Status != http.StatusOK || block == nil || !recorded.Equal(parseCert(t, block.Bytes)) {
		t.Errorf("the certificate: %d, want the recorded one", page.Status)
	}
	if n := certificatesIn(t, i, "/api/saml/metadata"); n != 1 {
		t.Errorf("the stable metadata lists %d certificates, want that of 2026 alone", n)
	}
	b := i.Browser()
	if page := b.SignIn(b.Get(sp.URL(&idptest.Request{Year: "2026"})), person); page.Response() == nil {
		t.Errorf("sign-in on 2026: %d", page.Status)
	}
	if page := i.Browser().Get(i.URL + "/readyz"); page.Status != http.StatusOK {
		t.Errorf("readyz: %d", page.Status)
	}

	ok(t, os.Rename(key+".away", key))
	ok(t, i.Rotation.Tick(t.Context(), time.Minute))
	if page := i.Browser().Get(i.URL + "/api/saml/metadata2027"); page.Status != http.StatusOK {
		t.Errorf("with its key back: %d", page.Status)
	}
	if n := certificatesIn(t, i, "/api/saml/metadata"); n != 2 {
		t.Errorf("with its key back, the stable metadata lists %d certificates, want 2", n)
	}
}

// TestClosedYearHidesOtherCertificate checks that no URL serves a certificate other than the
// recorded one.
func TestClosedYearHidesOtherCertificate(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: day(2027, 2, 15).Add(12 * time.Hour)})
	text, err := os.ReadFile(filepath.Join(i.KeysFolder(), "2026.crt"))
	ok(t, err)
	ok(t, os.Remove(filepath.Join(i.KeysFolder(), "2027.key")))
	ok(t, os.WriteFile(filepath.Join(i.KeysFolder(), "2027.crt"), text, 0o600))
	i.Stop()
	i.Start()
	for _, path := range []string{"metadata2027", "certificate2027.pem"} {
		if page := i.Browser().Get(i.URL + "/api/saml/" + path); page.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d, want 503", path, page.Status)
		}
	}
}

func parseCert(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	ok(t, err)
	return c
}

// certificatesIn counts the certificates that a metadata document lists, beside
// that of its own signature.
func certificatesIn(t *testing.T, i *idptest.IdP, path string) int {
	t.Helper()
	page := i.Browser().Get(i.URL + path)
	if page.Status != http.StatusOK {
		t.Fatalf("%s: %d", path, page.Status)
	}
	return strings.Count(string(page.Body), "<KeyDescriptor")
}
