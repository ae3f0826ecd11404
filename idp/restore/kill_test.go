package restore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/installation"
	"vernal/idp/restore"
	"vernal/idp/rotation"
	"vernal/idp/store/bolt"
)

var errKilled = errors.New("the process was killed")

// killer is a store whose process is killed at a write.
type killer struct {
	*bolt.Store
	left   int
	writes int
	killed bool
}

func (k *killer) write() error {
	if k.killed = k.killed || k.left == 0; k.killed {
		return errKilled
	}
	k.left--
	k.writes++
	return nil
}

func (k *killer) Restore(ctx context.Context, r idp.Restore, events ...idp.AuditEvent) (idp.EndedRecords, error) {
	if err := k.write(); err != nil {
		return idp.EndedRecords{}, err
	}
	return k.Store.Restore(ctx, r, events...)
}

func (k *killer) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	if err := k.write(); err != nil {
		return err
	}
	return k.Store.UpdateDocuments(ctx, kind, keys, change, events...)
}

func (k *killer) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	if err := k.write(); err != nil {
		return err
	}
	return k.Store.UpdateUser(ctx, id, change, events...)
}

func (k *killer) DeleteUser(ctx context.Context, id idp.UserID, events ...idp.AuditEvent) error {
	if err := k.write(); err != nil {
		return err
	}
	return k.Store.DeleteUser(ctx, id, events...)
}

func (k *killer) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	if err := k.write(); err != nil {
		return 0, err
	}
	return k.Store.EndSessions(ctx, e, events...)
}

func (k *killer) SetProfile(ctx context.Context, id idp.UserID, p *idp.Profile, at time.Time, events ...idp.AuditEvent) error {
	if err := k.write(); err != nil {
		return err
	}
	return k.Store.SetProfile(ctx, id, p, at, events...)
}

func (k *killer) UpdateProvider(ctx context.Context, u idp.ProviderUpdate, events ...idp.AuditEvent) (int, error) {
	if err := k.write(); err != nil {
		return 0, err
	}
	return k.Store.UpdateProvider(ctx, u, events...)
}

func (k *killer) RemoveProvider(ctx context.Context, id idp.EntityID, events ...idp.AuditEvent) error {
	if err := k.write(); err != nil {
		return err
	}
	return k.Store.RemoveProvider(ctx, id, events...)
}

// outcome is what must be the same however often the restore was killed.
type outcome struct {
	Users     map[string]string
	Providers map[idp.EntityID]bool
	Years     map[idp.Year]rotation.State
	Kinds     map[idp.AuditKind]int
	Held      bool
	Sessions  int
}

// TestKilledAtEachWrite kills the process at each write of a restore. The next opening must
// finish it, with the same outcome.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ctx := t.Context()
	d.signIn(d.Browser())
	locked, factors, changed := d.AddUser("locked@example.gov"), d.AddUser("factors@example.gov"), d.AddUser("changed@example.gov")
	removed, inactive := d.AddProvider("https://removed.example"), d.AddProvider("https://inactive.example")
	f := d.backup()
	_, err := d.Accounts.Lock(ctx, locked.Email, "why", "test")
	d.ok(err)
	_, err = d.Accounts.ResetMFA(ctx, factors.Email, "test")
	d.ok(err)
	_, err = d.Accounts.SetPassword(ctx, changed.Email, "seven teal lanterns hum", "test")
	d.ok(err)
	d.ok(d.Accounts.Delete(ctx, d.ann.Email, "test"))
	d.ok(d.Registry.Remove(ctx, idp.EntityID(removed.EntityID), "test"))
	inactive.Edit(func(p *idp.ServiceProvider) { p.Active = false })
	_, err = d.Rotation.Take(ctx, rotation.Step{Kind: rotation.StepRevoke, Year: d.Year(), Reason: "leaked"}, "test", false)
	d.ok(err)
	since := d.export(0)

	look := func() outcome {
		t.Helper()
		d.Reopen()
		defer d.Close()
		o := outcome{Users: map[string]string{}, Providers: map[idp.EntityID]bool{}, Years: map[idp.Year]rotation.State{}, Kinds: map[idp.AuditKind]int{}}
		users, err := d.Store.Users(ctx, idp.UserQuery{Limit: 100})
		d.ok(err)
		for _, u := range users {
			o.Users[u.PrimaryEmail()] = u.LockReason
			if len(u.TOTPs) == 0 {
				o.Users[u.PrimaryEmail()] += " no factor"
			}
		}
		providers, err := d.Store.Providers(ctx)
		d.ok(err)
		for _, p := range providers {
			o.Providers[p.EntityID] = p.Active
		}
		st, err := d.Rotation.Status(ctx, nil)
		d.ok(err)
		for _, y := range st.Years {
			o.Years[y.Year] = y.State
		}
		o.Held = st.Restoration.Holds()
		for _, rec := range d.records(f.head().Seq) {
			if rec.Kind == idp.AuditRotationAdopt { // of a create that was interrupted
				rec.Kind = idp.AuditRotationCreate
			}
			o.Kinds[rec.Kind]++
		}
		sessions, err := d.Store.Sessions(ctx, idp.SessionQuery{Limit: 100})
		d.ok(err)
		o.Sessions = len(sessions)
		d.verify()
		return o
	}
	var want outcome
	d.place(f, since)
	_, err = d.finish()
	d.ok(err)
	want = look()
	if want.Kinds[idp.AuditRestored] != 1 || want.Kinds[idp.AuditRestoredSince] != 1 || !want.Held || want.Sessions != 0 {
		t.Fatalf("a restore that is not killed: %+v", want)
	}
	for killAt := 0; ; killAt++ {
		d.place(f, since)
		d.Reopen()
		k := &killer{Store: d.Bolt, left: killAt}
		dying := installation.Build(d.Config, k)
		_, err := dying.Restore.Finish(ctx)
		d.Close()
		if k.killed != errors.Is(err, errKilled) || !k.killed && err != nil {
			t.Fatalf("killed at write %d: %v, error %v", killAt, k.killed, err)
		}
		if m, err := restore.ReadMarker(d.Folder); (m != nil) != k.killed {
			t.Fatalf("killed at write %d: marker %v, %v", killAt, m, err)
		}
		if k.killed {
			if _, err := d.finish(); err != nil {
				t.Fatalf("killed at write %d: finish: %v", killAt, err)
			}
		}
		if diff := cmp.Diff(want, look()); diff != "" {
			t.Errorf("killed at write %d (-want +got):\n%s", killAt, diff)
		}
		if !k.killed {
			if killAt < 8 {
				t.Errorf("a restore has %d writes", killAt)
			}
			return
		}
	}
}

// TestKilledBeforeMarkerIsRemoved leaves the marker of a finished restore: it must not be
// restored again.
func TestKilledBeforeMarkerIsRemoved(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	f := d.backup()
	d.restore(f, nil)
	d.Clock.Advance(time.Minute)
	b := d.Browser()
	d.signIn(b)
	d.Stop()
	d.ok(restore.WriteMarker(d.Folder, restore.Marker{Manifest: f.manifest, FileSHA256: f.sum, Actor: actor, HasSince: true}))
	d.Start()
	if page := b.Get("/account"); b.Session() == "" || page.URL.Path != "/account" {
		t.Error("a finished restore ended a session again")
	}
	if _, err := os.Lstat(filepath.Join(d.Folder, restore.MarkerName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the marker stays: %v", err)
	}
}
