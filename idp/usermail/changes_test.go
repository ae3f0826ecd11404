package usermail_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/usermail"
	"vernal/templates"
)

// Each kind of change reaches every confirmed email address of the user, in the user's language,
// and says who made it.
func TestChangeReachesConfirmedEmails(t *testing.T) {
	t.Parallel()
	kinds := usermail.ChangeKinds()
	if len(kinds) < 6 {
		t.Fatalf("kinds %v", kinds)
	}
	origins := map[string]string{"user:u1": "user", "server": "server", "cli:uid=1000(ops)": "staff"}
	for _, kind := range kinds {
		for actor, by := range origins {
			for _, lang := range []templates.Lang{"en", "es", "fr"} {
				t.Run(string(kind)+"/"+by+"/"+string(lang), func(t *testing.T) {
					t.Parallel()
					d := newDeployment(t)
					s := d.server()
					d.addUser("u1", string(lang), "ada@example.gov", "ada@example.org")
					d.addUser("u2", "en", "bob@example.gov")
					ok(t, d.Bolt.UpdateUser(t.Context(), "u1", func(u *idp.User) error {
						u.Emails = append(u.Emails, idp.Email{Address: "unconfirmed@example.net"})
						return nil
					}))
					d.tick(s)
					d.Clock.Advance(time.Hour)
					d.change("u1", kind, actor)
					at := d.Clock.Now()
					d.Clock.Advance(time.Minute)
					d.tick(s)
					var want []rendered
					for _, to := range []string{"ada@example.gov", "ada@example.org"} {
						want = append(want, d.render(usermail.Mail{Kind: usermail.Changed, To: to, Lang: lang,
							Args: usermail.Args{Change: kind, By: by, At: at}}))
					}
					if diff := cmp.Diff(want, d.mails()); diff != "" {
						t.Errorf("mails (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

// The account service writes records that are notified: the operations of operators reach the user.
func TestOperatorChangesAreNotified(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addUser("u1", "", "ada@example.gov")
	s := d.server()
	d.tick(s)
	const email, actor = "ada@example.gov", "cli:uid=1000(ops)"
	for _, step := range []func() error{
		func() error {
			_, err := d.Accounts.SetPassword(t.Context(), email, "a long enough passphrase", actor)
			return err
		},
		func() error { _, err := d.Accounts.Lock(t.Context(), email, "lost", actor); return err },
		func() error { return d.Accounts.Unlock(t.Context(), email, actor) },
		func() error { _, err := d.Accounts.ResetMFA(t.Context(), email, actor); return err },
	} {
		before := len(d.received())
		d.Clock.Advance(time.Minute)
		ok(t, step())
		d.tick(s)
		if got := len(d.received()) - before; got != 1 {
			t.Errorf("%d mails about a step", got)
		}
	}
}

// A sign-in is notified only from a new browser. Refusals, small changes of the user and records
// without a user are not notified.
func TestOtherRecordsAreNotNotified(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addUser("u1", "fr", "ada@example.gov")
	s := d.server()
	d.tick(s)
	at := d.Clock.Now()
	newDevice := map[string]string{"new_device": "yes", "browser": "Firefox", "system": "Windows"}
	ok(t, d.Bolt.AppendAudit(t.Context(),
		idp.AuditEvent{Kind: idp.AuditAuthn, Outcome: "ok", Actor: "user:u1", User: "u1"},
		idp.AuditEvent{Kind: idp.AuditAuthn, Outcome: "wrong_code", Actor: "user:u1", User: "u1", Detail: newDevice},
		idp.AuditEvent{Kind: idp.AuditUserSetPassword, Outcome: "failed", Actor: "user:u1", User: "u1"},
		idp.AuditEvent{Kind: idp.AuditUserLock, Outcome: "ok", Actor: "server"},
		idp.AuditEvent{Kind: idp.AuditUserForgetDevice, Outcome: "ok", Actor: "user:u1", User: "u1"},
		idp.AuditEvent{Kind: idp.AuditUserExport, Outcome: "ok", Actor: "cli:uid=0(root)"},
		idp.AuditEvent{Kind: idp.AuditAuthn, Outcome: "ok", Actor: "user:u1", User: "u1", Detail: newDevice},
	))
	d.tick(s)
	want := d.render(usermail.Mail{Kind: usermail.NewDevice, To: "ada@example.gov", Lang: "fr",
		Args: usermail.Args{By: "user", Change: idp.AuditAuthn, At: at, Browser: "Firefox", System: "Windows"}})
	if diff := cmp.Diff([]rendered{want}, d.mails()); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// The first consent for a service provider is notified under the name of the service provider, and
// no other sign-in is.
func TestFirstConsentIsNotified(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addUser("u1", "es", "ada@example.gov")
	ok(t, d.Bolt.CreateProvider(t.Context(), &idp.ServiceProvider{EntityID: "https://a.example", Name: "Permits", NameIDScope: "sp:https://a.example"}, ""))
	s := d.server()
	d.tick(s)
	at := d.Clock.Now()
	signIn := func(sp idp.EntityID, outcome, consent string) idp.AuditEvent {
		e := idp.AuditEvent{Kind: idp.AuditSignIn, Outcome: outcome, Actor: "user:u1", User: "u1", SP: sp}
		if consent != "" {
			e.Detail = map[string]string{"consent": consent}
		}
		return e
	}
	ok(t, d.Bolt.AppendAudit(t.Context(),
		signIn("https://a.example", "ok", ""), signIn("https://a.example", "ok", "grown"), signIn("https://a.example", "no_passive", ""),
		signIn("https://a.example", "ok", "first"), signIn("https://gone.example", "ok", "first")))
	d.tick(s)
	var want []rendered
	for _, name := range []string{"Permits", "https://gone.example"} {
		want = append(want, d.render(usermail.Mail{Kind: usermail.Connected, To: "ada@example.gov", Lang: "es",
			Args: usermail.Args{By: "user", Change: idp.AuditSignIn, At: at, SP: name}}))
	}
	if diff := cmp.Diff(want, d.mails()); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// The first server begins at the end of the trail, even before its first change. Later servers
// continue where the last one was, so that changes made while none ran are notified.
func TestNoticesBeginWithFirstServer(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addUser("u1", "", "ada@example.gov")
	d.change("u1", idp.AuditUserSetPassword, "user:u1")
	d.tick(d.server())
	if got := d.received(); len(got) != 0 {
		t.Fatalf("notified of an old change: %v", got)
	}
	d.change("u1", idp.AuditUserAddTOTP, "user:u1") // no server runs
	d.Close()
	d.Reopen()
	s := d.server()
	d.tick(s)
	d.change("u1", idp.AuditUserLock, "cli:uid=0(root)")
	d.tick(s)
	d.Clock.Advance(48 * time.Hour) // the IDs of sent mails are no longer known
	d.tick(d.server())
	if got := d.received(); len(got) != 2 {
		t.Errorf("%d mails", len(got))
	}
}

// Notices arrive in the order of the changes, and a change beyond a page of the trail too.
func TestNoticesFollowOrderOfChanges(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addUser("u1", "", "ada@example.gov")
	s := d.server()
	d.tick(s)
	var filler []idp.AuditEvent
	for range 2100 {
		filler = append(filler, idp.AuditEvent{Kind: idp.AuditUserExport, Outcome: "ok", Actor: "cli:uid=0(root)"})
	}
	ok(t, d.Bolt.AppendAudit(t.Context(), filler[:96]...)) // so that positions get a digit more
	var want []rendered
	for i := range 8 {
		kind := []idp.AuditKind{idp.AuditUserLock, idp.AuditUserUnlock}[i%2]
		d.change("u1", kind, "server")
		want = append(want, d.render(usermail.Mail{Kind: usermail.Changed, To: "ada@example.gov", Args: usermail.Args{Change: kind, By: "server", At: d.Clock.Now()}}))
	}
	ok(t, d.Bolt.AppendAudit(t.Context(), filler...))
	d.tick(s)
	d.Clock.Advance(time.Second)
	d.change("u1", idp.AuditUserResetMFA, "server")
	want = append(want, d.render(usermail.Mail{Kind: usermail.Changed, To: "ada@example.gov", Args: usermail.Args{Change: idp.AuditUserResetMFA, By: "server", At: d.Clock.Now()}}))
	d.tick(s)
	if diff := cmp.Diff(want, d.mails()); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// A user who was deleted since gets no notice, and the notices of others are sent.
func TestDeletedUserGetsNoNotice(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addUser("u1", "", "ada@example.gov")
	d.addUser("u2", "", "bob@example.gov")
	s := d.server()
	d.tick(s)
	d.change("u1", idp.AuditUserSetPassword, "user:u1")
	d.change("u2", idp.AuditUserSetPassword, "user:u2")
	ok(t, d.Bolt.DeleteUser(t.Context(), "u1", idp.AuditEvent{Kind: idp.AuditUserDelete, Outcome: "ok", Actor: "cli:uid=0(root)", User: "u1"}))
	d.tick(s)
	if got := d.received(); !slices.Equal(got, []string{"bob@example.gov"}) {
		t.Errorf("received by %v", got)
	}
}

// Notices wait for the mail server like all mails, over a restart too.
func TestNoticesSurviveOutage(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addUser("u1", "", "ada@example.gov")
	s := d.server()
	d.tick(s)
	d.stopMail()
	d.change("u1", idp.AuditUserSetPassword, "user:u1")
	if err := s.Tick(t.Context()); err == nil {
		t.Error("no error without a mail server")
	}
	d.Close()
	d.Reopen()
	d.startMail()
	d.Clock.Advance(time.Hour)
	s = d.server()
	d.tick(s)
	d.Clock.Advance(time.Hour)
	d.tick(s)
	if got := d.received(); len(got) != 1 {
		t.Errorf("%d mails", len(got))
	}
}
