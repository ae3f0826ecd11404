package bolt_test

import (
	"bufio"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp/store/bolt"
)

// migrateEnv makes the test binary a process that opens the store of the earlier
// version at its path, until it is killed.
const migrateEnv = "VERNAL_TEST_MIGRATE"

// migrating is that process.
func migrating(path string) error {
	key, err := oldKey(oldFolder)
	if err != nil {
		return err
	}
	fmt.Println("opening")
	s, err := bolt.Open(path, bolt.Options{Sealer: key, Clock: time.Now})
	if err != nil {
		return err
	}
	fmt.Println("open")
	return s.Close()
}

// TestMigrateKilled kills a process at random moments of the migration. The next
// one finds the store as it was or as it should be, and a copy of what it was.
func TestMigrateKilled(t *testing.T) {
	t.Parallel()
	done := 0
	for round := range 12 {
		path := unpackOld(t)
		before := dump(t, path)
		if killed(t, path, time.Duration(mathrand.IntN(60))*time.Millisecond) {
			done++
		}
		s, _ := openOld(t, path)
		if all := proven(t, s); len(all) != oldRecords+1 {
			t.Errorf("round %d: %d records", round, len(all))
		}
		checkOldStore(t, s)
		closeStore(t, s)
		checkCopy(t, path, before)
	}
	t.Logf("%d of 12 came to the end before they were killed", done)
}

// killed runs the process and kills it some time after it began to open; true if
// it was through by then.
func killed(t *testing.T, path string, after time.Duration) (through bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), migrateEnv+"="+path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "opening" {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		through = through || lines.Text() == "open"
	}
	_ = cmd.Wait() // killed: mostly an error
	if stderr.Len() > 0 {
		t.Fatalf("the process failed: %s", stderr.String())
	}
	return through
}

// TestMigrateCutShort finds what a crash leaves between copy and migration, here
// of a store that was used with the earlier version since.
func TestMigrateCutShort(t *testing.T) {
	t.Parallel()
	path := unpackOld(t)
	before := dump(t, path)
	for _, name := range []string{".schema1", ".schema1.tmp"} {
		if err := os.WriteFile(path+name, []byte("an older copy"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := openOld(t, path)
	closeStore(t, s)
	checkCopy(t, path, before)

	// The way back: the copy is a store that can be opened, and brought up to
	// date once more.
	if err := os.Rename(path+".schema1", path); err != nil {
		t.Fatal(err)
	}
	s, _ = openOld(t, path)
	defer closeStore(t, s)
	checkOldStore(t, s)
	proven(t, s)
}

// TestMigrateBetween opens a store of a build between the two versions: it has the
// buckets and the head, and calls itself schema 1.
func TestMigrateBetween(t *testing.T) {
	t.Parallel()
	path := unpackOld(t)
	s, _ := openOld(t, path)
	closeStore(t, s)
	edit(t, filepath.Dir(path), func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("1")) })
	s, _ = openOld(t, path)
	defer closeStore(t, s)
	checkOldStore(t, s)
	if n := len(proven(t, s)); n != oldRecords+2 {
		t.Errorf("%d records", n)
	}
}

// TestBucketAdded opens a store that lacks what came to the layout after its
// schema, as one of an earlier build does.
func TestBucketAdded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	closeStore(t, open(t, dir))
	later := bolt.LaterBuckets()
	edit(t, dir, func(tx *bbolt.Tx) error {
		for _, name := range later {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	s := open(t, dir)
	closeStore(t, s)
	all := dump(t, filepath.Join(dir, "vernal.db"))
	for _, name := range later {
		if all[name] == nil {
			t.Errorf("bucket %s was not made", name)
		}
	}
}
