package authn_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

// logBuffer collects what the server logs, from several requests at once.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// lines returns the logged lines that contain all the words.
func (b *logBuffer) lines(words ...string) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
lines:
	for line := range strings.Lines(b.text.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

// recordsAfter returns the audit records after a given one, and the number of the last one.
func recordsAfter(t *testing.T, i *idptest.IdP, after uint64) ([]idp.AuditRecord, uint64) {
	t.Helper()
	records, err := audit.Records(t.Context(), i.Store, after, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(records); n > 0 {
		after = records[n-1].Seq
	}
	return records, after
}

// countRecords returns the number of records of a kind and outcome that name the user.
func countRecords(records []idp.AuditRecord, kind idp.AuditKind, outcome string, user idp.UserID) (n int) {
	for _, r := range records {
		if r.Kind == kind && r.Outcome == outcome && r.User == user {
			n++
		}
	}
	return n
}

// spendStrangersBudget sends wrong passwords for invented email addresses from one network, 19
// a minute for 22 minutes, which the throttle allows. In the following minute it sends 11
// more: as many as have become free, and few enough for the throttle to let the caller try 8
// times.
func spendStrangersBudget(t *testing.T, i *idptest.IdP) {
	t.Helper()
	b, n := i.Browser(), 0
	send := func(times int) {
		for range times {
			n++
			page := b.Post("/sign-in", url.Values{"email": {fmt.Sprintf("invented%d@example.gov", n)}, "password": {"wrong"}})
			if page.Status != http.StatusUnprocessableEntity {
				t.Fatalf("wrong password %d: status %d", n, page.Status)
			}
		}
	}
	for range 22 {
		send(19)
		i.Clock.Advance(time.Minute)
	}
	send(11)
}

// TestWrongCodesSurviveStrangersFlood checks that senders that spend the budget of the sign-in
// pages do not hide guesses at a known user's second factor.
func TestWrongCodesSurviveStrangersFlood(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	i := idptest.New(t, idptest.Options{Log: slog.NewTextHandler(log, nil)})
	alice := i.AddUser("alice@example.gov")
	spendStrangersBudget(t, i)

	_, last := recordsAfter(t, i, 0)
	b := giveOnlyPassword(t, i, alice)
	const guesses = 7
	for range guesses {
		if page := b.Post("/sign-in/code", url.Values{"code": {"000000"}}); page.Status != http.StatusUnprocessableEntity {
			t.Fatalf("wrong code: status %d", page.Status)
		}
	}
	records, _ := recordsAfter(t, i, last)
	if n := countRecords(records, "refusal", "code", alice.Record.ID); n != guesses {
		t.Errorf("%d wrong codes are recorded with the user's ID, want %d: %+v", n, guesses, records)
	}
	if n := countRecords(records, "authn.password", "ok", alice.Record.ID); n != 1 {
		t.Errorf("%d right passwords are recorded, want 1", n)
	}
	if n := len(log.lines("refused=code", "user="+string(alice.Record.ID))); n != guesses {
		t.Errorf("%d log lines name the user of a wrong code, want %d", n, guesses)
	}
}

// TestRightPasswordWithoutCodeIsRecorded checks the record of a right password without a
// code after it, which is the one sure sign of a stolen password.
func TestRightPasswordWithoutCodeIsRecorded(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	alice := i.AddUser("alice@example.gov")
	_, last := recordsAfter(t, i, 0)
	giveOnlyPassword(t, i, alice)
	records, _ := recordsAfter(t, i, last)
	if n := countRecords(records, "authn.password", "ok", alice.Record.ID); n != 1 || len(records) != 1 {
		t.Errorf("a right password left %+v", records)
	}
}

// TestLockedAccountIsRecordedWithUser checks the record of a locked account. The page for
// a wrong password is the same whether the account is locked, open or invented.
func TestLockedAccountIsRecordedWithUser(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	alice := i.AddUser("alice@example.gov")
	if _, err := i.Accounts.Lock(t.Context(), alice.Email, "", "test"); err != nil {
		t.Fatal(err)
	}
	signIn := func(email, password string) (*idptest.Page, []idp.AuditRecord) {
		_, last := recordsAfter(t, i, 0)
		page := i.Browser().Post("/sign-in", url.Values{"email": {email}, "password": {password}})
		records, _ := recordsAfter(t, i, last)
		return page, records
	}
	_, records := signIn(alice.Email, alice.Password)
	if n := countRecords(records, "refusal", "account_locked", alice.Record.ID); n != 1 {
		t.Errorf("the right password of a locked account left %+v", records)
	}
	wrong, records := signIn(alice.Email, "wrong")
	if n := countRecords(records, "refusal", "password", alice.Record.ID); n != 1 {
		t.Errorf("a wrong password of a locked account left %+v", records)
	}
	invented, records := signIn("inven@example.gov", "wrong")
	if n := countRecords(records, "refusal", "password", ""); n != 1 {
		t.Errorf("a password for an invented email address left %+v", records)
	}
	same := bytes.ReplaceAll(invented.Body, []byte("inven@"), []byte("alice@"))
	if wrong.Status != invented.Status || !bytes.Equal(dropNonce(wrong.Body), dropNonce(same)) {
		t.Error("the page discloses whether the account exists")
	}
}

// TestSpentBudgetHidesNoAttack spends each budget that a sender can reach with or without a
// user's password, and then guesses. Events beyond the budget are counted, and the count names
// the user.
func TestSpentBudgetHidesNoAttack(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	alice, bob := i.AddUser("alice@example.gov"), i.AddUser("bob@example.gov")
	spendStrangersBudget(t, i)
	_, last := recordsAfter(t, i, 0)

	// Wrong passwords for a known user share the budget of unknown senders. Otherwise the
	// time of an answer would disclose who has an account. They are counted for the user.
	const passwords = 4
	for range passwords {
		i.Browser().Post("/sign-in", url.Values{"email": {bob.Email}, "password": {"wrong"}})
	}
	// Throttled codes can be sent without limit. They must not use up the budget of the
	// wrong codes that follow once the block is over.
	b := giveOnlyPassword(t, i, alice)
	limit := account.DefaultLimits().Code
	i.Clock.Advance(2 * time.Minute)
	for range limit.Max + 200 {
		b.Post("/sign-in/code", url.Values{"code": {"000000"}})
	}
	i.Clock.Advance(limit.Block)
	b = giveOnlyPassword(t, i, alice)
	b.Post("/sign-in/code", url.Values{"code": {"000000"}})
	if err := i.Trail.Refusals.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}

	records, _ := recordsAfter(t, i, last)
	if n := countRecords(records, "refusal", "code", alice.Record.ID); n != limit.Max+1 {
		t.Errorf("%d wrong codes are recorded, want %d", n, limit.Max+1)
	}
	counted := func(user idp.UserID, outcome string) (n int) {
		for _, r := range records {
			if r.Kind == "refusals" && r.User == user {
				m := 0
				if _, err := fmt.Sscan(r.Detail[outcome], &m); err == nil {
					n += m
				}
			}
		}
		return n
	}
	if n := countRecords(records, "refusal", "throttled", alice.Record.ID) + counted(alice.Record.ID, "throttled"); n != 200 {
		t.Errorf("%d throttled codes are recorded or counted for the user, want 200", n)
	}
	if n := countRecords(records, "refusal", "password", bob.Record.ID) + counted(bob.Record.ID, "password"); n != passwords {
		t.Errorf("%d wrong passwords are recorded or counted for the user, want %d", n, passwords)
	}
}
