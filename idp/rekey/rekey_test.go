package rekey_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rekey"
	"vernal/idp/rotation"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
	"vernal/idp/store/storetest"
)

var start = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

func clock() time.Time { return start }

var before, after = master(1), master(2)

func master(fill byte) *seal.Master {
	m, err := seal.NewMaster(bytes.Repeat([]byte{fill}, seal.MasterSize))
	if err != nil {
		panic(err)
	}
	return m
}

// house is an installation without its server.
type house struct {
	dir     string
	masters *seal.Masters
	store   *bolt.Store
	years   *certs.Dir
	trail   *checkpoints
	*rekey.Service
}

// checkpoints counts how often the checkpoint was renewed.
type checkpoints struct{ renewed int }

func (c *checkpoints) RenewCheckpoint(context.Context) error { c.renewed++; return nil }

// openHouse opens the installation in dir with a master key.
func openHouse(dir string, m *seal.Master) (*house, error) {
	h := &house{dir: dir, masters: seal.NewMasters(m), trail: new(checkpoints)}
	var err error
	if h.store, err = bolt.Open(filepath.Join(dir, "vernal.db"), bolt.Options{Masters: h.masters, Clock: clock}); err != nil {
		return nil, err
	}
	h.years = certs.OpenDir(filepath.Join(dir, "keys"), h.masters)
	h.Service = &rekey.Service{
		Store: h.store, Years: h.years, Trail: h.trail, Log: slog.New(slog.DiscardHandler),
		Master: func() (*seal.Master, error) { return h.masters.Configured(), nil },
	}
	return h, nil
}

func (h *house) close(t *testing.T) {
	t.Helper()
	h.Stop()
	ok(t, h.store.Close())
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const users = 2*200 + 7 // more than a batch

var signingKeys = sync.OnceValue(func() []*certs.Key {
	var keys []*certs.Key
	for _, y := range []idp.Year{"2030", "2031"} {
		signer, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		k, err := certs.Certify(rand.Reader, signer, y, rotation.DefaultPolicy().Dates(y).CertEndAt, certs.Spec{}, "https://idp.example", start.AddDate(-1, 0, 0))
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
	}
	return keys
})

// furnish writes users, sessions, registrations and signing keys.
func (h *house) furnish(ctx context.Context) error {
	for _, k := range signingKeys() {
		if err := h.years.Save(k); err != nil {
			return err
		}
	}
	p := &idp.ServiceProvider{EntityID: "https://sp.example", NameIDScope: "agency:A", Name: "SP"}
	if err := h.store.CreateProvider(ctx, p, ""); err != nil {
		return err
	}
	var people []idp.ImportedUser
	for i := range users {
		id := userID(i)
		people = append(people, idp.ImportedUser{
			User:    &idp.User{ID: id, Emails: []idp.Email{{Address: email(i)}}, PasswordHash: "hash"},
			Profile: &idp.Profile{Level: idp.IALVerified, FirstName: string(id)},
			NameIDs: map[idp.NameIDScope]idp.NameID{"agency:A": idp.NameID("name of " + id)},
		})
	}
	outcome, err := h.store.ImportUsers(ctx, people)
	if err := errors.Join(append(outcome, err)...); err != nil {
		return err
	}
	sess := &idp.Session{ID: "session", User: userID(0), CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	return errors.Join(h.store.StartSession(ctx, idp.SessionStart{Session: sess}),
		h.store.UpdateDocuments(ctx, idp.RotationKind, []string{idp.RotationKey}, func(d *idp.Document) error { d.Data = []byte("history"); return nil }),
		h.store.UpdateDocuments(ctx, "k", []string{"d"}, func(d *idp.Document) error { d.Data = []byte("document"); return nil }))
}

func userID(i int) idp.UserID { return idp.UserID(fmt.Sprintf("user%04d", i)) }
func email(i int) string      { return fmt.Sprintf("User%d@example.org", i) }

// complete returns an error for the first thing that is missing from a furnished house.
func (h *house) complete(ctx context.Context) error {
	for i := range users {
		u, err := h.store.UserByEmail(ctx, email(i))
		if err != nil || u.ID != userID(i) {
			return fmt.Errorf("user %d by email address: %v, %w", i, u, err)
		}
		p, err := h.store.Profile(ctx, userID(i))
		if err != nil || p.FirstName != string(userID(i)) {
			return fmt.Errorf("profile %d: %v, %w", i, p, err)
		}
		name, err := h.store.NameID(ctx, "agency:A", userID(i))
		if err != nil || string(name) != "name of "+string(userID(i)) {
			return fmt.Errorf("NameID %d: %v, %w", i, name, err)
		}
	}
	_, session := h.store.Session(ctx, "session")
	_, provider := h.store.Provider(ctx, "https://sp.example")
	_, rotation := storetest.LookupDocument(ctx, h.store, idp.RotationKind, idp.RotationKey)
	_, document := storetest.LookupDocument(ctx, h.store, "k", "d")
	keys, load := h.years.Load()
	if len(keys) != len(signingKeys()) && load == nil {
		load = fmt.Errorf("%d signing keys", len(keys))
	}
	for i, k := range keys {
		if k.Signer == nil || !k.Cert.Equal(signingKeys()[i].Cert) {
			load = fmt.Errorf("signing key %s is another one", k.Year)
		}
	}
	return errors.Join(session, provider, rotation, document, load)
}

func furnished(t *testing.T) *house {
	t.Helper()
	h, err := openHouse(t.TempDir(), before)
	ok(t, err)
	ok(t, h.furnish(t.Context()))
	return h
}

func (h *house) settle(t *testing.T) rekey.State {
	t.Helper()
	ok(t, h.Wait(t.Context()))
	st, err := h.State(t.Context())
	ok(t, err)
	if st.Failed != "" {
		t.Fatal(st.Failed)
	}
	return st
}

// copyDir copies an installation as a backup of its files would.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	ok(t, os.CopyFS(to, os.DirFS(dir)))
	ok(t, os.Chmod(filepath.Join(to, "vernal.db"), 0o600))
	return to
}

// configured has the service find another master key than it was opened with.
func (h *house) configured(m *seal.Master) {
	h.Master = func() (*seal.Master, error) { return m, nil }
}

func opens(t *testing.T, dir string, m *seal.Master) error {
	t.Helper()
	h, err := openHouse(copyDir(t, dir), m)
	if err != nil {
		return err
	}
	defer h.close(t)
	return h.complete(t.Context())
}

// TestMasterKeyChangeMovesAllFiles changes the master key, asks at each step which key
// opens the files, and finds that the new one opens nothing of an old copy.
func TestMasterKeyChangeMovesAllFiles(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	ctx := t.Context()
	old := copyDir(t, h.dir)
	check := func(step string, want map[*seal.Master]bool) {
		t.Helper()
		for m, want := range want {
			if err := opens(t, h.dir, m); (err == nil) != want {
				t.Errorf("%s: key %s opens the installation: %v, want %v", step, m.ID(), err, want)
			}
		}
		ok(t, h.complete(ctx))
	}
	if err := h.Finish(ctx, false, "x"); !errors.Is(err, seal.ErrNoChange) {
		t.Errorf("Finish before Begin = %v", err)
	}
	if err := h.Begin(ctx, before, false, "x"); !errors.Is(err, rekey.ErrSameKey) {
		t.Errorf("Begin with the same key = %v", err)
	}
	ok(t, h.Begin(ctx, after, false, "x"))
	if st := h.settle(t); st.Phase != seal.PhaseBoth {
		t.Errorf("after Begin: %+v", st)
	}
	check("both", map[*seal.Master]bool{before: true, after: true})
	ok(t, h.Begin(ctx, after, false, "x")) // it may be repeated
	if err := h.Begin(ctx, master(3), false, "x"); !errors.Is(err, seal.ErrChangeUnderWay) {
		t.Errorf("a third key: %v", err)
	}
	if err := h.RenewAll(ctx, "x"); !errors.Is(err, seal.ErrChangeUnderWay) {
		t.Errorf("RenewAll meanwhile: %v", err)
	}
	// Data sealed during the change opens with both master keys.
	ok(t, h.store.DeleteUser(ctx, userID(0)))
	outcome, err := h.store.ImportUsers(ctx, []idp.ImportedUser{{User: &idp.User{ID: userID(0) + "b", Emails: []idp.Email{{Address: email(0)}}}}})
	ok(t, errors.Join(append(outcome, err)...))
	if err := h.Finish(ctx, false, "x"); !errors.Is(err, rekey.ErrOldKey) {
		t.Errorf("Finish with the old key configured = %v", err)
	}
	h.close(t)
	h, err = openHouse(h.dir, after)
	ok(t, err)
	defer func() { h.close(t) }()
	if err := h.Cancel(ctx, "x"); !errors.Is(err, rekey.ErrNewKey) {
		t.Errorf("Cancel with the new key configured = %v", err)
	}
	ok(t, h.Finish(ctx, false, "x"))
	if st := h.settle(t); st.Phase != "" || st.Configured != after.ID() || st.Generation != 1 {
		t.Errorf("after Finish: %+v", st)
	}
	if err := opens(t, h.dir, before); !errors.Is(err, bolt.ErrMaster) {
		t.Errorf("the old key opens the store: %v", err)
	}
	if u, err := h.store.User(ctx, userID(0)+"b"); err != nil {
		t.Errorf("a user who was added meanwhile: %v, %v", u, err)
	}
	// In the copy made before the change, the new master key opens neither the store nor a
	// user key or signing key that is put back into its current place.
	if err := opens(t, old, after); !errors.Is(err, bolt.ErrMaster) {
		t.Errorf("the new key opens an old copy: %v", err)
	}
	if keys, err := certs.OpenDir(filepath.Join(old, "keys"), seal.NewMasters(after)).Load(); err == nil || len(keys) > 0 {
		t.Errorf("the new key opens %d old signing keys", len(keys))
	}
}

func TestCancelKeepsOldMasterKey(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	defer h.close(t)
	ok(t, h.Begin(t.Context(), after, true, "x"))
	h.settle(t)
	ok(t, h.Cancel(t.Context(), "x"))
	if st := h.settle(t); st.Phase != "" || st.Configured != before.ID() || st.Generation != 1 {
		t.Errorf("after Cancel: %+v", st)
	}
	ok(t, h.complete(t.Context()))
	if err := opens(t, h.dir, after); !errors.Is(err, bolt.ErrMaster) {
		t.Errorf("the cancelled key opens the store: %v", err)
	}
	ok(t, opens(t, h.dir, before))
	// Another change can begin.
	ok(t, h.Begin(t.Context(), after, false, "x"))
	h.settle(t)
}

// TestRenewedKeysInvalidateOldRecords renews all keys when the change of the master key
// is finished, without a restart. Records of before are not authentic any more.
func TestRenewedKeysInvalidateOldRecords(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	defer func() { h.close(t) }()
	ctx := t.Context()
	mac := h.store.Ring().MAC("c", nil)
	old := copyDir(t, h.dir)
	ok(t, h.Begin(ctx, after, false, "x"))
	h.settle(t)
	h.configured(after)
	ok(t, h.Finish(ctx, true, "x"))
	st := h.settle(t)
	if st.Phase != "" || st.IsRenewing || st.Generation != 2 || h.trail.renewed == 0 {
		t.Errorf("after Finish with all: %+v, checkpoint renewed %d times", st, h.trail.renewed)
	}
	if h.store.Ring().VerifyMAC("c", nil, mac) {
		t.Error("a MAC of the old keys is accepted")
	}
	ok(t, h.complete(ctx))
	ok(t, h.RenewAll(ctx, "x"))
	if st := h.settle(t); st.Generation != 3 {
		t.Errorf("a second time: %+v", st)
	}
	h.close(t)
	h, err := openHouse(h.dir, after)
	ok(t, err)
	ok(t, h.complete(ctx))
	// Every user has another key than in the copy, every bucket was written again.
	h.close(t)
	changed(t, old, h.dir)
	h, err = openHouse(h.dir, after)
	ok(t, err)
}

// failing is a store or key folder that stops after a number of writes, as if the process
// were killed.
type failing struct {
	*bolt.Store
	dir   string
	years *certs.Dir
	left  int
}

var errKilled = errors.New("killed")

func (f *failing) write() error {
	if f.left--; f.left < 0 {
		return errKilled
	}
	return nil
}

func (f *failing) BeginMaster(ctx context.Context, to *seal.Master, all bool, events ...idp.AuditEvent) error {
	return cmpOr(f.write(), func() error { return f.Store.BeginMaster(ctx, to, all, events...) })
}
func (f *failing) CompleteMaster(ctx context.Context, events ...idp.AuditEvent) error {
	return cmpOr(f.write(), func() error { return f.Store.CompleteMaster(ctx, events...) })
}
func (f *failing) FinishMaster(ctx context.Context, keep *seal.Master, all bool, events ...idp.AuditEvent) error {
	return cmpOr(f.write(), func() error { return f.Store.FinishMaster(ctx, keep, all, events...) })
}
func (f *failing) EndMaster(ctx context.Context, events ...idp.AuditEvent) error {
	return cmpOr(f.write(), func() error { return f.Store.EndMaster(ctx, events...) })
}
func (f *failing) RewrapUserKeys(ctx context.Context, after idp.UserID, limit int) (last idp.UserID, err error) {
	err = cmpOr(f.write(), func() error { last, err = f.Store.RewrapUserKeys(ctx, after, limit); return err })
	return last, err
}
func (f *failing) BeginRenewal(ctx context.Context, events ...idp.AuditEvent) error {
	return cmpOr(f.write(), func() error { return f.Store.BeginRenewal(ctx, events...) })
}
func (f *failing) Renew(ctx context.Context, from seal.RenewPlace, limit int) (next seal.RenewPlace, err error) {
	err = cmpOr(f.write(), func() error { next, err = f.Store.Renew(ctx, from, limit); return err })
	return next, err
}
func (f *failing) EndRenewal(ctx context.Context, events ...idp.AuditEvent) error {
	return cmpOr(f.write(), func() error { return f.Store.EndRenewal(ctx, events...) })
}
func (f *failing) Rewrap(ctx context.Context) error { return f.someYears(ctx, f.years.Rewrap) }
func (f *failing) Reseal(ctx context.Context) error { return f.someYears(ctx, f.years.Reseal) }

// someYears writes one file for each write that is left: it hides the files of later
// years meanwhile.
func (f *failing) someYears(ctx context.Context, call func(context.Context) error) error {
	for _, y := range []string{"2030", "2031"} {
		if err := f.write(); err != nil {
			return err
		}
		other := filepath.Join(f.dir, "keys", map[string]string{"2030": "2031", "2031": "2030"}[y]+".key")
		if err := os.Rename(other, other+".hidden"); err != nil {
			return err
		}
		err := call(ctx)
		if err := errors.Join(err, os.Rename(other+".hidden", other)); err != nil {
			return err
		}
	}
	return nil
}

func cmpOr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

// TestKilledAtEveryWrite stops a whole change of keys, with a renewal, after each of
// its writes. What the files then hold opens whole with the old or the new master key,
// and goes on to the end.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	base := furnished(t)
	base.close(t)
	ctx := t.Context()
	phases := make(map[string]bool)
	for n := 0; ; n++ {
		h, err := openHouse(copyDir(t, base.dir), before)
		ok(t, err)
		f := &failing{Store: h.store, dir: h.dir, years: h.years, left: n}
		h.Service.Store, h.Service.Years = f, f
		err = h.Begin(ctx, after, false, "x")
		ok(t, h.Wait(ctx))
		st, stateErr := h.State(ctx)
		if errors.Join(err, stateErr); err == nil && st.Failed == "" {
			h.configured(after)
			err = h.Finish(ctx, true, "x")
			ok(t, h.Wait(ctx))
			st, stateErr = h.State(ctx)
		}
		ok(t, stateErr)
		done := err == nil && st.Failed == ""
		ok(t, h.store.Close())
		phases[fmt.Sprint(st.Phase, st.IsRenewing)] = true

		// The next start finds either key in force, and goes on with it.
		var opened []*seal.Master
		for _, m := range []*seal.Master{before, after} {
			err := opens(t, h.dir, m)
			if err == nil {
				opened = append(opened, m)
			} else if !errors.Is(err, bolt.ErrMaster) {
				t.Errorf("write %d: key %s: %v", n, m.ID(), err)
			}
		}
		if len(opened) == 0 {
			t.Fatalf("write %d: no key opens the installation", n)
		}
		m := opened[len(opened)-1]
		h, err = openHouse(h.dir, m)
		ok(t, err)
		h.Resume()
		st = h.settle(t)
		if st.IsRenewing || st.Phase == seal.PhaseBegin || st.Phase == seal.PhaseFinish {
			t.Errorf("write %d: after Resume: %+v", n, st)
		}
		ok(t, h.complete(ctx))
		h.close(t)
		if done {
			break
		}
	}
	want := []string{"beginfalse", "bothfalse", "finishfalse", "true", "false"}
	for _, p := range want {
		if !phases[p] {
			t.Errorf("never stopped in phase %q; stopped in %v", p, phases)
		}
	}
}

// TestSigningKeysSurviveMasterChange makes and destroys signing keys while the master key is
// changed. New keys must open with both master keys, and destroyed keys must stay destroyed.
func TestSigningKeysSurviveMasterChange(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	defer h.close(t)
	ctx := t.Context()
	ok(t, h.Begin(ctx, after, false, "x"))
	h.settle(t)
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
	ok(t, err)
	k, err := certs.Certify(rand.Reader, signer, "2032", rotation.DefaultPolicy().Dates("2032").CertEndAt, certs.Spec{}, "https://idp.example", start)
	ok(t, err)
	ok(t, h.years.Save(k))
	ok(t, h.years.Destroy("2030"))
	h.configured(after)
	ok(t, h.Finish(ctx, true, "x"))
	h.settle(t)
	keys, err := certs.OpenDir(filepath.Join(h.dir, "keys"), seal.NewMasters(after)).Load()
	ok(t, err)
	var can []idp.Year
	for _, k := range keys {
		if k.Signer != nil {
			can = append(can, k.Year)
		}
	}
	if !slices.Equal(can, []idp.Year{"2031", "2032"}) {
		t.Errorf("years that can sign: %v", can)
	}
}

// TestRenewalKeepsTamperedRecordsRefused renews all keys over records that are not
// authentic: none of them becomes it, and a damaged signing key stops nothing.
func TestRenewalKeepsTamperedRecordsRefused(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	ctx := t.Context()
	h.close(t)
	forge(t, h.dir)
	ok(t, os.WriteFile(filepath.Join(h.dir, "keys", "2030.key"), []byte("damaged"), 0o600))
	h, err := openHouse(h.dir, before)
	ok(t, err)
	defer h.close(t)
	ok(t, h.Begin(ctx, after, false, "x"))
	h.settle(t)
	h.configured(after)
	ok(t, h.Finish(ctx, true, "x"))
	if st := h.settle(t); st.Phase != "" || st.IsRenewing || st.Generation != 2 {
		t.Errorf("%+v", st)
	}
	_, provider := h.store.Provider(ctx, "https://sp.example")
	_, user := h.store.User(ctx, userID(1))
	_, profile := h.store.Profile(ctx, userID(2))
	_, name := h.store.NameID(ctx, "agency:A", userID(3))
	_, session := h.store.Session(ctx, "session")
	for what, err := range map[string]error{"provider": provider, "user": user, "profile": profile, "NameID": name, "session": session} {
		if !errors.Is(err, idp.ErrTampered) {
			t.Errorf("%s: %v, want ErrTampered", what, err)
		}
	}
	if _, err := h.store.UserByEmail(ctx, email(4)); err != nil {
		t.Errorf("an honest user: %v", err)
	}
}

// TestDeletedUserIsOutOfReach deletes a user, changes the master key, and puts back the
// user's data from an old copy of the file. The new master key must open none of it. Before
// the change the old one does, which is why the master key is changed.
func TestDeletedUserIsOutOfReach(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	ctx := t.Context()
	old := copyDir(t, h.dir)
	ok(t, h.store.DeleteUser(ctx, userID(5)))
	reach := func(m *seal.Master) error {
		t.Helper()
		h.close(t)
		dir := copyDir(t, h.dir)
		restoreUser(t, old, dir, string(userID(5)))
		reopened, err := openHouse(h.dir, m)
		ok(t, err)
		h = reopened
		again, err := openHouse(dir, m)
		ok(t, err)
		defer again.close(t)
		_, userErr := again.store.User(ctx, userID(5))
		_, profileErr := again.store.Profile(ctx, userID(5))
		return errors.Join(userErr, profileErr)
	}
	defer func() { h.close(t) }()
	ok(t, reach(before))
	ok(t, h.Begin(ctx, after, false, "x"))
	h.settle(t)
	h.configured(after)
	ok(t, h.Finish(ctx, false, "x"))
	h.settle(t)
	if err := reach(after); !errors.Is(err, idp.ErrTampered) {
		t.Errorf("the new master key opens a user who was deleted before the change: %v", err)
	}
}

// TestRefusedCommandsChangeNothing begins changes that are refused, while users are
// added: every one of them opens with the new master key in the end.
func TestRefusedCommandsChangeNothing(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	defer func() { h.close(t) }()
	ctx := t.Context()
	ok(t, h.Begin(ctx, after, false, "x"))
	h.settle(t)
	done := make(chan error, 1)
	go func() {
		for range 100 {
			if err := h.Begin(ctx, master(3), false, "x"); !errors.Is(err, seal.ErrChangeUnderWay) {
				done <- fmt.Errorf("a third key: %w", err)
				return
			}
		}
		done <- nil
	}()
	added := 0
	for ended := false; !ended; added++ {
		_, err := h.store.ImportUsers(ctx, []idp.ImportedUser{{User: &idp.User{ID: idp.UserID(fmt.Sprintf("added%04d", added))}}})
		ok(t, err)
		select {
		case err := <-done:
			ok(t, err)
			ended = true
		default:
		}
	}
	h.close(t)
	var err error
	h, err = openHouse(h.dir, after)
	ok(t, err)
	ok(t, h.Finish(ctx, false, "x"))
	h.settle(t)
	for i := range added {
		if _, err := h.store.User(ctx, idp.UserID(fmt.Sprintf("added%04d", i))); err != nil {
			t.Fatalf("user %d of %d: %v", i, added, err)
		}
	}
}

// brokenDisk is a folder of signing keys that cannot be written.
type brokenDisk struct{ rekey.YearKeys }

var errDisk = errors.New("no space left on device")

func (brokenDisk) Rewrap(context.Context) error { return errDisk }

// TestFailingDiskStopsTheChange checks that a change stops at a failed write instead of
// skipping it.
func TestFailingDiskStopsTheChange(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	defer h.close(t)
	years := h.Years
	h.Years = brokenDisk{years}
	ok(t, h.Begin(t.Context(), after, false, "x"))
	ok(t, h.Wait(t.Context()))
	st, err := h.State(t.Context())
	ok(t, err)
	if st.Phase != seal.PhaseBegin || st.Failed == "" {
		t.Errorf("%+v", st)
	}
	h.Years = years
	ok(t, h.Begin(t.Context(), after, false, "x"))
	if st := h.settle(t); st.Phase != seal.PhaseBoth {
		t.Errorf("%+v", st)
	}
}

// TestRenewalIsNotForgotten asks for a renewal when the change is being finished, and
// stops at the moment when it ends.
func TestRenewalIsNotForgotten(t *testing.T) {
	t.Parallel()
	for n := range 8 {
		h := furnished(t)
		ctx := t.Context()
		ok(t, h.Begin(ctx, after, false, "x"))
		h.settle(t)
		h.configured(after)
		f := &failing{Store: h.store, dir: h.dir, years: h.years, left: n}
		h.Service.Store, h.Service.Years = f, f
		err := h.Finish(ctx, n%2 == 0, "x")
		ok(t, h.Wait(ctx))
		if err == nil {
			f.left = n
			_ = h.Finish(ctx, true, "x") // again, and with all now; it may be stopped too
			ok(t, h.Wait(ctx))
		}
		st, stateErr := h.State(ctx)
		ok(t, stateErr)
		asked := st.RenewAll || st.IsRenewing || st.Generation > 1
		h.close(t)
		h, err = openHouse(h.dir, after)
		if errors.Is(err, bolt.ErrMaster) {
			t.Fatalf("write %d: %v", n, err)
		}
		ok(t, err)
		h.Resume()
		if st := h.settle(t); asked && st.Generation != 2 {
			t.Errorf("write %d: the renewal was asked for: %+v", n, st)
		}
		h.close(t)
	}
}

// TestMasterChangePutBack puts back the record of a change that has ended.
func TestMasterChangePutBack(t *testing.T) {
	t.Parallel()
	for _, phase := range []seal.MasterPhase{seal.PhaseBegin, seal.PhaseBoth} {
		h := furnished(t)
		ctx := t.Context()
		f := &failing{Store: h.store, dir: h.dir, years: h.years, left: 1}
		if phase == seal.PhaseBegin {
			h.Service.Store, h.Service.Years = f, f
		}
		ok(t, h.Begin(ctx, after, false, "x"))
		ok(t, h.Wait(ctx))
		h.close(t)
		record := valueIn(t, h.dir, "meta", "masters")
		h, err := openHouse(h.dir, before)
		ok(t, err)
		h.Resume()
		h.settle(t)
		h.configured(after)
		ok(t, h.Finish(ctx, false, "x"))
		h.settle(t)
		h.close(t)
		setIn(t, h.dir, "meta", "masters", record)
		if h, err := openHouse(h.dir, after); !errors.Is(err, idp.ErrTampered) {
			if err == nil {
				h.close(t)
			}
			t.Errorf("%s: %v, want ErrTampered", phase, err)
		}
	}
}

// TestJunkAmongRingKeys checks that an invalid entry among the ring keys, or a key that
// nothing opens, stops neither the start nor a change.
func TestJunkAmongRingKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"0/mac", "255/mac", "zz", "7/other"} {
		h := furnished(t)
		ctx := t.Context()
		h.close(t)
		setIn(t, h.dir, "ring-keys", key, []byte("x"))
		h, err := openHouse(h.dir, before)
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		ok(t, h.Begin(ctx, after, true, "x"))
		h.settle(t)
		h.configured(after)
		ok(t, h.Finish(ctx, true, "x"))
		if st := h.settle(t); st.Phase != "" || st.Generation != 2 {
			t.Errorf("%s: %+v", key, st)
		}
		ok(t, h.complete(ctx))
		h.close(t)
	}
}
