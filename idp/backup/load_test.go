package backup_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/rotation"
	"vernal/idp/seal"
)

// effects are what a trail says about a store: users, NameIDs and providers. Each change of the
// test names its effect in its event, which is written in the same step.
type effects struct {
	Users, Deleted, Providers []string
	NameIDs                   map[string]string // by user
}

// replay returns the effects of a trail.
func replay(t *testing.T, trail []idp.AuditRecord) effects {
	t.Helper()
	users, deleted, providers := map[string]bool{"ana": true}, map[string]bool{}, map[string]bool{}
	e := effects{NameIDs: map[string]string{}}
	for _, r := range trail {
		kind, object, _ := strings.Cut(r.Detail["effect"], " ")
		switch kind {
		case "add":
			users[object] = true
		case "delete":
			delete(users, object)
			deleted[object] = true
		case "name":
			user, name, _ := strings.Cut(object, " ")
			e.NameIDs[user] = name
		case "provider":
			providers[object] = true
		}
	}
	e.Users, e.Deleted, e.Providers = slices.Sorted(maps.Keys(users)), slices.Sorted(maps.Keys(deleted)), slices.Sorted(maps.Keys(providers))
	return e
}

// stateOf reads the same from a store.
func stateOf(t *testing.T, s idp.Store) effects {
	t.Helper()
	e := effects{NameIDs: map[string]string{}}
	for _, deleted := range []bool{false, true} {
		list, err := s.Users(t.Context(), idp.UserQuery{Limit: 1e6, Deleted: deleted})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list {
			if deleted {
				e.Deleted = append(e.Deleted, string(u.ID))
				continue
			}
			e.Users = append(e.Users, string(u.ID))
			// The record opens, and its email address leads to it.
			if found, err := s.UserByEmail(t.Context(), u.Emails[0].Address); err != nil || found.ID != u.ID {
				t.Errorf("user %s: %v", u.ID, err)
			}
		}
		for _, u := range list {
			if name, err := s.NameID(t.Context(), "agency:A", u.ID); err == nil {
				e.NameIDs[string(u.ID)] = string(name)
			}
		}
	}
	providers, err := s.Providers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range providers {
		e.Providers = append(e.Providers, string(p.EntityID))
	}
	return e
}

// trailOf reads a trail as it is stored.
func trailOf(t *testing.T, s idp.Store) (lines [][]byte, records []idp.AuditRecord) {
	t.Helper()
	page, err := s.AuditPage(t.Context(), idp.AuditQuery{Limit: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Lines {
		var r idp.AuditRecord
		if err := json.Unmarshal(l.JSON, &r); err != nil {
			t.Fatal(err)
		}
		lines, records = append(lines, l.JSON), append(records, r)
	}
	return lines, records
}

// load changes an installation in many ways at once until ctx ends.
type load struct {
	*fixture.Fixture
	master  atomic.Pointer[seal.Master] // configured
	changes atomic.Int64

	mu       sync.Mutex
	archives [][]byte
}

func (l *load) run(ctx context.Context, t *testing.T) (wait func()) {
	var running sync.WaitGroup
	loop := func(do func(n int) error) {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := do(n); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				l.changes.Add(1)
			}
		})
	}
	for w := range 3 {
		loop(func(n int) error { return l.signUp(ctx, fmt.Sprintf("u-%d-%d", w, n), n%3 == 0) })
	}
	loop(func(n int) error {
		id := fmt.Sprintf("https://sp-%d.example", n)
		return l.Store.CreateProvider(ctx, &idp.ServiceProvider{EntityID: idp.EntityID(id), Agency: "A"}, "", effect(idp.AuditSPAdd, "provider "+id))
	})
	loop(func(int) error { return l.rotate(ctx) })
	loop(func(n int) error { return l.rekey(ctx, n) })
	return running.Wait
}

func effect(kind idp.AuditKind, text string) idp.AuditEvent {
	return idp.AuditEvent{Kind: kind, Outcome: "ok", Detail: map[string]string{"effect": text}}
}

// signUp adds a user, who signs in at a service provider, and may be deleted then.
func (l *load) signUp(ctx context.Context, id string, deleted bool) error {
	user := idp.UserID(id)
	errs, err := l.Store.ImportUsers(ctx, []idp.ImportedUser{{
		User:  &idp.User{ID: user, Emails: []idp.Email{{Address: id + "@example.gov"}}, CreatedAt: start},
		Event: effect(idp.AuditUserAdd, "add "+id),
	}})
	if err == nil {
		err = errs[0]
	}
	if err != nil {
		return err
	}
	session := &idp.Session{ID: idp.SessionID("s-" + id), User: user, AuthnAt: start, ExpiresAt: start.Add(time.Hour)}
	if err := l.Store.StartSession(ctx, idp.SessionStart{Session: session}); err != nil {
		return err
	}
	_, err = l.Store.RecordIssuance(ctx, &idp.Issuance{
		Request: &idp.LoginRequest{Handle: idp.RequestHandle("h-" + id), SP: "https://sp.example", MessageID: "m-" + id, ExpiresAt: start.Add(time.Hour)},
		Session: session.ID, User: user, Scope: "agency:A", ProposedNameID: idp.NameID("name-" + id), SessionIndex: "i", At: start,
		Event: effect(idp.AuditSignIn, "name "+id+" name-"+id),
	})
	if err == nil && deleted {
		err = l.Store.DeleteUser(ctx, user, effect(idp.AuditUserDelete, "delete "+id))
	}
	return err
}

// rotate revokes the preferred year, which makes a new one and destroys a key, as long as
// letters are left; then it makes years ahead and retires nothing.
func (l *load) rotate(ctx context.Context) error {
	st, err := l.Rotation.Status(ctx, nil)
	if err != nil {
		return err
	}
	if st.Preferred == "2031z" {
		<-ctx.Done()
		return nil
	}
	_, err = l.Rotation.Take(ctx, rotation.Step{Kind: rotation.StepRevoke, Year: st.Preferred, Reason: "test"}, "test", false)
	return err
}

// rekey changes the master key and all keys below it.
func (l *load) rekey(ctx context.Context, n int) error {
	if n >= 100 {
		<-ctx.Done() // generations are few
		return nil
	}
	secret := make([]byte, seal.MasterSize)
	rand.Read(secret)
	next, err := seal.NewMaster(secret)
	if err != nil {
		return err
	}
	l.know(next)
	if err := l.Rekey.Begin(ctx, next, n%2 == 0, "test"); err != nil {
		return err
	}
	if err := l.Rekey.Wait(ctx); err != nil {
		return err
	}
	if n%8 == 1 {
		if err := l.backup(ctx); err != nil { // while two master keys open it
			return err
		}
	}
	l.master.Store(next)
	if err := l.Rekey.Finish(ctx, false, "test"); err != nil {
		return err
	}
	return l.Rekey.Wait(ctx)
}

var known sync.Map // master keys by ID

// backup takes a backup.
func (l *load) backup(ctx context.Context) error {
	var out bytes.Buffer
	_, err := l.Backups.WriteArchive(ctx, &out, backup.Options{})
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.archives = append(l.archives, out.Bytes())
	}
	return err
}

func (l *load) know(m *seal.Master) { known.Store(m.ID(), m) }

// TestBackupUnderLoad takes backups while users are added, sign in and are deleted, years are
// revoked and all keys are changed. Each one, restored elsewhere, is the installation exactly as
// its own audit trail describes it, and that trail is a part of the original.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	l := &load{}
	l.Fixture = newDeployment(t, func(c *installation.Config) {
		c.Master = func() (*seal.Master, error) { return l.master.Load(), nil }
	})
	l.master.Store(l.Master)
	l.know(l.Master)
	ctx, cancel := context.WithCancel(t.Context())
	wait := l.run(ctx, t)
	for range 12 {
		before := l.changes.Load()
		for l.changes.Load() < before+20 && !t.Failed() { // something happened since the last one
			if err := l.Store.AppendAudit(t.Context(), idp.AuditEvent{Kind: idp.AuditBackup, Outcome: "ok"}); err != nil {
				t.Error(err)
			}
		}
		if err := l.backup(t.Context()); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wait()
	l.Rekey.Stop()
	original, _ := trailOf(t, l.Store)
	phases := map[string]int{}
	for n, archive := range l.archives {
		r, files, err := readAll(archive, backup.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		phases[fmt.Sprint(len(r.Manifest.MasterKeys), " master keys")]++
		for _, id := range r.Manifest.MasterKeys {
			m, _ := known.Load(id)
			l.compare(t, n, r.Manifest, files, original, m.(*seal.Master))
		}
	}
	t.Logf("%d changes, %v", l.changes.Load(), phases)
}

// compare restores a backup and compares it.
func (l *load) compare(t *testing.T, n int, m *backup.Manifest, files map[string][]byte, original [][]byte, master *seal.Master) {
	t.Helper()
	f := fixture.Open(t, restoreTo(t, files), master, start, nil)
	defer f.Close()
	if err := m.Verify(f.Sealer); err != nil {
		t.Errorf("backup %d: %v", n, err)
	}
	lines, records := trailOf(t, f.Store)
	if last := records[len(records)-1]; last.Seq != m.Head.Seq || last.Hash != m.Head.Hash {
		t.Errorf("backup %d: the trail ends with %d, the manifest says %d", n, last.Seq, m.Head.Seq)
	}
	if !slices.EqualFunc(lines, original[:len(lines)], bytes.Equal) {
		t.Errorf("backup %d: the trail is not a part of the original", n)
	}
	if diff := cmp.Diff(replay(t, records), stateOf(t, f.Store)); diff != "" {
		t.Errorf("backup %d (-trail +store):\n%s", n, diff)
	}
	// The store and the keys folder fit together: nothing is completed, and every live year signs.
	if err := f.Rotation.Start(t.Context()); err != nil {
		t.Errorf("backup %d: %v", n, err)
	}
	if now, _ := trailOf(t, f.Store); len(now) != len(lines) {
		t.Errorf("backup %d: the start changed something: %s", n, now[len(lines):])
	}
	st, err := f.Rotation.Status(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var years []backup.Year
	for _, y := range st.Years {
		if y.KeyFault != "" {
			t.Errorf("backup %d: year %s: %s", n, y.Year, y.KeyFault)
		}
		if y.State == rotation.Planned {
			continue
		}
		key := backup.KeyInFile
		if !y.KeyDestroyedAt.IsZero() {
			key = backup.NoKey
		}
		years = append(years, backup.Year{Year: y.Year, State: y.State, Key: key})
	}
	if diff := cmp.Diff(m.Years, years); diff != "" {
		t.Errorf("backup %d: years (-manifest +store):\n%s", n, diff)
	}
}
