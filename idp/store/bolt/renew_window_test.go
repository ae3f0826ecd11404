package bolt

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/seal"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// together runs changes in one transaction, in this order, and returns their errors.
func together(t *testing.T, s *Store, changes ...func() error) []error {
	t.Helper()
	release := hold(t, s)
	errs := make([]error, len(changes))
	var wg sync.WaitGroup
	for i, change := range changes {
		wg.Go(func() { errs[i] = change() })
		queued(s, i+1)
	}
	release()
	wg.Wait()
	return errs
}

// runOnCommit returns a change that only has do called when its transaction is committed, and
// before any of its changes has returned.
func runOnCommit(s *Store, do func()) func() error {
	return func() error {
		return s.update(context.Background(), nil, func(w *writer) error {
			w.tx.OnCommit(do)
			return nil
		})
	}
}

func renewAll(t *testing.T, s *Store) {
	t.Helper()
	for place := (seal.RenewPlace{}); ; {
		next, err := s.Renew(t.Context(), place, 100)
		must(t, err)
		if next.Step == 0 && next.After == nil {
			return
		}
		place = next
	}
}

// TestReadRightAfterRenewalCommits checks that a read right after the commit that begins or
// ends a renewal uses the keys of that commit.
func TestReadRightAfterRenewalCommits(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	must(t, AddUser(t.Context(), s, &idp.User{ID: "u1", Emails: []idp.Email{{Address: "u1@example.org"}}}))
	read := func(want seal.KeyState) func() {
		return func() {
			st, err := s.KeyState(context.Background())
			if want.Configured = st.Configured; err != nil || st != want {
				t.Errorf("state %+v, %v; want %+v", st, err, want)
			}
			if u, err := s.UserByEmail(context.Background(), "u1@example.org"); err != nil || u.ID != "u1" {
				t.Errorf("user %v, %v", u, err)
			}
		}
	}
	event := idp.AuditEvent{Kind: "x"}
	must(t, errors.Join(together(t, s, func() error { return s.BeginRenewal(t.Context(), event) }, runOnCommit(s, read(seal.KeyState{Generation: 2, IsRenewing: true})))...))
	renewAll(t, s)
	must(t, errors.Join(together(t, s, func() error { return s.EndRenewal(t.Context(), event) }, runOnCommit(s, read(seal.KeyState{Generation: 2})))...))
}

// TestReadThatBeganBeforeRenewal checks that a transaction that began before a renewal reads
// with the keys of its beginning, even after the renewal has ended.
func TestReadThatBeganBeforeRenewal(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	must(t, AddUser(t.Context(), s, &idp.User{ID: "u1", Emails: []idp.Email{{Address: "u1@example.org"}}}))
	must(t, s.view(t.Context(), func(r *reader) error {
		must(t, s.BeginRenewal(t.Context()))
		renewAll(t, s)
		must(t, s.EndRenewal(t.Context()))
		for _, r := range []*reader{r, s.newReader(r.tx)} { // whose ring is taken at once, and late
			_, err := r.find(inMeta, schemaKey)
			must(t, err)
		}
		if id, err := r.findEmailOwner("u1@example.org"); err != nil || id != "u1" {
			t.Errorf("owner %q, %v", id, err)
		}
		if _, err := r.readUser("u1"); err != nil {
			t.Error(err)
		}
		return nil
	}))
}

// TestForgedRecordIsRefusedDuringRenewal checks that a forged record is refused during a
// renewal too: with no key, and with the keys of an ended generation.
func TestForgedRecordIsRefusedDuringRenewal(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	first := seal.NewRing(s.ring.Generations()...)
	look := func() error {
		return s.view(t.Context(), func(r *reader) error {
			_, err := r.find(inMeta, schemaKey)
			return err
		})
	}
	put := func(value []byte) func() error {
		return func() error {
			return s.update(context.Background(), nil, func(w *writer) error { w.putProtected(inMeta, schemaKey, value); return nil })
		}
	}
	var genuine []byte
	must(t, s.db.View(func(tx *bbolt.Tx) error {
		genuine = bytes.Clone(tx.Bucket([]byte(inMeta.String())).Get(schemaKey))
		return nil
	}))
	forged := bytes.Clone(genuine)
	forged[0] ^= 1
	refused := func() {
		if err := look(); !errors.Is(err, idp.ErrTampered) {
			t.Errorf("a forged record: %v, want ErrTampered", err)
		}
	}
	must(t, errors.Join(together(t, s, func() error { return s.BeginRenewal(t.Context()) }, put(forged), runOnCommit(s, refused))...))
	must(t, put(genuine)())
	must(t, look())
	renewAll(t, s)
	must(t, s.EndRenewal(t.Context()))
	must(t, look())
	must(t, put(first.Protect(guardKinds[inMeta], schemaKey, genuine[:len(genuine)-17]))())
	refused()
}

// TestOnlyOneRenewalBegins checks that one of two renewals in the same transaction begins.
func TestOnlyOneRenewalBegins(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	begin := func() error { return s.BeginRenewal(t.Context()) }
	errs := together(t, s, begin, begin)
	if errs[0] != nil || !errors.Is(errs[1], seal.ErrChangeUnderWay) {
		t.Errorf("%v, want one that is begun and one that finds it", errs)
	}
}

// TestRenewalOfBrokenTransaction checks that a renewal in an abandoned transaction changes
// no keys, and that the next attempt begins it.
func TestRenewalOfBrokenTransaction(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	must(t, s.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.Bucket([]byte(inSessions.String())).CreateBucket([]byte("s1"))
		return err
	}))
	errs := together(t, s, func() error { return s.BeginRenewal(t.Context()) }, func() error {
		return s.update(t.Context(), nil, func(w *writer) error { w.put(inSessions, []byte("s1"), []byte("x")); return nil })
	})
	if errs[0] != nil || errs[1] == nil {
		t.Fatalf("%v, want an error of the second change only", errs)
	}
	st, err := s.KeyState(t.Context())
	if must(t, err); st.Generation != 2 || !st.IsRenewing || s.Ring().Generations()[0].Number != 2 {
		t.Errorf("state %+v", st)
	}
}

// TestRenewalOfFailedChange checks that a change that fails after it has begun a renewal
// begins none for the other changes in its transaction.
func TestRenewalOfFailedChange(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	cause := errors.New("cause")
	errs := together(t, s, func() error {
		return s.update(t.Context(), nil, func(w *writer) error { return errors.Join(w.beginRenewal(), cause) })
	}, func() error { return s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "x"}) })
	if !errors.Is(errs[0], cause) || errs[1] != nil {
		t.Fatal(errs)
	}
	st, err := s.KeyState(t.Context())
	if must(t, err); st.Generation != 1 || st.IsRenewing {
		t.Errorf("state %+v", st)
	}
}

// TestRenewalOfFailedCommit checks that a renewal whose commit fails has changed no keys,
// neither for reads nor for the next transaction.
func TestRenewalOfFailedCommit(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	release := hold(t, s)
	s.db.MaxSize = 1
	release()
	big := idp.AuditEvent{Kind: "big", Detail: map[string]string{"x": string(bytes.Repeat([]byte("x"), 1<<20))}}
	if err := s.BeginRenewal(t.Context(), big); err == nil {
		t.Fatal("a change was taken without room for it")
	}
	release = hold(t, s)
	s.db.MaxSize = 0
	release()
	must(t, AddUser(t.Context(), s, &idp.User{ID: "u1", Emails: []idp.Email{{Address: "u1@example.org"}}}))
	st, err := s.KeyState(t.Context())
	must(t, err)
	must(t, s.view(t.Context(), func(r *reader) error {
		number, _ := splitUserKey(r.bucket(inUserKeys).Get([]byte("u1")))
		if st.Generation != 1 || st.IsRenewing || number != 1 || s.Ring().Generations()[0].Number != 1 {
			t.Errorf("state %+v; the key of a new user is of generation %d", st, number)
		}
		return nil
	}))
	must(t, s.BeginRenewal(t.Context()))
}

// TestRenewalKeepsReservedEmails checks that email addresses that were disclosed and removed stay
// reserved during and after a renewal of the keys, and that nothing stays under the old keys.
func TestRenewalKeepsReservedEmails(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	ctx := t.Context()
	for _, id := range []idp.UserID{"u1", "u2", "u3"} {
		email := func(name string) idp.Email {
			return idp.Email{Address: name + "@" + string(id), DisclosedTo: []idp.EntityID{"sp"}}
		}
		must(t, AddUser(ctx, s, &idp.User{ID: id, Emails: []idp.Email{email("kept"), email("removed")}}))
		must(t, s.UpdateUser(ctx, id, func(u *idp.User) error { u.Emails = u.Emails[:1]; return nil }))
	}
	must(t, s.DeleteUser(ctx, "u2"))
	check := func(when string) {
		t.Helper()
		for _, address := range []string{"removed@u1", "kept@u2", "removed@u2", "removed@u3", "kept@u3"} {
			if err := AddUser(ctx, s, &idp.User{ID: "new", Emails: []idp.Email{{Address: address}}}); !errors.Is(err, idp.ErrExists) {
				t.Errorf("%s, %s: %v, want ErrExists", when, address, err)
			}
		}
	}
	check("before")
	must(t, s.BeginRenewal(ctx))
	check("begun")
	must(t, s.DeleteUser(ctx, "u3"))
	check("deleted during the renewal")
	renewAll(t, s)
	check("renewed")
	must(t, s.EndRenewal(ctx))
	check("ended")
	must(t, s.view(ctx, func(r *reader) error {
		for _, b := range []bucket{inUserEmails, inUserTombstones} {
			for key, value := range r.scan(b, nil) {
				if _, err := r.verifyValue(b, key, value); err != nil {
					t.Errorf("%v still has a record of the old keys", b)
				}
			}
		}
		return nil
	}))
	deleted, err := s.Users(ctx, idp.UserQuery{Limit: 10, Deleted: true})
	if err != nil || len(deleted) != 2 || len(deleted[0].ReservedEmails) != 2 || len(deleted[1].ReservedEmails) != 2 {
		t.Errorf("deleted users: %+v, %v", deleted, err)
	}
}

// TestStoreOpensAfterEveryRenewal checks that a store opens under each generation number, up to
// the last: a number is a byte of every record, and 48 to 57 look like digits.
func TestStoreOpensAfterEveryRenewal(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	must(t, AddUser(t.Context(), s, &idp.User{ID: "u1", Emails: []idp.Email{{Address: "u1@example.org"}}}))
	for number := 2; number <= 255; number++ {
		must(t, s.BeginRenewal(t.Context()))
		renewAll(t, s)
		must(t, s.EndRenewal(t.Context()))
		must(t, s.db.View(s.check))
		if u, err := s.UserByEmail(t.Context(), "u1@example.org"); err != nil || u.ID != "u1" {
			t.Fatalf("generation %d: user %v, %v", number, u, err)
		}
	}
	if err := s.BeginRenewal(t.Context()); err == nil {
		t.Error("a renewal began with no generation number left")
	}
}
