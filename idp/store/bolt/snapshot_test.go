package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/store/bolt"
)

// setDocument writes a document, which the audit trail does not show.
func setDocument(t *testing.T, s idp.Store, key string, data []byte) {
	t.Helper()
	err := s.UpdateDocuments(t.Context(), "test", []string{key}, func(d *idp.Document) error {
		d.Data = data
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// copyOf writes a snapshot into a folder of its own and opens it.
func copyOf(t *testing.T, snap idp.Snapshot) *bolt.Store {
	t.Helper()
	dir := t.TempDir()
	f, err := os.OpenFile(filepath.Join(dir, "vernal.db"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	n, err := snap.WriteTo(f)
	if err = errors.Join(err, f.Close()); err != nil || n != snap.Info().Size {
		t.Fatalf("%d bytes of %d: %v", n, snap.Info().Size, err)
	}
	s := open(t, dir)
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

// TestSnapshotIsOneMoment checks that a snapshot has the documents of its moment, and the same
// bytes each time, whatever is written meanwhile.
func TestSnapshotIsOneMoment(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	for i := range 200 {
		setDocument(t, s, fmt.Sprint(i), bytes.Repeat([]byte("old"), 1000))
	}
	for i := range 100 {
		setDocument(t, s, fmt.Sprint(i), nil) // free pages
	}
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	want, err := snap.Documents(t.Context(), "test", idp.DocumentQuery{All: true})
	if err != nil || len(want) != 100 {
		t.Fatalf("%d documents: %v", len(want), err)
	}
	var first, second bytes.Buffer
	if _, err := snap.WriteTo(&first); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				setDocument(t, s, fmt.Sprint(w, i%50), bytes.Repeat([]byte("new"), 1000))
			}
		})
	}
	for range 20 {
		second.Reset()
		if _, err := snap.WriteTo(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("the snapshot changes: %v", err)
		}
	}
	stop.Store(true)
	writers.Wait()
	if bytes.Contains(second.Bytes(), []byte("newnew")) {
		t.Error("a later document is in the snapshot")
	}
	copied := copyOf(t, snap)
	got, err := copied.Documents(t.Context(), "test", idp.DocumentQuery{All: true})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, documents (-snapshot +copy):\n%s", err, diff)
	}
	setDocument(t, copied, "x", []byte("it can be written"))
}

// TestClosedSnapshot checks that the end of a snapshot is final, and lets the store close.
func TestClosedSnapshot(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := snap.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := snap.WriteTo(new(bytes.Buffer)); err == nil {
		t.Error("a closed snapshot was written")
	}
	closeStore(t, s)
	if _, err := s.Snapshot(t.Context()); err == nil {
		t.Error("a closed store has snapshots")
	}
}
