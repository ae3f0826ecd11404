package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/seal"
)

func openInside(t *testing.T) *Store {
	t.Helper()
	key, err := seal.NewMaster(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	s, err := Open(filepath.Join(t.TempDir(), "vernal.db"), Options{Masters: seal.NewMasters(key), Clock: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// hold keeps the committer busy until the function it returns is called, so
// that the changes made in between come in one batch.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	busy, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = s.update(context.Background(), nil, func(*writer) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	return sync.OnceFunc(func() { close(free); <-done })
}

// queued waits until n jobs are queued.
func queued(s *Store, n int) {
	for {
		s.queue.mu.Lock()
		got := len(s.queue.jobs)
		s.queue.mu.Unlock()
		if got == n {
			return
		}
		runtime.Gosched()
	}
}

func TestWaitingChangesCommitTogether(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	transactions := func() int {
		tx, err := s.db.Begin(false)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		return tx.ID()
	}
	release := hold(t, s)
	before := transactions()
	var wg sync.WaitGroup
	for k := range 20 {
		wg.Go(func() {
			if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: idp.AuditKind(fmt.Sprint(k))}); err != nil {
				t.Error(err)
			}
		})
	}
	queued(s, 20)
	release()
	wg.Wait()
	if n := transactions() - before; n != 1 {
		t.Errorf("20 changes took %d transactions, want 1", n)
	}
	// A change that changes nothing is not synced.
	before = transactions()
	if err := EndSession(t.Context(), s, "none"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(t.Context(), time.Time{}, 10); err != nil {
		t.Fatal(err)
	}
	if n := transactions() - before; n != 0 {
		t.Errorf("changing nothing took %d transactions", n)
	}
}

// TestFailedWriteFailsOnlyItsChange lets writing itself fail in the middle of a batch:
// a key that holds a bucket takes no value. Only that change fails.
func TestFailedWriteFailsOnlyItsChange(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	err := s.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.Bucket([]byte(inSessions.String())).CreateBucket([]byte("s10"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	const n = 20
	outcomes := make([]error, n)
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			sess := &idp.Session{ID: idp.SessionID(fmt.Sprint("s", k)), User: "u1"}
			outcomes[k] = s.StartSession(t.Context(), idp.SessionStart{Session: sess}, idp.AuditEvent{Kind: idp.AuditKind(sess.ID)})
		})
	}
	queued(s, n)
	release()
	wg.Wait()
	for k, err := range outcomes {
		if (err != nil) != (k == 10) {
			t.Errorf("change %d: %v", k, err)
		}
	}
	sessions, err := s.Sessions(t.Context(), idp.SessionQuery{User: "u1"})
	if err != nil || len(sessions) != n-1 {
		t.Errorf("%d sessions, %v; want %d", len(sessions), err, n-1)
	}
	records, err := audit.Records(t.Context(), s, 0, 100)
	if err != nil || len(records) != n-1 || slices.ContainsFunc(records, func(r idp.AuditRecord) bool { return r.Kind == "s10" }) {
		t.Errorf("%d audit records, %v; want %d without the failed one", len(records), err, n-1)
	}
}

// TestStoreRecoversFromFullDisk fails commits, then lets them work again.
func TestStoreRecoversFromFullDisk(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "before"}); err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	s.db.MaxSize = 1
	release()
	big := map[string]string{"x": string(bytes.Repeat([]byte("x"), 1<<20))}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "lost", Detail: big}); err == nil {
				t.Error("a change was taken without room for it")
			}
		})
	}
	wg.Wait()
	release = hold(t, s)
	s.db.MaxSize = 0
	release()
	if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "after", Detail: big}); err != nil {
		t.Fatalf("the store does not go on: %v", err)
	}
	records, err := audit.Records(t.Context(), s, 0, 10)
	if err != nil || len(records) != 2 || records[1].Kind != "after" || records[1].Prev != records[0].Hash {
		t.Errorf("audit trail %v, %v", records, err)
	}
}

func TestDoubtfulCommitStopsStore(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	c := &committer{store: s}
	tx, err := s.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	id := tx.ID()
	if c.isInDoubt(id) {
		t.Error("a transaction that was not committed is in doubt")
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if !c.isInDoubt(id) {
		t.Error("a transaction that can be seen is not in doubt")
	}
	cause := errors.New("stopped")
	s.queue.close(cause)
	_, read := s.Session(t.Context(), "s")
	for _, err := range []error{read, s.AppendAudit(t.Context())} {
		if !errors.Is(err, cause) {
			t.Errorf("error = %v, want the cause", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestCancelledChangeNeverRuns cancels a change that waits: it returns at once, and never runs.
func TestCancelledChangeNeverRuns(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	release := hold(t, s)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error)
	ran := false
	go func() { outcome <- s.update(ctx, nil, func(*writer) error { ran = true; return nil }) }()
	queued(s, 1)
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	release()
	if err := s.Close(); err != nil || ran {
		t.Errorf("Close = %v; the withdrawn change ran: %v", err, ran)
	}
}

// TestRunningChangeIgnoresCancellation cancels a change that runs: its outcome is waited for.
func TestRunningChangeIgnoresCancellation(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.update(ctx, nil, func(w *writer) error {
		cancel()
		w.put(inProviders, []byte("p"), []byte("{}"))
		return nil
	})
	if err != nil {
		t.Errorf("update = %v, want the outcome", err)
	}
	if _, err := s.Provider(t.Context(), "p"); err != nil {
		t.Error(err)
	}
}

// TestQueueIsBounded checks that a hanging disk holds up a bounded number of changes. The
// next change is refused at once and changes nothing. When the disk works again, all waiting
// changes are made, and the queue has room again.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	ctx := t.Context()
	release := hold(t, s)
	defer release()
	var wg sync.WaitGroup
	for n := range maxJobs {
		wg.Go(func() {
			if err := s.AppendAudit(ctx, idp.AuditEvent{Kind: idp.AuditKind(fmt.Sprint("waits-", n))}); err != nil {
				t.Error(err)
			}
		})
	}
	queued(s, maxJobs)
	given := new(job)
	given.isClaimed.Store(true) // its caller has gone
	if err := s.queue.add(given); !errors.Is(err, idp.ErrBusy) {
		t.Fatalf("one more job than may wait: %v, want ErrBusy", err)
	}
	for range 3 {
		if err := s.AppendAudit(ctx, idp.AuditEvent{Kind: "refused"}); !errors.Is(err, idp.ErrBusy) {
			t.Errorf("one more change than may wait: %v, want ErrBusy", err)
		}
	}
	if got := len(s.queue.jobs); got != maxJobs {
		t.Errorf("%d jobs wait, want %d", got, maxJobs)
	}
	if _, err := audit.Records(ctx, s, 0, 1); err != nil {
		t.Errorf("reading while the disk hangs: %v", err)
	}
	release()
	wg.Wait()
	if err := s.AppendAudit(ctx, idp.AuditEvent{Kind: "after"}); err != nil {
		t.Fatal(err)
	}
	records, err := audit.Records(ctx, s, 0, 2*maxJobs)
	if err != nil || len(records) != maxJobs+1 || records[maxJobs].Kind != "after" {
		t.Errorf("%d records, %v; want those that waited and the one after", len(records), err)
	}
}
