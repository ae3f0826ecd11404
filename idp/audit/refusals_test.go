package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
)

// counts returns the sums of the count records, by the user or service provider they name.
func (w *deployment) counts() map[string]int {
	w.tb.Helper()
	records, err := audit.Records(w.tb.Context(), w.fixture.Bolt, 0, 100_000)
	ok(w.tb, err)
	sum := map[string]int{}
	for _, r := range records {
		if r.Kind != "refusals" {
			continue
		}
		for outcome, text := range r.Detail {
			n, err := strconv.Atoi(text)
			ok(w.tb, err)
			sum[string(r.User)+string(r.SP)+" "+outcome] += n
		}
	}
	return sum
}

func wrongCode(user idp.UserID) idp.AuditEvent {
	return idp.AuditEvent{Kind: "refusal", Outcome: "code", User: user}
}

// TestBudgetsAreSpentBySendersOfTheirOwn checks that only its own group spends a budget, and
// that a user's budget is spent by a single outcome.
func TestBudgetsAreSpentBySendersOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	spend := map[string]func() bool{}
	for name, sender := range map[string]struct {
		group audit.Group
		event idp.AuditEvent
	}{
		"strangers":           {audit.UnknownSenders, idp.AuditEvent{Kind: "refusal", Outcome: "sp_unknown"}},
		"sign-in pages":       {audit.Visitors, idp.AuditEvent{Kind: "refusal", Outcome: "password"}},
		"user a, codes":       {audit.User, wrongCode("a")},
		"user a, throttled":   {audit.User, idp.AuditEvent{Kind: "refusal", Outcome: "throttled", User: "a"}},
		"user a, password":    {audit.User, idp.AuditEvent{Kind: "authn.password", Outcome: "ok", User: "a"}},
		"user b, codes":       {audit.User, wrongCode("b")},
		"service provider s":  {audit.Provider, idp.AuditEvent{Kind: "refusal", Outcome: "acs_url", SP: "s"}},
		"service provider s2": {audit.Provider, idp.AuditEvent{Kind: "refusal", Outcome: "acs_url", SP: "s2"}},
		"one link of s":       {audit.Preview, idp.AuditEvent{Kind: "preview.enter", Outcome: "ok", SP: "s", Detail: map[string]string{"preview": "l1"}}},
		"another link of s":   {audit.Preview, idp.AuditEvent{Kind: "preview.enter", Outcome: "ok", SP: "s", Detail: map[string]string{"preview": "l2"}}},
	} {
		spend[name] = func() bool { return w.Refusals.Take(sender.group, sender.event) }
	}
	for spender, take := range spend {
		for take() {
		}
		for name, other := range spend {
			if name != spender && !other() {
				t.Errorf("%s cannot record after %s spent its budget", name, spender)
			}
		}
		w.fixture.Clock.Advance(24 * time.Hour) // all are full again
	}
}

// TestOverflowNamesTheUser checks that events beyond a budget are counted for the user, in
// the strangers' budget too, and that the counts are written a bounded number of records at
// a time.
func TestOverflowNamesTheUser(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	ctx := t.Context()
	for w.Refusals.Take(audit.Visitors, idp.AuditEvent{Kind: "refusal", Outcome: "password"}) {
	}
	want := map[string]int{" password": 1}
	for n := range 100 {
		user := idp.UserID(fmt.Sprintf("u%d", n))
		for range 3 {
			w.Refusals.Record(ctx, audit.Visitors, idp.AuditEvent{Kind: "refusal", Outcome: "password", User: user})
		}
		want[string(user)+" password"] = 3
	}
	for w.Refusals.Take(audit.User, wrongCode("u0")) {
	}
	want["u0 code"] = 1
	for w.Refusals.Take(audit.Provider, idp.AuditEvent{Kind: "refusal", Outcome: "acs_url", SP: "s"}) {
	}
	want["s acs_url"] = 1
	for w.Refusals.Take(audit.User, idp.AuditEvent{Kind: "authn.password", Outcome: "ok", User: "u0"}) {
	}
	want["u0 authn.password"] = 1

	before := w.whole().Records
	ok(t, w.Refusals.Flush(ctx))
	if n := w.whole().Records - before; n > 50 {
		t.Errorf("one Flush wrote %d records", n)
	}
	for range 10 {
		ok(t, w.Refusals.Flush(ctx))
	}
	got := w.counts()
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%q was counted %d times, want %d", name, got[name], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d counts, want %d", len(got), len(want))
	}
}

// TestFlushAllLeavesNothing checks that a server that stops writes all counts.
func TestFlushAllLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	for n := range 500 {
		user := idp.UserID(fmt.Sprintf("u%d", n))
		for w.Refusals.Take(audit.User, wrongCode(user)) {
		}
	}
	ok(t, w.Refusals.FlushAll(t.Context()))
	if got := w.counts(); len(got) != 500 {
		t.Errorf("%d users were counted, want 500", len(got))
	}
}

// failingStore refuses to write while it fails, as a full disk does.
type failingStore struct {
	idp.AuditStore
	fails bool
}

func (s *failingStore) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	if s.fails {
		return errors.New("no space left on device")
	}
	return s.AuditStore.AppendAudit(ctx, events...)
}

// TestFlushKeepsWhatItCannotWrite checks that counts that could not be written are written
// later.
func TestFlushKeepsWhatItCannotWrite(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	store := &failingStore{AuditStore: w.fixture.Bolt, fails: true}
	w.Refusals.Store = store
	for w.Refusals.Take(audit.User, wrongCode("a")) {
	}
	if err := w.Refusals.Flush(t.Context()); err == nil {
		t.Error("Flush reports no error")
	}
	w.Refusals.Take(audit.User, wrongCode("a"))
	store.fails = false
	ok(t, w.Refusals.Flush(t.Context()))
	if got := w.counts(); got["a code"] != 2 {
		t.Errorf("counted: %v, want 2 for the user", got)
	}
}

// TestManyUsersAreBounded checks that users in memory are bounded and that none of their
// events is lost: each has a record or is counted.
func TestManyUsersAreBounded(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	for w.Refusals.Take(audit.Visitors, wrongCode("")) {
	}
	const users = 25_000
	for n := range users {
		user := idp.UserID(fmt.Sprintf("u%d", n))
		if !w.Refusals.Take(audit.User, wrongCode(user)) {
			t.Fatal("a user's first event has no room")
		}
		if w.Refusals.Take(audit.Visitors, wrongCode(user)) {
			t.Fatal("strangers have a full budget again")
		}
	}
	ok(t, w.Refusals.FlushAll(t.Context()))
	sum := 0
	for _, n := range w.counts() {
		sum += n
	}
	if sum != users+1 {
		t.Errorf("%d events were counted, want %d", sum, users+1)
	}
}
