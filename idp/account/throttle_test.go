package account

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// step is one attempt of a test case: its network, whether it is right, and its result ("" for
// an attempt that was compared, otherwise the limit).
type step struct {
	wait  time.Duration
	times int
	email string
	from  string
	right bool
	limit string
	retry time.Duration
}

// Each case uses the default limits.
func TestPasswordGuessesAreThrottled(t *testing.T) {
	t.Parallel()
	const bob, v6 = "bob@example.gov", "2001:db8::"
	tests := []struct {
		name  string
		steps []step
	}{
		{"five a minute, then a minute's rest", []step{
			{times: 5, email: alice},
			{email: alice, limit: "account-network", retry: time.Minute},
			{wait: 30 * time.Second, email: alice, right: true, limit: "account-network", retry: 30 * time.Second},
			{wait: 30 * time.Second, email: alice}, {times: 4, email: alice},
			{email: alice, limit: "account-network", retry: time.Minute},
		}},
		{"the fifth may be right", []step{
			{times: 4, email: alice}, {email: alice, right: true},
			{times: 4, email: alice}, {email: alice, right: true},
		}},
		{"another network is not concerned", []step{
			{times: 5, email: alice}, {email: alice, limit: "account-network", retry: time.Minute},
			{email: alice, from: "198.51.100.1", right: true},
		}},
		{"the same IPv6 /64 is the same network", []step{
			{times: 5, email: alice, from: v6 + "1"}, {email: alice, from: v6 + "2", limit: "account-network", retry: time.Minute},
			{email: alice, from: "2001:db8:0:1::1", right: true},
		}},
		{"an unknown address is treated alike", []step{
			{times: 5, email: bob}, {email: "BOB@example.gov", limit: "account-network", retry: time.Minute},
			{wait: time.Minute, times: 5, email: bob},
		}},
		{"slow guessing is only the long limit's", []step{
			{times: 49, wait: 5 * time.Minute, email: alice},
			{wait: 5 * time.Minute, email: alice},
			{wait: 5 * time.Minute, email: alice, right: true, limit: "account-network-long", retry: 12*time.Hour - 5*time.Minute},
		}},
		{"a right password makes failures good", []step{
			{times: 40, wait: 5 * time.Minute, email: alice}, {email: alice, right: true},
			{times: 40, wait: 5 * time.Minute, email: alice},
		}},
		{"twenty a minute from one network over many accounts", []step{
			{times: 5, email: "a@example.gov"}, {times: 5, email: "b@example.gov"},
			{times: 5, email: "c@example.gov"}, {times: 5, email: "d@example.gov"},
			{email: alice, right: true, limit: "network", retry: time.Minute},
			{email: alice, right: true, from: "198.51.100.1"},
			{wait: time.Minute, email: alice, right: true},
		}},
		{"an account of one's own does not clear the network's count", []step{
			{times: 5, email: "a@example.gov"}, {times: 5, email: "b@example.gov"}, {email: alice, right: true},
			{times: 5, email: "c@example.gov"}, {email: alice, right: true},
			{times: 5, email: "d@example.gov"}, {email: alice, right: true, limit: "network", retry: time.Minute},
		}},
		{"people who know their password never meet a limit", []step{
			{times: 60, email: alice, right: true},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.create()
			for i, s := range tt.steps {
				for j := range max(1, s.times) {
					h.pass(s.wait)
					h.attempt(fmt.Sprintf("step %d.%d", i+1, j+1), s)
				}
			}
		})
	}
}

func (h *house) attempt(name string, s step) {
	h.t.Helper()
	from, guess := home, "tulips in the sun"
	if s.from != "" {
		from = netip.MustParseAddr(s.from)
	}
	if s.right {
		guess = password
	}
	_, err := h.CheckPassword(h.t.Context(), s.email, guess, from)
	limited, _ := errors.AsType[*ThrottledError](err)
	switch {
	case s.limit != "":
		if limited == nil || limited.Limit != s.limit || limited.RetryAfter != s.retry {
			h.t.Fatalf("%s: %v, want %s, retry in %s", name, err, s.limit, s.retry)
		}
	case s.right && err != nil, !s.right && !errors.Is(err, ErrWrong):
		h.t.Fatalf("%s: %v, right is %v", name, err, s.right)
	}
}

// The account's own limit bounds guessing from many networks. It does not apply to a network
// that the user signed in from.
func TestGuessesFromManyNetworksAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	h.attempt("at home", step{email: alice, right: true})
	for i := range 100 {
		h.attempt(fmt.Sprint("stranger ", i), step{email: alice, from: fmt.Sprintf("198.51.100.%d", i)})
	}
	h.attempt("one stranger more", step{email: alice, from: "203.0.113.1", limit: "account", retry: time.Hour})
	h.attempt("the right password from another network", step{email: alice, from: "203.0.113.2", right: true, limit: "account", retry: time.Hour})
	h.attempt("the right password at home", step{email: alice, right: true})
	for i := range 4 {
		h.attempt(fmt.Sprint("at home, mistyped ", i), step{email: alice})
	}
	h.pass(time.Hour)
	h.attempt("an hour later", step{email: alice, from: "203.0.113.1", right: true})

	for i := range 100 {
		h.attempt(fmt.Sprint("stranger ", i), step{email: "bob@example.gov", from: fmt.Sprintf("198.51.100.%d", i)})
	}
	h.attempt("unknown address", step{email: "bob@example.gov", from: "203.0.113.3", limit: "account", retry: time.Hour})
}

func TestUnlockClearsTheAccountLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	for i := range 100 {
		h.attempt(fmt.Sprint("stranger ", i), step{email: alice, from: fmt.Sprintf("198.51.100.%d", i)})
	}
	h.attempt("blocked", step{email: alice, right: true, limit: "account", retry: time.Hour})
	if err := h.Unlock(t.Context(), alice, actor); err != nil {
		t.Fatal(err)
	}
	h.attempt("unlocked", step{email: alice, right: true})
}

// A refusal by a later limit gives back what the earlier ones counted, because a blocked
// network must not use up an account's attempts.
func TestLaterRefusalGivesBackCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	for i := range 20 {
		h.attempt("network", step{email: fmt.Sprintf("%d@example.gov", i/5)})
	}
	count := func() int {
		t.Helper()
		found, err := h.loadThrottles(t.Context(), []counter{h.newAccountCounter(alice)})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	before := count()
	for range 200 {
		h.attempt("blocked", step{email: alice, limit: "network", retry: time.Minute})
	}
	if after := count(); before != 0 || after != 0 {
		t.Errorf("the account's counters went from %d to %d", before, after)
	}
}

func TestBlockGrows(t *testing.T) {
	t.Parallel()
	l := DefaultLimits().AccountNetworkLong
	tests := []struct {
		streak int
		want   time.Duration
	}{
		{0, 12 * time.Hour},
		{1, 13*time.Hour + 12*time.Minute},
		{10, time.Duration(12 * float64(time.Hour) * math.Pow(1.1, 10))},
		{43, 30 * 24 * time.Hour},
		{1_000_000, 30 * 24 * time.Hour},
	}
	for _, tt := range tests {
		if got := l.computeBlock(tt.streak); got.Round(time.Second) != tt.want.Round(time.Second) {
			t.Errorf("block after %d = %s, want %s", tt.streak, got, tt.want)
		}
	}
	if got := DefaultLimits().AccountNetwork.computeBlock(7); got != time.Minute {
		t.Errorf("a limit without growth blocks for %s", got)
	}
}

// The counter alone: consecutive blocks grow, and are forgotten in time.
func TestBlocksGrowAndAreForgotten(t *testing.T) {
	t.Parallel()
	c := counter{name: "x", key: "x", limit: Limit{Max: 2, Window: time.Minute, Block: time.Minute, Growth: 2, MaxBlock: 3 * time.Minute, ForgetAfter: time.Hour}}
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var th throttle
	take := func(now time.Time) time.Duration {
		err := c.countAttempt(&th, now)
		if limited, ok := errors.AsType[*ThrottledError](err); ok {
			return limited.RetryAfter
		}
		return 0
	}
	var got []time.Duration
	now := start
	for range 4 {
		got = append(got, take(now), take(now), take(now))
		now = th.BlockEndsAt
	}
	want := []time.Duration{0, 0, time.Minute, 0, 0, 2 * time.Minute, 0, 0, 3 * time.Minute, 0, 0, 3 * time.Minute}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if at := c.limit.computeExpiry(&th); !at.Equal(th.BlockEndsAt.Add(time.Hour)) {
		t.Errorf("expires %s after the block", at.Sub(th.BlockEndsAt))
	}
}

// For any order of attempts, right answers and time, no period of the window's length contains
// more than twice as many wrong answers as the limit allows. (It may contain the end of one
// window and the beginning of the next.)
func TestCounterNeverAllowsTwiceTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := counter{name: "x", key: "x", limit: Limit{Max: 3, Window: time.Minute, Block: time.Minute}}
		var th throttle
		now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		var open, wrong []time.Time // when the attempts were taken
		for range 60 {
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what == 0:
				now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "s")) * time.Second)
			case what == 1:
				if c.countAttempt(&th, now) == nil {
					open = append(open, now)
				}
			case len(open) == 0:
			default:
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				c.reservedAt = open[i]
				open = slices.Delete(open, i, i+1)
				if what == 2 {
					c.releaseAttempt(&th)
				} else {
					wrong = append(wrong, c.reservedAt)
				}
			}
			if th.Count < 0 || th.Streak < 0 {
				t.Fatalf("counter below zero: %+v", th)
			}
		}
		slices.SortFunc(wrong, time.Time.Compare)
		for i, from := range wrong {
			if j := i + 2*c.limit.Max - 1; j < len(wrong) && wrong[j].Sub(from) < c.limit.Window {
				t.Fatalf("%d wrong answers within %s", j-i+1, wrong[j].Sub(from))
			}
		}
	})
}
