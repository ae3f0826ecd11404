//go:build slow

package idptest_test

import (
	"cmp"
	"context"
	"encoding/base32"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
	"vernal/idp/maillink"
)

var errKilled = errors.New("the process was killed")

// killStore is a store whose process is killed at a write, just before or just after it is durable.
// Nothing is written after that.
type killStore struct {
	idp.OwnedStore

	mu       sync.Mutex // also keeps the writes in their order
	isArmed  bool
	left     int // writes before the kill
	isAfter  bool
	isKilled bool
	writes   int
}

// start makes s wrap the store of a new process.
func (s *killStore) start(wrapped idp.OwnedStore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.OwnedStore, s.isArmed, s.isKilled = wrapped, false, false
}

// arm makes the process end at a write.
func (s *killStore) arm(left int, isAfter bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isArmed, s.left, s.isAfter, s.writes = true, left, isAfter, 0
}

// hasEnded reports whether the process was killed.
func (s *killStore) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isKilled
}

// countWrites returns the number of writes since arm.
func (s *killStore) countWrites() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// killWrite makes a write unless the process was killed.
func killWrite[T any](s *killStore, write func() (T, error)) (T, error) {
	var none T
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isKilled {
		return none, errKilled
	}
	if !s.isArmed {
		return write()
	}
	s.writes++
	s.left--
	if s.left >= 0 {
		return write()
	}
	s.isKilled = true
	if s.isAfter {
		_, _ = write()
	}
	return none, errKilled
}

// killChange makes a write without a result unless the process was killed.
func killChange(s *killStore, write func() error) error {
	_, err := killWrite(s, func() (any, error) { return nil, write() })
	return err
}

func (s *killStore) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.UpdateDocuments(ctx, kind, keys, change, events...) })
}

func (s *killStore) ImportUsers(ctx context.Context, users []idp.ImportedUser) ([]error, error) {
	return killWrite(s, func() ([]error, error) { return s.OwnedStore.ImportUsers(ctx, users) })
}

func (s *killStore) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.UpdateUser(ctx, id, change, events...) })
}

func (s *killStore) DeleteUser(ctx context.Context, id idp.UserID, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.DeleteUser(ctx, id, events...) })
}

func (s *killStore) StartSession(ctx context.Context, b idp.SessionStart, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.StartSession(ctx, b, events...) })
}

func (s *killStore) UpdateSession(ctx context.Context, id idp.SessionID, change func(*idp.Session) error, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.UpdateSession(ctx, id, change, events...) })
}

func (s *killStore) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	return killWrite(s, func() (int, error) { return s.OwnedStore.EndSessions(ctx, e, events...) })
}

func (s *killStore) CreateLoginRequest(ctx context.Context, r *idp.LoginRequest, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.CreateLoginRequest(ctx, r, events...) })
}

func (s *killStore) AnswerLoginRequest(ctx context.Context, r *idp.LoginRequest, at time.Time, check idp.Check, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.AnswerLoginRequest(ctx, r, at, check, events...) })
}

func (s *killStore) RecordIssuance(ctx context.Context, i *idp.Issuance) (idp.IssuedIDs, error) {
	return killWrite(s, func() (idp.IssuedIDs, error) { return s.OwnedStore.RecordIssuance(ctx, i) })
}

func (s *killStore) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	return killChange(s, func() error { return s.OwnedStore.AppendAudit(ctx, events...) })
}

const (
	killedEmail    = "ada@example.gov"
	otherEmail     = "ada@example.net"
	killedSP       = "https://a.example"
	killedPassword = "quiet otter mends nine kettles"
	newPassword    = "violets under the heavy rain"
)

// killed is an identity provider whose process is killed, and one of its users.
type killed struct {
	*idptest.IdP
	t     *testing.T
	store *killStore
	ada   *idptest.User
	b     *idptest.Browser
	sp    *idptest.Provider
	link  string
	codes []string
	form  idptest.Form
}

// killedState is what a change of an account changes. It leaves out random values, and sessions: they
// may end before the change.
type killedState struct {
	Exists, HasNewPassword, IsPaused, IsDeletionPlanned, IsResetPlanned bool
	Emails, Services                                                    []string
	TOTPs, Codes, Devices                                               int
}

func (k *killed) user() *idp.User {
	k.t.Helper()
	for _, email := range []string{killedEmail, otherEmail} {
		u, err := k.Bolt.UserByEmail(k.t.Context(), email)
		if err == nil {
			return u
		}
		if !errors.Is(err, idp.ErrNotFound) {
			k.t.Fatal(err)
		}
	}
	return nil
}

func (k *killed) readState() (s killedState) {
	k.t.Helper()
	u := k.user()
	if u == nil {
		return s
	}
	s = killedState{
		Exists: true, HasNewPassword: u.PasswordHash != "" && u.PasswordChangedAt.After(u.CreatedAt), IsPaused: !u.ProofingPausedAt.IsZero(),
		IsDeletionPlanned: !u.DeletionAt.IsZero(), IsResetPlanned: !u.FactorResetAt.IsZero(), TOTPs: len(u.TOTPs), Devices: len(u.Devices),
	}
	for _, e := range u.Emails {
		state := e.Address
		if e.ConfirmedAt.IsZero() {
			state += " unconfirmed"
		}
		s.Emails = append(s.Emails, state)
	}
	for _, service := range u.Services {
		state := string(service.SP) + " " + strings.Join(service.Attributes, " ")
		if !service.WithdrawnAt.IsZero() {
			state += " withdrawn"
		}
		s.Services = append(s.Services, state)
	}
	if u.RecoveryCodes != nil {
		s.Codes = len(u.RecoveryCodes.Hashes)
	}
	return s
}

// listMails sends the queued mails and returns the recipients and subjects of all.
func (k *killed) listMails() []string {
	k.t.Helper()
	found := map[string]bool{}
	for _, m := range k.Mails() {
		found[strings.Join(m.To, " ")+": "+m.Header("Subject")] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// mailedLink returns the newest mailed link of a path.
func (k *killed) mailedLink(path string) string {
	k.t.Helper()
	mails := k.Mails()
	i := len(mails) - 1
	for i >= 0 && !strings.Contains(mails[i].Text(), k.URL+path) {
		i--
	}
	if i < 0 {
		k.t.Fatalf("no mail with a link to %s", path)
	}
	return k.MailedURL(mails[i], path)
}

// post fills in a form in the browser.
func (k *killed) post(form idptest.Form, pairs ...string) *idptest.Page {
	k.t.Helper()
	fields := maps.Clone(form.Fields)
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	return k.b.Post(form.Action, fields)
}

// openLink opens the mailed link and returns its form, whose action is "" if the link cannot be used.
func (k *killed) openLink(action string) idptest.Form {
	k.t.Helper()
	if form := k.b.Get(k.link).Form(); form.Action == action && form.Fields.Has("token") {
		return form
	}
	return idptest.Form{}
}

// addAda adds the user, and signs in.
func (k *killed) addAda() {
	k.t.Helper()
	k.ada = k.AddUser(killedEmail)
	k.b.SignIn(k.b.Get("/sign-in"), k.ada)
}

// addOther adds a confirmed email address to the user.
func (k *killed) addOther() {
	k.t.Helper()
	err := k.Bolt.UpdateUser(k.t.Context(), k.ada.Record.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: otherEmail, ConfirmedAt: k.Clock.Now()})
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

// job runs the job that changes accounts when a time has come.
func (k *killed) job() {
	k.AccountJobs.Store = k.store
	k.AccountJobs.IsClockTrusted = func(context.Context) (bool, error) { return true, nil }
	if err := k.AccountJobs.Tick(k.t.Context()); err != nil && !k.store.hasEnded() {
		k.t.Error(err)
	}
}

// request asks for a link at a page, which is mailed.
func (k *killed) request(path, linkPath string) {
	k.t.Helper()
	k.post(k.b.Get(path).Form(), "email", killedEmail)
	k.link = k.mailedLink(linkPath)
}

// openLost opens the page of a user without a second factor, whose password is proved.
func (k *killed) openLost() {
	k.b = k.Browser()
	k.b.GivePassword(k.b.Get("/sign-in"), k.ada)
	k.form = k.b.Get("/sign-in/lost").Form()
}

// planDeletion plans the deletion on the account page.
func (k *killed) planDeletion() {
	k.post(k.b.Get("/account/delete").Form(), "email", killedEmail)
}

// isSignedIn reports whether a browser has a session.
func isSignedIn(b *idptest.Browser) bool {
	return strings.Contains(string(b.Get("/account").Body), `action="/account/sign-out"`)
}

// agree asks for consent, until the service provider gets its answer.
func (k *killed) agree() {
	page := k.b.Get(k.sp.URL(&idptest.Request{}))
	if page.Form().Fields.Has("password") {
		page = k.b.SignIn(page, k.ada)
	}
	if page.Form().Fields.Has("shown") {
		page = k.post(page.Form())
	}
	if page.Response() == nil {
		k.t.Errorf("no answer to the service provider, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
}

// killedJourney is a request or a round of a job that changes an account.
type killedJourney struct {
	name    string
	signUp  account.SignUpMode
	prepare func(k *killed)
	run     func(k *killed)
	// goOn is what the user or the server does after the restart. Nobody helps.
	goOn func(k *killed)
	// costsCode is set if the user may need one more recovery code.
	costsCode bool
	// endsOthers is set if the change ends the sessions in other browsers.
	endsOthers bool
}

var killedJourneys = []killedJourney{
	{name: "register", signUp: account.SignUpOpen, prepare: func(k *killed) {
		k.request("/sign-up", "/sign-up/confirm")
		k.form = k.b.Get(k.link).Form()
	}, run: func(k *killed) {
		k.post(k.form, "password", killedPassword)
	}, goOn: func(k *killed) {
		if form := k.openLink("/sign-up/confirm"); form.Action != "" {
			k.post(form, "password", killedPassword)
		} else if k.user() == nil {
			k.request("/sign-up", "/sign-up/confirm")
			k.post(k.openLink("/sign-up/confirm"), "password", killedPassword)
		}
		ada := &idptest.User{Email: killedEmail, Password: killedPassword}
		b := k.Browser()
		if page := b.GivePassword(b.Get("/sign-in"), ada); page.URL.Path != "/sign-in/set-up" {
			k.t.Errorf("the user cannot go on: %d %s", page.Status, page.URL)
		}
	}},
	{name: "complete an invitation", signUp: account.SignUpByInvitation, prepare: func(k *killed) {
		u := &idp.User{ID: "u1", Emails: []idp.Email{{Address: killedEmail}}, CreatedAt: k.Clock.Now(), UpdatedAt: k.Clock.Now()}
		conflicts, err := k.Bolt.ImportUsers(k.t.Context(), []idp.ImportedUser{{User: u}})
		if err = errors.Join(append(conflicts, err)...); err != nil {
			k.t.Fatal(err)
		}
		token, err := k.MailLinks.Issue(k.t.Context(), maillink.Link{Purpose: maillink.Invitation, Email: killedEmail, User: u.ID, Stamp: u.LinkStamp()})
		if err != nil {
			k.t.Fatal(err)
		}
		k.link = "/sign-up/confirm?token=" + token
		k.form = k.b.Get(k.link).Form()
	}, run: func(k *killed) {
		k.post(k.form, "password", killedPassword)
	}, goOn: func(k *killed) {
		if form := k.openLink("/sign-up/confirm"); form.Action != "" {
			k.post(form, "password", killedPassword)
		}
		ada := &idptest.User{Email: killedEmail, Password: killedPassword}
		b := k.Browser()
		if page := b.GivePassword(b.Get("/sign-in"), ada); page.URL.Path != "/sign-in/set-up" {
			k.t.Errorf("the user cannot go on: %d %s", page.Status, page.URL)
		}
	}},
	{name: "change the password", endsOthers: true, prepare: (*killed).addAda, run: (*killed).changePassword, goOn: (*killed).changePassword},
	{name: "add a factor", endsOthers: true, prepare: func(k *killed) {
		k.addAda()
		k.form = k.b.Get("/account/factors/add").Form()
	}, run: (*killed).addFactor, goOn: (*killed).addFactor},
	{name: "remove a factor", endsOthers: true, prepare: func(k *killed) {
		k.addAda()
		k.form = k.b.Get("/account/factors/add").Form()
		k.addFactor()
	}, run: (*killed).removeFactor, goOn: (*killed).removeFactor},
	{name: "reset the password", endsOthers: true, prepare: func(k *killed) {
		k.addAda()
		k.request("/sign-in/forgot", "/sign-in/reset")
		k.form = k.b.Get(k.link).Form()
	}, run: func(k *killed) {
		k.post(k.form, "password", newPassword)
	}, goOn: func(k *killed) {
		form := k.openLink("/sign-in/reset")
		if form.Action == "" && !k.readState().HasNewPassword {
			k.request("/sign-in/forgot", "/sign-in/reset")
			form = k.openLink("/sign-in/reset")
		}
		if form.Action != "" {
			k.post(form, "password", newPassword)
		}
		k.ada.Password = newPassword
		b := k.Browser()
		if b.SignIn(b.Get("/sign-in"), k.ada); !isSignedIn(b) {
			k.t.Error("the user cannot sign in")
		}
	}},
	{name: "sign in with a recovery code", costsCode: true, prepare: func(k *killed) {
		k.addAda()
		var err error
		if k.codes, err = k.Accounts.ReplaceRecoveryCodes(k.t.Context(), k.ada.Record.ID, idp.AuditEvent{Actor: "test"}); err != nil {
			k.t.Fatal(err)
		}
		k.b = k.Browser()
		k.b.GivePassword(k.b.Get("/sign-in"), k.ada)
		k.form = k.b.Get("/sign-in/recovery-code").Form()
	}, run: func(k *killed) {
		k.post(k.form, "code", k.codes[0])
	}, goOn: func(k *killed) {
		for _, code := range k.codes[:2] {
			if isSignedIn(k.b) {
				return
			}
			k.b.GivePassword(k.b.Get("/sign-in"), k.ada)
			k.post(k.b.Get("/sign-in/recovery-code").Form(), "code", code)
		}
		if !isSignedIn(k.b) {
			k.t.Error("the user cannot sign in")
		}
	}},
	{name: "plan the deletion", prepare: func(k *killed) {
		k.addAda()
		k.form = k.b.Get("/account/delete").Form()
	}, run: func(k *killed) {
		k.post(k.form, "email", killedEmail)
	}, goOn: func(k *killed) {
		k.post(k.form, "email", killedEmail)
	}},
	{name: "cancel the deletion", prepare: func(k *killed) {
		k.addAda()
		k.planDeletion()
	}, run: func(k *killed) {
		k.b.Post("/account/delete/keep", url.Values{})
	}, goOn: func(k *killed) {
		k.b.Post("/account/delete/keep", url.Values{})
	}},
	{name: "delete as planned", prepare: func(k *killed) {
		k.addAda()
		k.addOther()
		k.planDeletion()
		k.Clock.Advance(account.DeletionWait)
	}, run: (*killed).job, goOn: (*killed).job},
	{name: "plan the deletion without factors", prepare: func(k *killed) {
		k.addAda()
		k.openLost()
	}, run: func(k *killed) {
		k.post(k.form, "confirm", "yes")
	}, goOn: func(k *killed) {
		k.openLost()
		k.post(k.form, "confirm", "yes")
		// Each link that was mailed works.
		for _, m := range k.Mails() {
			if strings.Contains(m.Text(), k.URL+"/sign-in/keep-account") {
				if page := k.b.Get(k.MailedURL(m, "/sign-in/keep-account")); page.Status != 200 {
					k.t.Errorf("mailed link: %d", page.Status)
				}
			}
		}
	}},
	{name: "keep the account by a mailed link", prepare: func(k *killed) {
		k.addAda()
		k.openLost()
		k.post(k.form, "confirm", "yes")
		k.link = k.mailedLink("/sign-in/keep-account")
		k.form = k.openLink("/sign-in/keep-account")
	}, run: func(k *killed) {
		k.post(k.form)
	}, goOn: func(k *killed) {
		if form := k.openLink("/sign-in/keep-account"); form.Action != "" {
			k.post(form)
		}
	}},
	{name: "plan a reset of the factors", prepare: (*killed).addAda, run: (*killed).planReset, goOn: (*killed).planReset},
	{name: "cancel the reset of the factors", prepare: func(k *killed) {
		k.addAda()
		k.planReset()
	}, run: (*killed).cancelReset, goOn: (*killed).cancelReset},
	{name: "reset the factors as planned", endsOthers: true, prepare: func(k *killed) {
		k.addAda()
		k.planReset()
		k.Clock.Advance(account.FactorResetWait)
	}, run: (*killed).job, goOn: func(k *killed) {
		k.job()
		b := k.Browser()
		if page := b.GivePassword(b.Get("/sign-in"), k.ada); page.URL.Path != "/sign-in/set-up" {
			k.t.Errorf("the user cannot set a factor up: %d %s", page.Status, page.URL)
		}
	}},
	{name: "confirm an email address", prepare: func(k *killed) {
		k.addAda()
		k.post(idptest.Form{Action: "/account/emails", Fields: url.Values{}}, "email", otherEmail)
		k.link = k.mailedLink("/account/emails/confirm")
		k.form = k.openLink("/account/emails/confirm")
	}, run: func(k *killed) {
		k.post(k.form)
	}, goOn: func(k *killed) {
		if form := k.openLink("/account/emails/confirm"); form.Action != "" {
			k.post(form)
		}
	}},
	{name: "choose the primary email address", prepare: func(k *killed) {
		k.addAda()
		k.addOther()
	}, run: (*killed).choosePrimary, goOn: func(k *killed) {
		k.choosePrimary()
		// The newest link undoes the change.
		k.link = k.mailedLink("/account/emails/undo")
		if k.openLink("/account/emails/undo").Action == "" {
			k.t.Error("no link undoes the change")
		}
	}},
	{name: "undo the change of the primary email address", endsOthers: true, prepare: func(k *killed) {
		k.addAda()
		k.addOther()
		k.choosePrimary()
		k.link = k.mailedLink("/account/emails/undo")
		k.form = k.openLink("/account/emails/undo")
	}, run: func(k *killed) {
		k.post(k.form)
	}, goOn: func(k *killed) {
		if form := k.openLink("/account/emails/undo"); form.Action != "" {
			k.post(form)
		}
	}},
	{name: "agree to share data", prepare: func(k *killed) {
		k.addAda()
		k.form = k.b.Get(k.sp.URL(&idptest.Request{})).Form()
	}, run: func(k *killed) {
		k.post(k.form)
	}, goOn: (*killed).agree},
	{name: "withdraw the agreement", prepare: func(k *killed) {
		k.addAda()
		k.agree()
	}, run: (*killed).withdraw, goOn: (*killed).withdraw},
}

func (k *killed) planReset() {
	_, err := k.Accounts.PlanFactorReset(k.t.Context(), killedEmail, k.Clock.Now().Add(account.FactorResetWait), "test")
	if err != nil && !k.store.hasEnded() {
		k.t.Error(err)
	}
}

func (k *killed) cancelReset() {
	err := k.Accounts.CancelFactorReset(k.t.Context(), k.ada.Record.ID, idp.AuditEvent{Actor: "user"})
	if err != nil && !errors.Is(err, account.ErrNotPlanned) && !k.store.hasEnded() {
		k.t.Error(err)
	}
}

func (k *killed) choosePrimary() {
	k.b.Post("/account/emails/primary", url.Values{"email": {otherEmail}})
}

func (k *killed) withdraw() {
	k.b.Post("/account/services/withdraw", url.Values{"service": {killedSP}})
}

// changePassword repeats nothing: the user learns at the sign-in page which password is right.
func (k *killed) changePassword() {
	k.post(idptest.Form{Action: "/account/password", Fields: url.Values{}}, "password", killedPassword, "new_password", newPassword)
}

// addFactor adds the authenticator whose secret the page showed.
func (k *killed) addFactor() {
	k.t.Helper()
	proposal, err := k.Accounts.OpenProposal(k.user(), k.form.Fields.Get("sealed"))
	if err != nil {
		k.t.Fatal(err)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(proposal.Secret)
	if err != nil {
		k.t.Fatal(err)
	}
	k.Clock.Advance(time.Minute)
	code, err := account.ComputeCode(idp.TOTP{Secret: secret, Period: 30}, k.Clock.Now())
	if err != nil {
		k.t.Fatal(err)
	}
	k.post(k.form, "code", code, "name", "phone")
}

func (k *killed) removeFactor() {
	u := k.user()
	k.b.Post("/account/factors/remove", url.Values{"factor": {u.TOTPs[len(u.TOTPs)-1].ID()}, "sure": {"yes"}})
}

// TestKilledJourneyCanGoOn kills the server at every write of a change of an account, before and after
// the write is durable, and starts it again. The account is then as before or as after the change, the
// user reaches the end without help, and no mail is lost.
func TestKilledJourneyCanGoOn(t *testing.T) {
	t.Parallel()
	for _, j := range killedJourneys {
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			whole := newKilled(t, j)
			before := whole.readState()
			whole.store.arm(1_000_000, false)
			j.run(whole)
			writes := whole.store.countWrites()
			whole.restart()
			after := whole.readState()
			if gocmp.Equal(before, after) {
				t.Fatalf("nothing changes: %+v", after)
			}
			mails := whole.listMails()
			for write := range writes {
				for _, isAfter := range []bool{false, true} {
					k := newKilled(t, j)
					var other *idptest.Browser
					if j.endsOthers {
						other = k.Browser()
						if other.SignIn(other.Get("/sign-in"), k.ada); !isSignedIn(other) {
							t.Fatal("no session in another browser")
						}
					}
					k.store.arm(write, isAfter)
					j.run(k)
					if !k.store.hasEnded() {
						t.Fatalf("write %d of %d: not killed", write, writes)
					}
					k.restart()
					state := k.readState()
					if !gocmp.Equal(before, state) && !gocmp.Equal(after, state) {
						t.Errorf("write %d, after it: %v: neither before nor after the change (-after +killed):\n%s", write, isAfter, gocmp.Diff(after, state))
					}
					if other != nil && !gocmp.Equal(before, state) && isSignedIn(other) {
						t.Errorf("write %d, after it: %v: the change was made, but a session in another browser goes on", write, isAfter)
					}
					j.goOn(k)
					state = k.readState()
					if j.costsCode && state.Codes == after.Codes-1 {
						state.Codes = after.Codes
					}
					if diff := gocmp.Diff(after, state); diff != "" {
						t.Errorf("write %d, after it: %v: the change cannot be completed (-want +got):\n%s", write, isAfter, diff)
					}
					got := k.listMails()
					for _, m := range mails {
						if !slices.Contains(got, m) {
							t.Errorf("write %d, after it: %v: mail %q is lost", write, isAfter, m)
						}
					}
					k.Stop()
				}
			}
		})
	}
}

func newKilled(t *testing.T, j killedJourney) *killed {
	t.Helper()
	k := &killed{t: t, store: &killStore{}}
	k.IdP = idptest.New(t, idptest.Options{
		Log: slog.DiscardHandler, HasMail: true, WrapsServices: true, Users: account.Settings{SignUp: cmp.Or(j.signUp, account.SignUpOff)},
		WrapStore: func(s idp.OwnedStore) idp.OwnedStore {
			k.store.start(s)
			return k.store
		},
	})
	k.Mails() // notices begin here
	k.sp = k.AddProvider(killedSP, func(p *idp.ServiceProvider) { p.Consent = idp.ConsentAsk })
	k.b = k.Browser()
	j.prepare(k)
	k.Clock.Advance(time.Second)
	return k
}

// restart starts the server again.
func (k *killed) restart() {
	k.t.Helper()
	k.Stop()
	k.Start()
}
