package authn_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

// Input that cannot be a code is reported at once, no matter how often, and does not count as
// a guess: a typo brings no user closer to a limit.
func TestSlipIsNoGuess(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b := giveOnlyPassword(t, i, ann)
	page := b.Get("/sign-in/code")
	for n := range 2 * account.DefaultLimits().Code.Max {
		form := page.Form()
		form.Fields.Set("code", []string{"", "12345", "1234567", "abcdef"}[n%4])
		page = b.Post(form.Action, form.Fields)
		checkPage(t, page, http.StatusUnprocessableEntity, []string{"Enter the code from", text("problem.code_format")}[min(1, n%4)])
	}
	checkPage(t, b.GiveCode(page, ann), http.StatusOK, text("account.sign_out"))
}

// The audit trail says that a browser is remembered only where that begins.
func TestRememberedDeviceIsRecorded(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
	rememberBrowser(t, i, ann)
	signIn(t, i, bob)
	records, err := audit.Records(t.Context(), i.Store, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, r := range records {
		if r.Kind != "authn" {
			continue
		}
		found++
		if got, want := r.Detail["remembered"], map[bool]string{true: "yes"}[r.User == ann.Record.ID]; got != want {
			t.Errorf("the record of %s says remembered=%q, want %q", r.User, got, want)
		}
	}
	if found != 2 {
		t.Errorf("%d sign-ins are recorded, want 2", found)
	}
}

// Input that cannot be an email address and a password is reported as such, and not as a wrong
// one. No user is looked up for it.
func TestMalformedSignInIsNoGuess(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	b := i.Browser()
	for _, tt := range []struct{ name, email, password, says string }{
		{"nothing", "", "", "Enter your email address"},
		{"no address", "ann", "quiet otter", "Enter an email address like"},
		{"a long address", strings.Repeat("a", 250) + "@example.gov", "quiet otter", "Enter an email address like"},
		{"no password", "ann@example.gov", "", "Enter your password"},
	} {
		page := b.Post("/sign-in", url.Values{"email": {tt.email}, "password": {tt.password}})
		if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Text(), tt.says) {
			t.Errorf("%s: %d, want %q:\n%s", tt.name, page.Status, tt.says, page.Text())
		}
	}
}

// Wrong codes are recorded with the user they were for, and so is the limit that they reach.
// The client learns how long the limit lasts.
func TestWrongCodeIsRecorded(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b := giveOnlyPassword(t, i, ann)
	var page *idptest.Page
	for range account.DefaultLimits().Code.Max + 1 {
		page = b.Post("/sign-in/code", url.Values{"code": {"000000"}})
	}
	if page.Status != http.StatusTooManyRequests || page.Header.Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", page.Status, page.Header.Get("Retry-After"))
	}
	if err := i.Trail.Refusals.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	records, err := audit.Records(t.Context(), i.Store, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range records {
		if r.Kind == "refusal" && r.User == ann.Record.ID {
			seen[r.Outcome] = true
		}
	}
	if !seen["code"] || !seen["throttled"] {
		t.Errorf("recorded: %v, want code and throttled", seen)
	}
}

// The cookie of the password is removed when the session's cookie is set.
func TestSignInCookieIsTakenBack(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	b, _ := signIn(t, i, i.AddUser("ann@example.gov"))
	if b.Session() == "" {
		t.Error("no session")
	}
	for _, c := range b.Cookies() {
		if c.Name == "vernal-signin" {
			t.Error("the cookie of the sign-in is left")
		}
	}
}
