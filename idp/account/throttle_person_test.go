package account

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// aliceOfThree returns a user with three email addresses, at all of which together there were
// as many guesses as one address allows.
func aliceOfThree(t *testing.T) (*house, []string) {
	t.Helper()
	h := newHouse(t)
	u := h.create()
	all := []string{alice, "alice.jones@example.gov", "aj@example.gov"}
	err := h.store.UpdateUser(t.Context(), u.ID, func(u *idp.User) error {
		for _, a := range all[1:] {
			u.Emails = append(u.Emails, idp.Email{Address: a, ConfirmedAt: u.CreatedAt})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.attempt("at home", step{email: all[1], right: true})
	for i := range 100 {
		h.attempt(fmt.Sprint("stranger ", i), step{email: all[i%3], from: fmt.Sprintf("198.51.100.%d", i)})
	}
	return h, all
}

// A user with three email addresses can be guessed at no more often than one with a single
// address, and a guesser does not learn that the three belong to one user.
func TestGuessLimitSpansAllEmails(t *testing.T) {
	t.Parallel()
	h, all := aliceOfThree(t)
	otherAddr := netip.MustParseAddr("203.0.113.1")
	for _, a := range all {
		if _, err := h.CheckPassword(t.Context(), a, password, otherAddr); !errors.Is(err, ErrWrong) {
			t.Errorf("%s, right, after 100 guesses: %v, want ErrWrong", a, err)
		}
		h.attempt("at home, by any address", step{email: a, right: true})
	}
	h.attempt("another person", step{email: "bob@example.gov", from: "203.0.113.1"})

	if err := h.Unlock(t.Context(), alice, actor); err != nil {
		t.Fatal(err)
	}
	h.attempt("unlocked", step{email: all[2], from: "203.0.113.1", right: true})
}

func TestUserLimitExpires(t *testing.T) {
	t.Parallel()
	h, all := aliceOfThree(t)
	h.attempt("refused", step{email: all[0], from: "203.0.113.1"})
	h.pass(time.Hour)
	h.attempt("an hour later", step{email: all[0], from: "203.0.113.1", right: true})
}

// For a refused user, the store gets the same writes as for an email address without an
// account.
func TestUserLimitWritesLikeUnknownEmail(t *testing.T) {
	t.Parallel()
	h, all := aliceOfThree(t)
	trace := &traced{Store: h.store}
	h.Store = trace
	writes := func(email, guess string) (w []string) {
		trace.calls = nil
		if _, err := h.CheckPassword(t.Context(), email, guess, netip.MustParseAddr("203.0.113.1")); !errors.Is(err, ErrWrong) {
			t.Fatalf("%s: %v, want ErrWrong", email, err)
		}
		for _, c := range trace.calls {
			if strings.HasPrefix(c, "Update") {
				w = append(w, c)
			}
		}
		return w
	}
	before := h.store.Changes()
	unknown := writes("bob@example.gov", password)
	made := h.store.Changes() - before
	for _, guess := range []string{password, "tulips in the sun"} {
		before = h.store.Changes()
		if diff := cmp.Diff(unknown, writes(all[0], guess)); diff != "" {
			t.Errorf("writes for an unknown email, and for a refused user:\n%s", diff)
		}
		if n := h.store.Changes() - before; n != made {
			t.Errorf("%d changes, %d for an unknown email", n, made)
		}
	}
}
