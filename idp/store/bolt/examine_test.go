package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/store/bolt"
)

// examineAll examines a store in steps of limit records.
func examineAll(t *testing.T, s *bolt.Store, limit int) (records int, tampered []string) {
	t.Helper()
	var place idp.StorePlace
	for steps := 0; steps == 0 || !place.IsZero(); steps++ {
		seen, err := s.Examine(t.Context(), place, limit)
		if err != nil {
			t.Fatal(err)
		}
		if seen.Records > limit || steps > 10_000 {
			t.Fatalf("%d records in a step, %d steps", seen.Records, steps)
		}
		records, tampered, place = records+seen.Records, append(tampered, seen.Tampered...), seen.Next
	}
	return records, tampered
}

// Examine sees every record once, whatever the size of its steps, and finds an authentic store
// authentic.
func TestExamineSeesEveryRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	fillStore(t, s)
	want, tampered := examineAll(t, s, 1_000_000)
	if want < 30 || len(tampered) > 0 {
		t.Fatalf("%d records, not authentic: %v", want, tampered)
	}
	for _, limit := range []int{1, 2, 7} {
		if got, tampered := examineAll(t, s, limit); got != want || len(tampered) > 0 {
			t.Errorf("in steps of %d: %d records, want %d; not authentic: %v", limit, got, want, tampered)
		}
	}
}

// Examine finds a changed value in every bucket with a MAC or a seal.
func TestExamineFindsTamperedRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fillStore(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := append(bolt.GuardedBuckets(), "users", "profiles")
	want = slices.DeleteFunc(want, func(name string) bool { return name == "meta" }) // Open reads it
	edit(t, dir, func(tx *bbolt.Tx) error {
		for _, name := range want {
			b := tx.Bucket([]byte(name))
			key, value := b.Cursor().First()
			value = bytes.Clone(value)
			value[len(value)-1] ^= 1
			if err := b.Put(bytes.Clone(key), value); err != nil {
				return err
			}
		}
		return nil
	})
	s = open(t, dir)
	_, tampered := examineAll(t, s, 5)
	slices.Sort(tampered)
	slices.Sort(want)
	if !slices.Equal(tampered, want) {
		t.Errorf("not authentic: %v, want %v", tampered, want)
	}
}

// Examine reports pages that cannot be read as damage, also where the file was cut, and the
// store goes on with the others.
func TestExamineReportsDamage(t *testing.T) {
	t.Parallel()
	const page = 4096
	tests := []struct {
		name  string
		spoil func(t *testing.T, path string, at int64)
	}{
		{"page of no kind", func(t *testing.T, path string, at int64) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte{0xff, 0xff}, at+8); err != nil {
				t.Fatal(err)
			}
		}},
		{"file cut", func(t *testing.T, path string, at int64) {
			if err := os.Truncate(path, at); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "vernal.db")
			s := open(t, dir)
			big := &idp.ServiceProvider{EntityID: "https://big.example", Name: string(bytes.Repeat([]byte("x"), 40*page))}
			if err := s.CreateProvider(t.Context(), big, ""); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.LastIndex(data, []byte(`"https://big.example"`)) / page * page
			tt.spoil(t, path, int64(at))
			var place idp.StorePlace
			for steps := 0; ; steps++ {
				seen, err := s.Examine(t.Context(), place, 3)
				if errors.Is(err, idp.ErrDamaged) {
					if seen.Next != place {
						t.Errorf("goes on at %v, want %v", seen.Next, place)
					}
					return
				}
				if err != nil || seen.Next.IsZero() {
					t.Fatalf("no damage found: %v", err)
				}
				place = seen.Next
			}
		})
	}
}

// BenchmarkExamine measures a step of the doctor: 500 records with their MACs.
func BenchmarkExamine(b *testing.B) {
	s := open(b, b.TempDir())
	defer closeStore(b, s)
	keys := make([]string, 2000)
	for i := range keys {
		keys[i] = fmt.Sprintf("%04d", i)
	}
	err := s.UpdateDocuments(b.Context(), "kind", keys, func(d *idp.Document) error {
		d.Data = bytes.Repeat([]byte("x"), 300)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	var place idp.StorePlace
	for b.Loop() {
		seen, err := s.Examine(b.Context(), place, 500)
		if err != nil {
			b.Fatal(err)
		}
		place = seen.Next
	}
}
