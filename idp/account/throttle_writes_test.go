package account

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"vernal/idp"
)

// An attempt is counted in one durable write, and settled in another one if it was right, from
// a known or unknown network, for any number of counters.
func TestDurableWritesPerAttempt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, email, password, from string
		want                        error
		writes                      uint64
	}{
		{"right, new network", alice, password, "198.51.100.1", nil, 2},
		{"right, known network", alice, password, "198.51.100.1", nil, 2},
		{"wrong, known network", alice, "tulips in the sun", "198.51.100.1", ErrWrong, 1},
		{"wrong, new network", alice, "tulips in the sun", "198.51.100.2", ErrWrong, 1},
		{"unknown user", "bob@example.gov", password, "198.51.100.3", ErrWrong, 1},
	}
	h := newHouse(t)
	h.create()
	h.attempt("first", step{email: alice}) // notes what a hash costs
	for _, tt := range tests {
		before := h.store.Changes()
		if _, err := h.CheckPassword(t.Context(), tt.email, tt.password, netip.MustParseAddr(tt.from)); !errors.Is(err, tt.want) {
			t.Fatalf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if n := h.store.Changes() - before; n != tt.writes {
			t.Errorf("%s: %d durable writes, want %d", tt.name, n, tt.writes)
		}
	}
	// A blocked attempt costs none.
	for range 5 {
		h.attempt("wrong", step{email: alice, from: "198.51.100.4"})
	}
	before := h.store.Changes()
	h.attempt("blocked", step{email: alice, from: "198.51.100.4", limit: "account-network", retry: DefaultLimits().AccountNetwork.Block})
	if n := h.store.Changes() - before; n != 0 {
		t.Errorf("a blocked attempt: %d durable writes, want none", n)
	}
	// The store sees no email address of an attempt.
	docs, err := h.store.Documents(t.Context(), "throttle", idp.DocumentQuery{All: true})
	if err != nil || len(docs) == 0 {
		t.Fatalf("%d counters, %v", len(docs), err)
	}
	for _, d := range docs {
		for _, part := range []string{"alice", "bob", "example", "198.51"} {
			if strings.Contains(d.Key, part) || bytes.Contains(d.Data, []byte(part)) {
				t.Errorf("counter %q: %s holds %q", d.Key, d.Data, part)
			}
		}
	}
}

// A code is counted and settled in two writes, in addition to the one that marks it as used.
func TestDurableWritesPerCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	before := h.store.Changes()
	if err := h.CheckTOTP(t.Context(), u.ID, h.code(u.ID, 0), home); err != nil {
		t.Fatal(err)
	}
	if n := h.store.Changes() - before; n != 3 {
		t.Errorf("%d durable writes, want 3", n)
	}
	before = h.store.Changes()
	if err := h.CheckTOTP(t.Context(), u.ID, "000000", home); !errors.Is(err, ErrWrong) {
		t.Fatal(err)
	}
	if n := h.store.Changes() - before; n != 1 {
		t.Errorf("wrong: %d durable writes, want 1", n)
	}
}
