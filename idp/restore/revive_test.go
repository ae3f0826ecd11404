package restore_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
)

// signIn signs the user in at the service provider and returns the page with the Response.
func (d *deployment) signIn(b *idptest.Browser) *idptest.Page {
	d.t.Helper()
	page := b.SignIn(b.Get(d.sp.URL(&idptest.Request{})), d.ann)
	if page.Response() == nil {
		d.t.Fatalf("no Response: %d\n%s", page.Status, page.Text())
	}
	return page
}

// code returns the user's code that is due after a time.
func (d *deployment) code(after time.Duration) string {
	d.t.Helper()
	code, err := account.ComputeCode(d.ann.Record.TOTPs[0], d.Clock.Now().Add(after))
	d.ok(err)
	return code
}

// giveCode submits a code in the form of the page.
func giveCode(b *idptest.Browser, page *idptest.Page, code string) *idptest.Page {
	form := page.Form()
	form.Fields.Set("code", code)
	return b.Post(form.Action, form.Fields)
}

// TestRestoreEndsSessions tries a session from before the backup and one from after it.
func TestRestoreEndsSessions(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	before, after := d.Browser(), d.Browser()
	d.signIn(before)
	f := d.backup()
	d.signIn(after)
	r := d.restore(f, nil)
	if r.Ended.Sessions != 1 || r.Ended.LoginRequests != 1 {
		t.Errorf("ended: %+v", r.Ended)
	}
	d.Clock.Advance(time.Minute)
	for name, b := range map[string]*idptest.Browser{"before": before, "after": after} {
		if page := b.Get(d.sp.URL(&idptest.Request{})); page.Response() != nil {
			t.Errorf("the session from %s the backup signs in", name)
		}
	}
	d.signIn(d.Browser())
	d.verify()
}

// TestRestoreKeepsNameIDs checks that the user is the same to the service provider.
func TestRestoreKeepsNameIDs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	visit := func() string {
		t.Helper()
		req := &idptest.Request{}
		b := d.Browser()
		page := b.SignIn(b.Get(d.sp.URL(req)), d.ann)
		assertion, err := d.sp.Check(req, page.Response())
		d.ok(err)
		return assertion.Subject.NameID.Value
	}
	name := visit()
	f := d.backup()
	d.restore(f, nil)
	d.Clock.Advance(time.Minute)
	if got := visit(); got != name {
		t.Errorf("NameID %s, was %s", got, name)
	}
}

// TestRestoreCountsCodesAsUsed tries codes that were used after the backup: the one of the time
// and the next one, which is accepted ahead of its time.
func TestRestoreCountsCodesAsUsed(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"at its time": 0, "ahead of its time": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			f := d.backup()
			used := d.Browser()
			page := used.GivePassword(used.Get("/sign-in"), d.ann)
			d.Clock.Advance(time.Minute)
			code := d.code(ahead)
			giveCode(used, page, code)
			if used.Session() == "" {
				t.Fatal("the code does not work before the restore")
			}
			d.restore(f, nil)
			thief := d.Browser()
			page = giveCode(thief, thief.GivePassword(thief.Get("/sign-in"), d.ann), code)
			if thief.Session() != "" || page.Status != http.StatusOK && page.Status != http.StatusUnprocessableEntity {
				t.Errorf("a used code after the restore: %d, session %q", page.Status, thief.Session())
			}
			d.Clock.Advance(30 * time.Second)
			next := d.Browser()
			next.SignIn(next.Get("/sign-in"), d.ann)
			if next.Session() == "" {
				t.Error("the next code does not work")
			}
		})
	}
}

// TestRestoreEndsPendingSignIn tries a sign-in that waits for its code, and a request that the
// store keeps, across a restore.
func TestRestoreEndsPendingSignIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	b := d.Browser()
	page := b.GivePassword(b.Get(d.sp.URL(&idptest.Request{})), d.ann)
	f := d.backup()
	d.restore(f, nil)
	d.Clock.Advance(time.Minute)
	if page = giveCode(b, page, d.code(0)); b.Session() != "" || page.Response() != nil {
		t.Error("a sign-in from before the backup was completed")
	}
}

// TestRestoreRefusesHeldRequest tries a request that a browser holds, which was answered after
// the backup: the restored store does not know that.
func TestRestoreRefusesHeldRequest(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	f := d.backup()
	b := d.Browser()
	form := b.Get(d.sp.URL(&idptest.Request{})) // waits in the browser or in the store
	address := form.URL.String()
	d.restore(f, nil)
	d.Clock.Advance(time.Minute)
	page := b.Get(address)
	if strings.Contains(string(page.Body), `name="password"`) && page.Form().Fields.Get("request") != "" {
		t.Errorf("the request from before the restore goes on: %d %s", page.Status, address)
	}
}

// TestRestoreForgetsDevices tries a device that was remembered before the backup and forgotten
// after it, and one that was remembered after it.
func TestRestoreForgetsDevices(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	remember := func() *idptest.Browser {
		b := d.Browser()
		b.GiveCode(b.GivePassword(b.Get("/sign-in"), d.ann), d.ann, "remember")
		return b
	}
	asksCode := func(b *idptest.Browser) bool {
		b.Post("/account/sign-out", nil)
		_, code := b.GivePassword(b.Get("/sign-in"), d.ann).Form().Fields["code"]
		return code
	}
	before := remember()
	if asksCode(before) {
		t.Fatal("the device is not remembered")
	}
	f := d.backup()
	_, err := d.Accounts.ForgetDevices(t.Context(), d.ann.Record.ID, "", idp.AuditEvent{Actor: actor, Outcome: "ok"})
	d.ok(err)
	after := remember()
	d.restore(f, nil)
	d.Clock.Advance(time.Minute)
	for name, b := range map[string]*idptest.Browser{"before": before, "after": after} {
		if !asksCode(b) {
			t.Errorf("the device from %s the backup is remembered", name)
		}
	}
	if b := remember(); asksCode(b) {
		t.Error("a device after the restore is not remembered")
	}
}

// TestRestoreEndsLinks tries links of every kind.
func TestRestoreEndsLinks(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	tokens := map[sharelink.Kind]string{}
	for _, l := range []sharelink.Link{{Kind: sharelink.Wallboard}, {Kind: sharelink.Calendar}, {Kind: sharelink.Preview, Year: "2031", SP: idp.EntityID(d.sp.EntityID)}} {
		_, token, err := d.Links.Create(t.Context(), l, "test")
		d.ok(err)
		tokens[l.Kind] = token
	}
	f := d.backup()
	d.restore(f, nil)
	for kind, token := range tokens {
		if _, err := d.Links.Check(t.Context(), kind, token); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("%s link after a restore: %v", kind, err)
		}
	}
}

// TestRestoreRefusesReplay sends messages again that were accepted after the backup.
func TestRestoreRefusesReplay(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	f := d.backup()
	b := d.Browser()
	req := &idptest.Request{}
	login := d.sp.URL(req)
	name := d.nameID(b, req, login)
	d.Clock.Advance(2 * time.Second)
	logout := &idptest.LogoutRequest{NameID: name}
	form := d.sp.LogoutURL(logout)
	d.Clock.Advance(time.Second)
	d.restore(f, nil)
	d.Clock.Advance(30 * time.Second) // a code works

	// A session that begins after the restore must not be ended by an old message.
	victim := d.Browser()
	fresh := &idptest.Request{IssuedAt: d.Clock.Now().Add(time.Second)}
	d.nameID(victim, fresh, d.sp.URL(fresh))
	if page := victim.Get(login); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), string(idp.RefusedBeforeRestore)) {
		t.Errorf("a replayed AuthnRequest: %d\n%s", page.Status, page.Text())
	}
	session := victim.Session()
	if page := victim.Get(form); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), string(idp.RefusedBeforeRestore)) {
		t.Errorf("a replayed LogoutRequest: %d\n%s", page.Status, page.Text())
	}
	if page := victim.Get(d.sp.URL(&idptest.Request{})); page.Response() == nil || session == "" {
		t.Error("a replayed LogoutRequest ended a session")
	}
}

// nameID signs the user in with a request and returns the NameID.
func (d *deployment) nameID(b *idptest.Browser, req *idptest.Request, address string) string {
	d.t.Helper()
	page := b.SignIn(b.Get(address), d.ann)
	assertion, err := d.sp.Check(req, page.Response())
	d.ok(err)
	return assertion.Subject.NameID.Value
}

// TestRestoreRevivesNoRevokedYear checks that --since ends a year that was revoked after the
// backup, with its key.
func TestRestoreRevivesNoRevokedYear(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	y := d.Year()
	f := d.backup()
	_, err := d.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: y, Reason: "leaked"}, "test", false)
	d.ok(err)
	_, err = d.Rotation.Retire(t.Context(), rotation.Step{Kind: rotation.StepRetire, Year: y}, "test", false)
	d.ok(err)
	next := d.Year()
	since := d.export(0)
	d.place(f, since)
	r, err := d.finish()
	d.ok(err)
	if len(r.Since.LostYears) != 1 || r.Since.LostYears[0] != next {
		t.Errorf("lost years: %v, want %s", r.Since.LostYears, next)
	}
	if r.Since.Replacement != next[:4]+"c" {
		t.Errorf("%s replaces %s", r.Since.Replacement, next)
	}
	d.Reopen()
	d.ok(d.Rotation.Start(t.Context()))
	k, err := d.Keys.LoadYear(y)
	d.ok(err)
	if k != nil && k.Signer != nil {
		t.Error("the revoked key is back")
	}
	st, err := d.Rotation.Status(t.Context(), nil)
	d.ok(err)
	for _, s := range st.Years {
		if s.Year == y && s.State != rotation.Revoked {
			t.Errorf("%s is %s", y, s.State)
		}
	}
	d.Close()
	d.Start()
	if got := d.Browser().Get(d.IdP.IdP.AuthnURL(y)); got.Status != http.StatusGone {
		t.Errorf("the revoked year answers %d", got.Status)
	}
	if got := d.Browser().Get(d.IdP.IdP.AuthnURL(next)); got.Status != http.StatusServiceUnavailable {
		t.Errorf("the year whose key is lost answers %d", got.Status)
	}
	d.Clock.Advance(time.Minute)
	d.signIn(d.Browser())
}

// TestRestoreBringsLostKeyBack checks that a year whose key was made after the backup opens once
// its files are back in the folder.
func TestRestoreBringsLostKeyBack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	y := d.Year()
	f := d.backup()
	_, err := d.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: y, Reason: "leaked"}, "test", false)
	d.ok(err)
	next := d.Year()
	kept, err := d.Keys.Files(func() error { return nil })
	d.ok(err)
	since := d.export(0)
	d.place(f, since)
	for _, file := range kept {
		if strings.HasPrefix(file.Name, string(next)) {
			d.writeKey(file)
		}
	}
	d.Start()
	d.Clock.Advance(time.Minute)
	d.signIn(d.Browser())
	if d.Year() != next {
		t.Errorf("preferred %s, want %s", d.Year(), next)
	}
}

// TestRestoreKeepsEmailAddressReserved checks that the email address of a user whom --since deletes
// again is not given to another user if a service provider may have received it after the backup.
func TestRestoreKeepsEmailAddressReserved(t *testing.T) {
	t.Parallel()
	for outcome, isReserved := range map[string]bool{"ok": true, "sp_unknown": false} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			f := d.backup()
			e := idp.AuditEvent{Kind: idp.AuditSignIn, Outcome: outcome, User: d.ann.Record.ID, SP: "https://unregistered.example"}
			d.ok(d.Store.AppendAudit(t.Context(), e))
			d.ok(d.Accounts.Delete(t.Context(), d.ann.Email, "test"))
			d.restore(f, d.export(0))
			outcomes, err := d.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: &idp.User{ID: "new", Emails: []idp.Email{{Address: d.ann.Email}}}}})
			if err != nil || errors.Is(outcomes[0], idp.ErrExists) != isReserved {
				t.Errorf("another user with the email address: %v, %v", outcomes, err)
			}
		})
	}
}

// TestRestoreRevivesNoDeletedUser checks that --since deletes a user again.
func TestRestoreRevivesNoDeletedUser(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	f := d.backup()
	d.ok(d.Accounts.Delete(t.Context(), d.ann.Email, "test"))
	since := d.export(0)
	r := d.restore(f, since)
	if len(r.Since.Deleted) != 1 || r.Since.Deleted[0] != d.ann.Record.ID {
		t.Errorf("deleted: %v", r.Since.Deleted)
	}
	d.Clock.Advance(time.Minute)
	b := d.Browser()
	form := b.Get("/sign-in").Form()
	form.Fields.Set("email", d.ann.Email)
	form.Fields.Set("password", d.ann.Password)
	if _, code := b.Post(form.Action, form.Fields).Form().Fields["code"]; code {
		t.Error("the deleted user signs in")
	}
	if _, err := d.Store.User(t.Context(), d.ann.Record.ID); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("the deleted user: %v", err)
	}
}

// writeKey puts a key file into the folder of keys.
func (d *deployment) writeKey(f certs.File) {
	d.t.Helper()
	d.ok(writeFile(d.KeysFolder(), f.Name, f.Data))
}
