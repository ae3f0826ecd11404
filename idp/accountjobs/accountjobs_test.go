package accountjobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/accountjobs"
	"vernal/idp/audit"
	"vernal/idp/idptest/fixture"
	"vernal/idp/notify"
	"vernal/idp/usermail"
)

const day = 24 * time.Hour

// outbox collects the mails that the mail server would get.
type outbox struct{ mails []notify.Mail }

func (o *outbox) Send(_ context.Context, mails []notify.Mail) []error {
	o.mails = append(o.mails, mails...)
	return make([]error, len(mails))
}

type deployment struct {
	*fixture.Fixture
	t       *testing.T
	out     *outbox
	trusted bool
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{t: t, Fixture: fixture.New(t, time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC), nil), out: &outbox{}, trusted: true}
	d.UserMails.Sender = d.out
	return d
}

// server returns the jobs of a server, with nothing in memory.
func (d *deployment) server() *accountjobs.Service {
	return &accountjobs.Service{
		Store: d.Store, Accounts: d.Accounts, Mails: d.UserMails, InactiveAfter: 365 * day, Clock: d.Clock.Now, Log: slog.New(slog.DiscardHandler),
		IsClockTrusted: func(context.Context) (bool, error) { return d.trusted, nil },
	}
}

// tick runs a round and sends its mails.
func (d *deployment) tick() {
	d.t.Helper()
	ok(d.t, d.server().Tick(d.t.Context()))
	ok(d.t, d.UserMails.Tick(d.t.Context()))
}

func (d *deployment) add(id idp.UserID, change ...func(*idp.User)) {
	d.t.Helper()
	now := d.Clock.Now()
	u := &idp.User{ID: id, PasswordHash: "hash", CreatedAt: now, UpdatedAt: now, Emails: []idp.Email{
		{Address: string(id) + "@example.gov", ConfirmedAt: now}, {Address: string(id) + "@unconfirmed.example"},
	}}
	for _, c := range change {
		c(u)
	}
	errs, err := d.Store.ImportUsers(d.t.Context(), []idp.ImportedUser{{User: u}})
	ok(d.t, errors.Join(append(errs, err)...))
}

func (d *deployment) user(id idp.UserID) *idp.User {
	d.t.Helper()
	u, err := d.Store.User(d.t.Context(), id)
	ok(d.t, err)
	return u
}

func (d *deployment) isDeleted(id idp.UserID) bool {
	d.t.Helper()
	_, err := d.Store.User(d.t.Context(), id)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		d.t.Fatal(err)
	}
	return err != nil
}

// mails returns the recipients of the mails, and forgets them.
func (d *deployment) mails() (to []string) {
	for _, m := range d.out.mails {
		to = append(to, m.To)
	}
	d.out.mails = nil
	return to
}

func TestDeletionHappensWhenDue(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	dueAt := d.Clock.Now().Add(14 * day)
	d.add("ann", func(u *idp.User) { u.DeletionAt = dueAt })
	d.add("bob")
	d.add("eve", func(u *idp.User) { u.DeletionAt, u.LockedAt, u.LockReason = dueAt, d.Clock.Now(), "fraud" })
	d.Clock.Advance(14*day - time.Second)
	if d.tick(); d.isDeleted("ann") {
		t.Fatal("deleted too early")
	}
	d.Clock.Advance(time.Second)
	d.trusted = false
	if d.tick(); d.isDeleted("ann") || d.user("ann").IsLocked() {
		t.Fatal("deleted while the clock is not trusted")
	}
	d.trusted = true
	d.tick()
	if !d.isDeleted("ann") || d.isDeleted("bob") || d.isDeleted("eve") {
		t.Errorf("deleted: ann %t, bob %t, eve %t", d.isDeleted("ann"), d.isDeleted("bob"), d.isDeleted("eve"))
	}
	if got := d.mails(); !slices.Equal(got, []string{"ann@example.gov"}) {
		t.Errorf("mails to %v", got)
	}
	records, err := audit.Records(t.Context(), d.Store, 0, 100)
	ok(t, err)
	if i := slices.IndexFunc(records, func(r idp.AuditRecord) bool { return r.Kind == idp.AuditUserDelete }); i < 0 || records[i].Actor != "server" || records[i].User != "ann" {
		t.Errorf("records %+v", records)
	}
	d.tick()
	if got := d.mails(); len(got) > 0 {
		t.Errorf("mails to %v after the deletion", got)
	}
}

// A crash after the mail is followed by the deletion, and no mail is sent twice. The user cannot keep
// an account of whose deletion they were notified.
func TestDeletionContinuesAfterCrash(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("ann", func(u *idp.User) { u.DeletionAt = d.Clock.Now() })
	crash := errors.New("crash")
	for _, isQueued := range []bool{false, true} {
		_, err := d.Accounts.DeleteDue(t.Context(), "ann", func(u *idp.User) error {
			if isQueued {
				ok(t, d.UserMails.Queue(t.Context(), usermail.Mail{ID: "deleted/ann/0", Kind: usermail.Deleted, To: "ann@example.gov"}))
			}
			return crash
		})
		if !errors.Is(err, crash) || !d.user("ann").IsLocked() {
			t.Fatalf("%v, locked %t", err, d.user("ann").IsLocked())
		}
	}
	d.tick()
	if got := d.mails(); !d.isDeleted("ann") || !slices.Equal(got, []string{"ann@example.gov"}) {
		t.Errorf("deleted %t, mails to %v", d.isDeleted("ann"), got)
	}
}

func TestInactiveAccountIsLockedAfterTwoMails(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("ann")
	d.add("bob")
	start := d.Clock.Now()
	use := func(id idp.UserID) {
		t.Helper()
		ok(t, d.Store.UpdateUser(t.Context(), id, func(u *idp.User) error { u.Emails[0].LastSignInAt = d.Clock.Now(); return nil }))
	}
	events := map[string][]int{} // the days of what happens
	wasLocked := false
	for n := 1; n <= 370; n++ {
		d.Clock.Advance(day)
		if n == 340 {
			use("bob") // after the first mail
		}
		d.tick()
		for _, to := range d.mails() {
			events[to] = append(events[to], n)
		}
		if isLocked := d.user("ann").IsLocked(); isLocked && !wasLocked {
			wasLocked = true
			events["locked"] = append(events["locked"], n)
		}
	}
	// The third mail to ann is the notice of the lock.
	want := fmt.Sprint(map[string][]int{"ann@example.gov": {335, 358, 365}, "bob@example.gov": {335}, "locked": {365}})
	if got := fmt.Sprint(events); got != want {
		t.Errorf("events %v, want %v (begun %s)", got, want, start)
	}
	if u := d.user("ann"); u.LockReason != account.LockedInactive || d.isDeleted("ann") || d.user("bob").IsLocked() {
		t.Errorf("ann %+v", u)
	}
	// Unlocking counts as use.
	ok(t, d.Accounts.Unlock(t.Context(), "ann@example.gov", "test"))
	d.Clock.Advance(30 * day)
	if d.tick(); d.user("ann").IsLocked() || d.user("ann").Inactive != nil {
		t.Error("the account is locked or notified again right after it was unlocked")
	}
}

// A server that did not run for years, or a user imported with an old date, gets both mails in time
// before the lock.
func TestInactiveAccountIsNeverLockedWithoutMails(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("old", func(u *idp.User) { u.CreatedAt = d.Clock.Now().AddDate(-9, 0, 0) })
	days, lockedAt := []int{}, 0
	for n := 0; n < 40 && lockedAt == 0; n++ {
		d.tick()
		if len(d.mails()) > 0 {
			days = append(days, n)
		}
		if d.user("old").IsLocked() {
			lockedAt = n
		}
		d.Clock.Advance(day)
	}
	if !slices.Equal(days, []int{0, 23}) && !slices.Equal(days, []int{0, 23, 30}) || lockedAt != 30 {
		t.Errorf("mails on the days %v, locked on day %d", days, lockedAt)
	}
}

// A sign-in between the look-up and the lock prevents it.
func TestSignInPreventsLock(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	now := d.Clock.Now()
	d.add("ann", func(u *idp.User) {
		u.CreatedAt = now.Add(-500 * day)
		u.Inactive = &idp.InactiveNotices{FirstAt: now.Add(-40 * day), LastAt: now.Add(-10 * day)}
	})
	stale := d.user("ann")
	if step, _ := account.NextInactiveStep(stale, 365*day, now); step != account.InactiveLock {
		t.Fatalf("step %d", step)
	}
	ok(t, d.Store.UpdateUser(t.Context(), "ann", func(u *idp.User) error { u.Emails[0].LastSignInAt = now; return nil }))
	step, err := d.Accounts.TakeInactiveStep(t.Context(), stale, 365*day, nil)
	if ok(t, err); step != account.InactiveNone || d.user("ann").IsLocked() {
		t.Errorf("step %d, locked %t", step, d.user("ann").IsLocked())
	}
}

// A deletion that was canceled since the look-up does not happen.
func TestCanceledDeletionDoesNotHappen(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("ann")
	d.add("bob", func(u *idp.User) { u.DeletionAt = d.Clock.Now().Add(time.Second) })
	for _, id := range []idp.UserID{"ann", "bob", "none"} {
		deleted, err := d.Accounts.DeleteDue(t.Context(), id, func(*idp.User) error { t.Errorf("%s was notified", id); return nil })
		if ok(t, err); deleted {
			t.Errorf("%s was deleted", id)
		}
	}
	if d.user("ann").IsLocked() || d.user("bob").IsLocked() {
		t.Error("locked")
	}
}

// Notices count only for the time since the last use, and not if they are in the future.
func TestOldNoticesDoNotCount(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	const after = 365 * day
	for name, tt := range map[string]struct {
		used    time.Duration // ago
		notices *idp.InactiveNotices
		want    account.InactiveStep
	}{
		"recently used":        {10 * day, nil, account.InactiveNone},
		"almost due":           {335*day - time.Second, nil, account.InactiveNone},
		"due":                  {335 * day, nil, account.InactiveFirstNotice},
		"before the last use":  {400 * day, &idp.InactiveNotices{FirstAt: now.Add(-401 * day), LastAt: now.Add(-400 * day)}, account.InactiveFirstNotice},
		"in the future":        {400 * day, &idp.InactiveNotices{FirstAt: now.Add(day)}, account.InactiveFirstNotice},
		"last in the future":   {400 * day, &idp.InactiveNotices{FirstAt: now.Add(-40 * day), LastAt: now.Add(day)}, account.InactiveLastNotice},
		"between the mails":    {350 * day, &idp.InactiveNotices{FirstAt: now.Add(-15 * day)}, account.InactiveNone},
		"time for the second":  {358 * day, &idp.InactiveNotices{FirstAt: now.Add(-23 * day)}, account.InactiveLastNotice},
		"second mail too late": {400 * day, &idp.InactiveNotices{FirstAt: now.Add(-60 * day), LastAt: now.Add(-6 * day)}, account.InactiveNone},
		"over":                 {400 * day, &idp.InactiveNotices{FirstAt: now.Add(-60 * day), LastAt: now.Add(-7 * day)}, account.InactiveLock},
	} {
		u := &idp.User{CreatedAt: now.Add(-tt.used), Inactive: tt.notices}
		if got, _ := account.NextInactiveStep(u, after, now); got != tt.want {
			t.Errorf("%s: step %d, want %d", name, got, tt.want)
		}
	}
}

// Without mail or a setting, no account is locked.
func TestInactiveNeedsMailAndSetting(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("old", func(u *idp.User) { u.CreatedAt = d.Clock.Now().AddDate(-9, 0, 0) })
	off := d.server()
	off.InactiveAfter = 0
	ok(t, off.Tick(t.Context()))
	d.UserMails.Sender = nil
	ok(t, d.server().Tick(t.Context()))
	if u := d.user("old"); u.Inactive != nil || u.IsLocked() {
		t.Errorf("user %+v", u)
	}
}

// Rounds are bounded and continue in another server.
func TestRoundsContinue(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	for n := range 7 {
		d.add(idp.UserID(fmt.Sprintf("u%d", n)), func(u *idp.User) {
			if u.DeletionAt = d.Clock.Now(); n < 2 { // these stay
				u.LockedAt = d.Clock.Now()
			}
		})
	}
	left := func() (n int) {
		users, err := d.Store.Users(t.Context(), idp.UserQuery{Limit: 100})
		ok(t, err)
		return len(users) - 2
	}
	for _, want := range []int{5, 3, 1, 0} {
		s := d.server()
		s.MaxUsers = 2
		ok(t, s.Tick(t.Context()))
		if got := left(); got != want {
			t.Errorf("%d users are left, want %d", got, want)
		}
	}
	d.add("a0", func(u *idp.User) { u.DeletionAt = d.Clock.Now() })
	ok(t, d.server().Tick(t.Context()))
	if left() != 0 {
		t.Error("the next round does not begin again")
	}
}
