package restore_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
	"vernal/idp/restore"
)

// TestSinceRepeatsEnds does everything after a backup that takes something away, and some things
// that give something, and checks what the restored installation makes of it.
func TestSinceRepeatsEnds(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ctx := t.Context()
	people := map[string]*idptest.User{"ann": d.ann}
	for _, name := range []string{"locked", "unlocked", "password", "both", "factors", "proofed", "deleted", "waslocked", "recovered", "reproofed", "lowered", "reset", "codes"} {
		people[name] = d.AddUser(name + "@example.gov")
	}
	email := func(name string) string { return people[name].Email }
	id := func(name string) idp.UserID { return people[name].Record.ID }
	profile := &idp.Profile{Level: idp.IALVerified, FirstName: "Pat", LastName: "Doe"}
	for _, name := range []string{"proofed", "reproofed"} {
		_, err := d.Accounts.Verify(ctx, email(name), profile, false, "test")
		d.ok(err)
	}
	face := *profile
	face.Level = idp.IALFacialMatch
	_, err := d.Accounts.Verify(ctx, email("lowered"), &face, false, "test")
	d.ok(err)
	for _, name := range []string{"waslocked", "recovered"} {
		_, err := d.Accounts.Lock(ctx, email(name), "before", "test")
		d.ok(err)
	}
	removed, inactive := d.AddProvider("https://removed.example"), d.AddProvider("https://inactive.example")
	otherCert := certPEM(d.NewOtherCert())
	twoCerts := d.AddProvider("https://certs.example", func(p *idp.ServiceProvider) { p.Certs = append(p.Certs, otherCert) })
	changed := d.AddProvider("https://changed.example")
	renamed := d.AddProvider("https://renamed.example")
	codes, err := d.Accounts.ReplaceRecoveryCodes(ctx, id("codes"), idp.AuditEvent{Actor: "test"})
	d.ok(err)
	f := d.backup()

	lock := func(name string) {
		_, err := d.Accounts.Lock(ctx, email(name), "why", "test")
		d.ok(err)
	}
	lock("locked")
	lock("unlocked")
	d.ok(d.Accounts.Unlock(ctx, email("unlocked"), "test"))
	d.ok(d.Accounts.Unlock(ctx, email("waslocked"), "test"))
	for _, name := range []string{"password", "both", "recovered"} {
		_, err := d.Accounts.SetPassword(ctx, email(name), "seven teal lanterns hum", "test")
		d.ok(err)
	}
	reset, err := d.Store.User(ctx, id("reset"))
	d.ok(err)
	d.ok(d.Accounts.ResetPassword(ctx, reset.ID, reset.LinkStamp(), "seven teal lanterns hum", idp.AuditEvent{Actor: "test"}))
	d.ok(d.Accounts.UseRecoveryCode(ctx, id("codes"), codes[0], netip.MustParseAddr("192.0.2.1"), account.SignIn{}, idp.AuditEvent{Actor: "test"}))
	lock("both")
	d.ok(d.Accounts.Unlock(ctx, email("recovered"), "test"))
	_, err = d.Accounts.ResetMFA(ctx, email("factors"), "test")
	d.ok(err)
	_, err = d.Accounts.AddTOTP(ctx, email("factors"), account.NewTOTP{}, "test")
	d.ok(err)
	for _, name := range []string{"proofed", "reproofed"} {
		_, err = d.Accounts.Verify(ctx, email(name), nil, false, "test")
		d.ok(err)
	}
	_, err = d.Accounts.Verify(ctx, email("lowered"), profile, false, "test")
	d.ok(err)
	_, err = d.Accounts.Verify(ctx, email("reproofed"), &idp.Profile{Level: idp.IALVerified, FirstName: "Sam", LastName: "Roe"}, false, "test")
	d.ok(err)
	d.ok(d.Accounts.Delete(ctx, email("deleted"), "test"))
	late := d.AddUser("late@example.gov") // not in the backup
	d.ok(d.Accounts.Delete(ctx, late.Email, "test"))
	d.ok(d.Registry.Remove(ctx, idp.EntityID(removed.EntityID), "test"))
	inactive.Edit(func(p *idp.ServiceProvider) { p.Active = false })
	twoCerts.Edit(func(p *idp.ServiceProvider) { p.Certs = p.Certs[:1] })
	changed.Edit(func(p *idp.ServiceProvider) { p.Certs = []string{otherCert} })
	renamed.Edit(func(p *idp.ServiceProvider) { p.Name = "Another name" })
	d.signIn(d.Browser()) // ann's first visit: the NameID is lost

	d.place(f, d.export(f.head().Seq))
	r, err := d.finish()
	d.ok(err)
	sorted := func(ids ...idp.UserID) []idp.UserID { slices.Sort(ids); return ids }
	want := &restore.SinceReport{
		End: r.Since.End, Records: r.Since.Records,
		Deleted: sorted(id("deleted")), Locked: sorted(id("locked")), PasswordChanged: sorted(id("password"), id("both"), id("recovered"), id("reset")),
		CodesRemoved:   sorted(id("codes")),
		FactorsRemoved: sorted(id("factors")), ProofRemoved: sorted(id("proofed"), id("reproofed"), id("lowered")),
		SPsRemoved:     []idp.EntityID{"https://removed.example"},
		SPsInactive:    []idp.EntityID{"https://changed.example", "https://inactive.example"},
		SPCertsRemoved: []idp.EntityID{"https://certs.example"},
		NewNameIDs:     map[idp.EntityID]int{"https://sp.example": 1},
		Lost: map[idp.AuditKind]int{
			idp.AuditUserAdd: 1, idp.AuditUserAddTOTP: 1, idp.AuditUserUnlock: 3, idp.AuditUserSetPassword: 3, idp.AuditSPEdit: 3,
			idp.AuditUserVerify: 2, idp.AuditUserResetPassword: 1,
		},
	}
	if diff := cmp.Diff(want, r.Since); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	d.Start()
	got := map[string]string{}
	for name := range people {
		u, err := d.Store.User(ctx, id(name))
		switch {
		case err != nil:
			got[name] = "gone"
		case u.IsLocked():
			got[name] = u.LockReason
		case len(u.TOTPs) == 0:
			got[name] = "no factor"
		case u.Proofing != nil:
			got[name] = "proofed"
		default:
			got[name] = "ok"
		}
	}
	wantUsers := map[string]string{
		"ann": "ok", "locked": restore.LockedAfterBackup, "unlocked": "ok", "password": restore.PasswordAfterBackup, "both": restore.PasswordAfterBackup,
		"factors": "no factor", "proofed": "ok", "deleted": "gone", "waslocked": "before", "recovered": restore.PasswordAfterBackup, "reproofed": "ok", "lowered": "ok",
		"reset": restore.PasswordAfterBackup, "codes": "ok",
	}
	if diff := cmp.Diff(wantUsers, got); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	for sp, want := range map[*idptest.Provider]string{removed: "gone", inactive: "inactive", changed: "inactive", twoCerts: "1 certificate", renamed: "1 certificate"} {
		p, err := d.Registry.Get(ctx, idp.EntityID(sp.EntityID))
		state := "gone"
		if err == nil && !p.Active {
			state = "inactive"
		} else if err == nil && len(p.Certs) == 1 {
			state = "1 certificate"
		}
		if state != want {
			t.Errorf("%s is %s, want %s", sp.EntityID, state, want)
		}
	}
	kinds := map[idp.AuditKind]int{}
	for _, rec := range d.records(f.head().Seq) {
		if rec.Actor == actor {
			kinds[rec.Kind]++
		}
	}
	wantKinds := map[idp.AuditKind]int{
		idp.AuditRestored: 1, idp.AuditRestoredSince: 1, idp.AuditUserDelete: 1, idp.AuditUserLock: 5, idp.AuditUserResetMFA: 1, idp.AuditUserRecoveryCodes: 1,
		idp.AuditUserVerify: 3, idp.AuditSPRemove: 1, idp.AuditSPEdit: 3,
	}
	if diff := cmp.Diff(wantKinds, kinds); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	d.verify()

	// The old password must not work, even for someone who has a fresh code.
	d.Clock.Advance(time.Minute)
	thief := d.Browser()
	if page := thief.GivePassword(thief.Get("/sign-in"), people["password"]); page.Form().Fields.Has("code") {
		t.Error("a password that was changed after the backup works again")
	}
}
