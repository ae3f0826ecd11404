package session

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/seal"
)

var heldNow = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

func newHolder() *Manager {
	return &Manager{Clock: func() time.Time { return heldNow }, Secure: true, Sealer: seal.NewRing(seal.NewGeneration(1))}
}

func heldRequest() *idp.LoginRequest {
	return &idp.LoginRequest{
		Handle: NewHandle(heldNow), SP: "https://permits.agency.example/saml", MessageID: "_2f1d6c1e-77b4-4f5e-9f5e-0d3b8f0c8a11", Year: "2031",
		ACSURL: "https://permits.agency.example/saml/acs?a=1&b=<2>", RelayState: "https://permits.agency.example/p/17?x=\u0001\u2028é\U0001F600", HasRelay: true,
		ForceAuthn: true, NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", Comparison: "exact",
		ClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/2", "http://idmanagement.gov/ns/requested_attributes?ReqAttr=email"},
		Locale:    "fr", CertSHA256: strings.Repeat("0af3", 16), SubjectHash: idp.HashSubject("a", false), MessageHash: idp.HashSubject("b", false), Preview: "field",
		IssuedAt: heldNow.Add(-time.Second), ReceivedAt: heldNow, ExpiresAt: heldNow.Add(RequestLifetime),
	}
}

// hold makes the browser hold the request and returns its cookie.
func hold(t testing.TB, m *Manager, req *idp.LoginRequest) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if err := m.HoldRequest(w, req); err != nil {
		t.Fatal(err)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	return cookies[0]
}

func bringing(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return r
}

func TestHeldRequestComesBack(t *testing.T) {
	t.Parallel()
	m, req := newHolder(), heldRequest()
	req.SecretHash = []byte("of a cookie that is not used")
	c := hold(t, m, req)
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge != int(RequestLifetime/time.Second) {
		t.Errorf("the cookie is %+v", c)
	}
	if len(c.Value) > 900 {
		t.Errorf("a usual request takes %d bytes", len(c.Value))
	}
	r := bringing(c)
	got, err := m.openHeldRequest(r, req.Handle)
	if err != nil {
		t.Fatal(err)
	}
	if !m.IsTied(r, got) || !m.HoldsRequest(r, req.Handle) {
		t.Error("the request is not tied to the browser that holds it")
	}
	got.SecretHash, req.SecretHash = nil, nil
	if diff := cmp.Diff(req, got); diff != "" {
		t.Errorf("-held +opened:\n%s", diff)
	}
	if strings.Contains(c.Value, "permits") {
		t.Error("the value can be read")
	}
}

// A value that was changed, or belongs to another request or another installation, is refused.
func TestHeldRequestIsSealed(t *testing.T) {
	t.Parallel()
	m, one, two := newHolder(), heldRequest(), heldRequest()
	c, other := hold(t, m, one), hold(t, m, two)
	raw, err := base64.RawURLEncoding.DecodeString(c.Value[len(heldPrefix):])
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(raw)
	changed[len(changed)/2] ^= 1
	value := func(b []byte) string { return heldPrefix + base64.RawURLEncoding.EncodeToString(b) }
	for name, v := range map[string]string{
		"changed": value(changed), "cut short": value(raw[:len(raw)-1]), "nothing": heldPrefix, "no prefix": c.Value[len(heldPrefix):],
		"not base64": heldPrefix + "!", "another request's": other.Value, "too long": c.Value + strings.Repeat("A", maxHeldCookieSize),
		"trailing bits": c.Value + "=", "another installation's": hold(t, newHolder(), one).Value,
	} {
		if got, err := m.openHeldRequest(bringing(&http.Cookie{Name: c.Name, Value: v}), one.Handle); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := m.openHeldRequest(bringing(), one.Handle); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("no cookie: %v", err)
	}
}

// Inflating and decoding stay within limits even for sealed values.
func TestUnpackHeldIsBounded(t *testing.T) {
	t.Parallel()
	pack := func(text string) []byte {
		var b bytes.Buffer
		z, _ := flate.NewWriterDict(&b, flate.BestCompression, []byte(heldDictionary))
		_, _ = z.Write([]byte(text))
		_ = z.Close()
		return b.Bytes()
	}
	answered := heldRequest()
	answered.AnsweredAt = heldNow
	text, err := json.Marshal(answered)
	if err != nil {
		t.Fatal(err)
	}
	for name, packed := range map[string][]byte{
		"a bomb": pack(`{"handle":"` + strings.Repeat("A", 50<<20) + `"}`), "no JSON": pack("x"), "nothing": nil, "not deflated": []byte(`{}`),
		"another handle": pack(`{"handle":"X"}`), "answered": pack(string(text)),
	} {
		if req, err := decompressHeld(packed, answered.Handle); err == nil {
			t.Errorf("%s: %+v", name, req)
		}
	}
}

// Every request that we accept either fits or is refused. A cookie that a browser or a proxy
// would not carry is never set.
func TestHeldRequestIsBounded(t *testing.T) {
	t.Parallel()
	m := newHolder()
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(33 + random.IntN(94))
		}
		return string(b)
	}
	longest := heldRequest()
	longest.RelayState, longest.MessageID = noise(2048), "_"+noise(255)
	if c := hold(t, m, longest); len(c.Name)+len(c.Value) > maxHeldCookieSize {
		t.Errorf("a cookie of %d bytes", len(c.Name)+len(c.Value))
	}
	for name, change := range map[string]func(*idp.LoginRequest){
		"values that cannot be compressed": func(r *idp.LoginRequest) { r.ClassRefs = []string{noise(4000), noise(4000)} },
		"values that can":                  func(r *idp.LoginRequest) { r.RelayState = strings.Repeat("x", 64<<10) },
		"expired":                          func(r *idp.LoginRequest) { r.ExpiresAt = heldNow },
	} {
		req := heldRequest()
		change(req)
		w := httptest.NewRecorder()
		if err := m.HoldRequest(w, req); !errors.Is(err, ErrTooLong) || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %v, %d cookies", name, err, len(w.Result().Cookies()))
		}
	}
}

// A browser holds two requests, or one large one, no matter how many it gets. Stored requests
// count separately.
func TestTrimBoundsRequestsHeldByBrowser(t *testing.T) {
	t.Parallel()
	m := newHolder()
	cookie := func(n, size int) *http.Cookie {
		name := m.requestCookieName(NewHandle(heldNow.Add(time.Duration(n) * time.Second)))
		return &http.Cookie{Name: name, Value: heldPrefix + strings.Repeat("A", size-len(name)-len(heldPrefix))}
	}
	stored := &http.Cookie{Name: m.requestCookieName(NewHandle(heldNow.Add(-time.Hour))), Value: strings.Repeat("A", 43)}
	tests := []struct {
		name  string
		sizes []int // of the requests that the browser holds, oldest first
		drops int   // of those, from the first
	}{
		{"none", nil, 0}, {"two", []int{600, 600}, 0}, {"three", []int{600, 600, 600}, 1}, {"five", []int{600, 600, 600, 600, 600}, 3},
		{"a large one after a small one", []int{600, 2900}, 1}, {"a small one after a large one", []int{2900, 600}, 1},
		{"as much as may be", []int{1500, 1500}, 0}, {"one byte more", []int{1500, 1501}, 1}, {"one that is far too large", []int{9000}, 0},
	}
	for _, tt := range tests {
		cookies := []*http.Cookie{stored}
		for n, size := range tt.sizes {
			cookies = append(cookies, cookie(n, size))
		}
		var want []string
		for _, c := range cookies[1 : 1+tt.drops] {
			want = append(want, c.Name)
		}
		r := bringing(cookies...)
		w := httptest.NewRecorder()
		m.TrimRequestCookies(w, r)
		got := map[string]bool{}
		for _, c := range w.Result().Cookies() {
			got[c.Name] = c.MaxAge < 0
		}
		ok := len(got) == len(want)
		for _, name := range want {
			ok = ok && got[name]
		}
		if !ok {
			t.Errorf("%s: dropped %v, want %v", tt.name, got, want)
		}
	}
}

// The request in progress stays, however old it is.
func TestTrimKeepsCurrentRequest(t *testing.T) {
	t.Parallel()
	m := newHolder()
	var cookies []*http.Cookie
	for n := range maxRequestCookies + 2 {
		name := m.requestCookieName(NewHandle(heldNow.Add(time.Duration(n) * time.Second)))
		cookies = append(cookies, &http.Cookie{Name: name, Value: heldPrefix + strings.Repeat("A", 500)})
	}
	for n := range cookies {
		r := bringing(cookies...)
		r.URL.RawQuery = "request=" + strings.TrimPrefix(cookies[n].Name, m.requestCookieName(""))
		w := httptest.NewRecorder()
		m.TrimRequestCookies(w, r)
		dropped := w.Result().Cookies()
		if len(dropped) != len(cookies)-maxHeldCookies {
			t.Errorf("%d are dropped, want %d", len(dropped), len(cookies)-maxHeldCookies)
		}
		for _, c := range dropped {
			if c.Name == cookies[n].Name {
				t.Errorf("the current request, number %d, is dropped", n)
			}
		}
	}
}

// All cookies that a browser can send us fit into one header line of 8 kB.
func TestCookieHeaderIsBounded(t *testing.T) {
	t.Parallel()
	m := newHolder()
	token := strings.Repeat("A", 43)
	n := len("Cookie: ")
	add := func(name string, value int) { n += len(name) + len("=; ") + value }
	for _, name := range []string{"session", "signin", "device", "language"} {
		add(m.cookieName(name), len(token))
	}
	for range maxRequestCookies {
		add(m.requestCookieName(NewHandle(heldNow)), len(token))
		add(m.cookieName("preview-")+strings.Repeat("0", 16), 100) // package yearaccess has as many
	}
	n += 2*maxHeldCookieSize + 2*len("=; ") // what Trim keeps, and a new one
	if n > 8<<10 {
		t.Errorf("%d bytes", n)
	}
}

func FuzzHeld(f *testing.F) {
	m, req := newHolder(), heldRequest()
	c := hold(f, m, req)
	raw, err := base64.RawURLEncoding.DecodeString(c.Value[len(heldPrefix):])
	if err != nil {
		f.Fatal(err)
	}
	packed, err := m.Sealer.Open(buildHeldContext(req.Handle), raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Value, packed)
	f.Add("w.", []byte(nil))
	f.Fuzz(func(t *testing.T, value string, packed []byte) {
		r := bringing()
		r.Header.Set("Cookie", fmt.Sprintf("%s=%s", c.Name, value))
		if got, err := m.openHeldRequest(r, req.Handle); err == nil {
			if brought, _ := r.Cookie(c.Name); brought.Value != c.Value {
				t.Errorf("%q opens as %+v", value, got)
			}
		} else if !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("%q: %v", value, err)
		}
		if got, err := decompressHeld(packed, req.Handle); err == nil && (got.Handle != req.Handle || got.IsAnswered()) {
			t.Errorf("unpacked %+v", got)
		}
	})
}
