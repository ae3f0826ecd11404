package account

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// signInWith completes a sign-in in a browser whose cookie has the hashes, and gets another one.
func (h *house) signInWith(id idp.UserID, newHash string, hashes ...string) BrowserUse {
	h.t.Helper()
	h.pass(time.Minute)
	b := BrowserUse{Hashes: toHashes(hashes...), NewHash: []byte(newHash)}
	if err := h.CompleteTOTP(h.t.Context(), id, h.code(id, 0), netip.MustParseAddr("192.0.2.200"), SignIn{Browser: &b}); err != nil {
		h.t.Fatal(err)
	}
	return b
}

func toHashes(texts ...string) (hashes [][]byte) {
	for _, text := range texts {
		hashes = append(hashes, []byte(text))
	}
	return hashes
}

// guess tries a password in a browser, each time from another network.
func (h *house) guess(n int, email, guess string, browsers ...string) error {
	from := netip.AddrFrom4([4]byte{198, byte(18 + n>>16), byte(n >> 8), byte(n)})
	_, err := h.CheckBrowserPassword(h.t.Context(), email, guess, from, toHashes(browsers...))
	return err
}

// limitOf returns the limit that refused an attempt, or "".
func limitOf(err error) string {
	if e, ok := errors.AsType[*ThrottledError](err); ok {
		return e.Limit
	}
	return ""
}

// A user whose account is blocked by guesses from a thousand networks signs in from a known
// browser on a new network. No other browser does, nor one that is known to another user.
func TestKnownBrowserSignsInUnderAttack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	h.signInWith(u.ID, "alice's", "other user's")
	mallory, _, err := h.Create(t.Context(), NewUser{Email: "mallory@example.gov", Password: password, TOTP: true}, actor)
	if err != nil {
		t.Fatal(err)
	}
	h.signInWith(mallory.ID, "mallory's")
	for n := range 1000 {
		want := ""
		if n >= 100 {
			want = "account"
		}
		if err := h.guess(n, alice, "tulips in the sun", "mallory's"); limitOf(err) != want {
			t.Fatalf("guess %d: %v, want limit %q", n, err, want)
		}
	}
	for _, browsers := range [][]string{nil, {"mallory's"}, {"another", "other user's"}} {
		if err := h.guess(2000, alice, password, browsers...); limitOf(err) != "account" {
			t.Errorf("in the browser %q: %v", browsers, err)
		}
	}
	if err := h.guess(2001, alice, password, "another", "alice's"); err != nil {
		t.Errorf("in a known browser: %v", err)
	}
	// A copied cookie allows few guesses from any number of networks, and does not block the user
	// in the network that is known since.
	for n := range 50 {
		if err := h.guess(3000+n, alice, "tulips in the sun", "alice's"); !errors.Is(err, ErrWrong) {
			t.Fatalf("guess %d in a known browser: %v", n, err)
		}
	}
	if err := h.guess(4000, alice, password, "alice's"); limitOf(err) != "account-browser" {
		t.Errorf("guesses in a known browser: %v", err)
	}
	if err := h.guess(2001, alice, password); err != nil {
		t.Errorf("in a known network: %v", err)
	}
}

// The browser is known under every email address that the user has, and under later ones after a
// right password there.
func TestKnownBrowserOfAllEmails(t *testing.T) {
	t.Parallel()
	h, all := aliceOfThree(t)
	u, err := h.Lookup(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	h.signInWith(u.ID, "alice's")
	for n, email := range all {
		if err := h.guess(n, email, password); !errors.Is(err, ErrWrong) {
			t.Errorf("%s in another browser: %v", email, err)
		}
		if err := h.guess(100+n, email, password, "alice's"); err != nil {
			t.Errorf("%s in a known browser: %v", email, err)
		}
	}
	const later = "later@example.gov"
	err = h.store.UpdateUser(t.Context(), u.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: later})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.guess(200, later, password, "alice's"); !errors.Is(err, nil) {
		t.Errorf("a later email address, known network of another one: %v", err)
	}
	h.pass(365 * 24 * time.Hour)
	for n := range 100 {
		h.guess(300+n, later, "tulips in the sun")
	}
	if err := h.guess(500, later, password, "alice's"); limitOf(err) != "account" {
		t.Errorf("a year later: %v", err)
	}
}

// An email address without an account gets the same operations in the store, whatever cookie the
// browser has.
func TestBrowserOperationsAreEqual(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	h.signInWith(u.ID, "alice's")
	h.attempt("first", step{email: alice}) // notes what a hash costs
	trace := &traced{Store: h.store}
	h.Store = trace
	calls := func(n int, email string) []string {
		trace.calls = nil
		if err := h.guess(n, email, "tulips in the sun", "one", "two"); !errors.Is(err, ErrWrong) {
			t.Fatalf("%s: %v", email, err)
		}
		return slices.Clone(trace.calls)
	}
	if diff := cmp.Diff(calls(1, "bob@example.gov"), calls(2, alice)); diff != "" {
		t.Errorf("operations for an unknown email address and for a user:\n%s", diff)
	}
}

// A sign-in in another browser is notable, except for the first one. Ten browsers are known, and
// recording one costs no write.
func TestBrowserOfSignInIsRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	check := func(b BrowserUse, known string, isNotable bool) {
		t.Helper()
		if string(b.KnownHash) != known || b.IsNotable != isNotable {
			t.Errorf("known as %q, notable %v; want %q, %v", b.KnownHash, b.IsNotable, known, isNotable)
		}
	}
	check(h.signInWith(u.ID, "b0"), "", false)
	before := h.store.Changes()
	check(h.signInWith(u.ID, "unused", "x", "b0"), "b0", false)
	if n := h.store.Changes() - before; n != 3 {
		t.Errorf("%d durable writes, want 3", n)
	}
	for i := 1; i < 10; i++ {
		check(h.signInWith(u.ID, fmt.Sprint("b", i), "x"), "", true)
	}
	check(h.signInWith(u.ID, "unused", "b0"), "b0", false)
	check(h.signInWith(u.ID, "b10"), "", true) // the oldest is b1
	check(h.signInWith(u.ID, "unused", "b0"), "b0", false)
	check(h.signInWith(u.ID, "b11", "b1", ""), "", true)
	if n := len(h.user(u.ID).Browsers); n != idp.MaxKnownBrowsers {
		t.Errorf("%d browsers", n)
	}
	b := BrowserUse{NewHash: []byte("wrong code")}
	if err := h.CompleteTOTP(t.Context(), u.ID, "000000", home, SignIn{Browser: &b}); !errors.Is(err, ErrWrong) {
		t.Fatal(err)
	}
	if h.user(u.ID).KnowsBrowser([][]byte{b.NewHash}) != nil {
		t.Error("a wrong code records the browser")
	}
}
