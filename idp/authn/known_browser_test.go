package authn_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

// findBrowserCookie returns the cookie by which users know the browser.
func findBrowserCookie(b *idptest.Browser) *http.Cookie {
	for _, c := range b.Cookies() {
		if strings.HasSuffix(c.Name, "vernal-browser") {
			return c
		}
	}
	return nil
}

// signInAgain signs out of the browser and in again, and returns the record of the sign-in.
func signInAgain(t *testing.T, i *idptest.IdP, b *idptest.Browser, p *idptest.User, boxes ...string) idp.AuditRecord {
	t.Helper()
	i.Clock.Advance(time.Minute)
	b.Post("/account/sign-out", nil)
	page := b.GivePassword(b.Get("/sign-in"), p)
	if _, hasCode := page.Form().Fields["code"]; hasCode {
		page = b.GiveCode(page, p, boxes...)
	}
	checkPage(t, page, http.StatusOK, text("account.sign_out"))
	records, err := audit.Records(t.Context(), i.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(records) - 1; n >= 0; n-- {
		if records[n].Kind == idp.AuditAuthn {
			return records[n]
		}
	}
	t.Fatal("no sign-in is recorded")
	return idp.AuditRecord{}
}

// A sign-in in a browser that the user has not used is recorded as one, with the browser's name, but
// not the user's first one. Several users of a browser do not disturb each other.
func TestNewBrowserIsRecorded(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
	home, work := i.Browser(), i.Browser()
	for n, tt := range []struct {
		browser *idptest.Browser
		user    *idptest.User
		isNew   bool
		boxes   []string
	}{
		{home, ann, false, nil}, {home, ann, false, nil},
		{work, ann, true, nil}, {work, ann, false, nil},
		{home, bob, false, nil}, {home, ann, false, nil}, {home, bob, false, nil},
		{work, bob, true, []string{"remember"}}, {work, bob, false, nil}, {work, ann, false, nil},
	} {
		rec := signInAgain(t, i, tt.browser, tt.user, tt.boxes...)
		_, hasBrowser := rec.Detail["browser"]
		_, hasSystem := rec.Detail["system"]
		if isNew := rec.Detail["new_device"] == "yes"; rec.User != tt.user.Record.ID || isNew != tt.isNew || hasBrowser != tt.isNew || hasSystem != tt.isNew {
			t.Errorf("sign-in %d: %+v, want a new browser: %v", n, rec.Detail, tt.isNew)
		}
	}
	c := findBrowserCookie(home)
	if c == nil || strings.Count(c.Value, ".") != 1 {
		t.Errorf("cookie %v, want one with two tokens", c)
	}
	for _, p := range []*idptest.User{ann, bob} {
		u, err := i.Store.User(t.Context(), p.Record.ID)
		if err != nil || len(u.Browsers) != 2 {
			t.Errorf("%s: browsers %v, %v", p.Email, u.Browsers, err)
		}
	}
}

// A cookie that someone else has put into the browser is not known to the user after a sign-in.
func TestPlantedBrowserCookieStaysUnknown(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, mallory := i.AddUser("ann@example.gov"), i.AddUser("mallory@example.gov")
	home, library := i.Browser(), i.Browser()
	signInAgain(t, i, home, ann)
	signInAgain(t, i, library, mallory)
	copied := findBrowserCookie(library)
	signInAgain(t, i, library, ann)
	elsewhere := i.Browser()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	planted := copied.Name + "=" + copied.Value + "; Path=/; Secure"
	elsewhere.KeepCookies(&http.Response{Header: http.Header{"Set-Cookie": {planted}}, Request: req})
	if rec := signInAgain(t, i, elsewhere, ann); rec.Detail["new_device"] != "yes" {
		t.Errorf("the copied cookie is known: %+v", rec.Detail)
	}
}

// A user under attack signs in from a known browser, and only there.
func TestKnownBrowserUnderAttack(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b := i.Browser()
	signInAgain(t, i, b, ann)
	b.Post("/account/sign-out", nil)
	i.Clock.Advance(91 * 24 * time.Hour) // the network is no longer known
	for n := range 100 {
		from := netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", n))
		if _, err := i.Accounts.CheckPassword(t.Context(), ann.Email, "tulips in the sun", from); err == nil {
			t.Fatal("a guess was right")
		}
	}
	other := i.Browser()
	checkPage(t, other.GivePassword(other.Get("/sign-in"), ann), http.StatusTooManyRequests)
	checkPage(t, b.GiveCode(b.GivePassword(b.Get("/sign-in"), ann), ann), http.StatusOK, text("account.sign_out"))
}
