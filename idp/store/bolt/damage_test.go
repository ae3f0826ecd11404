package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/store/bolt"
)

// usedStore returns the file of a store that has been used, with pages of every kind.
func usedStore(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 200 {
		err := s.UpdateDocuments(t.Context(), "test", []string{fmt.Sprintf("k%03d", n)}, func(d *idp.Document) error {
			d.Data = bytes.Repeat([]byte{byte(n)}, 50+100*(n%50))
			return nil
		}, idp.AuditEvent{Kind: "test"})
		if err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	data, err := os.ReadFile(filepath.Join(dir, "vernal.db"))
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(data, "\x00"))
	return data[:(used+page-1)/page*page] // bbolt makes the file longer than it needs
}

const page = 4096

// readDamaged opens a file and reads and changes what is in it. Whatever it contains, nothing
// panics, and the error is of the store's damage.
func readDamaged(t testing.TB, data []byte) error {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "vernal.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	o.MustExist = true
	s, err := bolt.Open(path, o)
	if err != nil {
		return err
	}
	defer closeStore(t, s)
	_, listErr := s.Documents(t.Context(), "test", idp.DocumentQuery{All: true})
	_, trailErr := verifyTrail(t.Context(), s, audit.Place{})
	_, sweepErr := s.Sweep(t.Context(), start.Add(time.Hour), 100)
	return errors.Join(listErr, trailErr, sweepErr, s.CheckWrites(t.Context()))
}

func TestDamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	whole := usedStore(t)
	if err := readDamaged(t, whole); err != nil {
		t.Fatalf("the whole file: %v", err)
	}
	cut := func(n int) []byte { return whole[:n] }
	zeroed := func(pages ...int) []byte {
		b := bytes.Clone(whole)
		for _, n := range pages {
			clear(b[n*page : (n+1)*page])
		}
		return b
	}
	tests := map[string][]byte{
		"empty": {}, "one byte": cut(1), "half a head": cut(page / 2), "one head": cut(page), "heads only": cut(2 * page),
		"cut in the middle": cut(len(whole) / 2), "a page less": cut(len(whole) - page), "cut in a page": cut(len(whole) - 100),
		"both heads zeroed": zeroed(0, 1), "text": bytes.Repeat([]byte("x"), 10_000), "zeroes": make([]byte, len(whole)),
		"ones": bytes.Repeat([]byte{0xff}, len(whole)),
	}
	for name, data := range tests {
		if err := readDamaged(t, data); !errors.Is(err, idp.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Either head alone is enough: a crash can damage the one that was being written.
	for n := range 2 {
		if err := readDamaged(t, zeroed(n)); err != nil {
			t.Errorf("head %d zeroed: %v", n, err)
		}
	}
	found := 0
	for n := 2; n < len(whole)/page; n++ {
		err := readDamaged(t, zeroed(n))
		if err != nil && !errors.Is(err, idp.ErrDamaged) && !errors.Is(err, idp.ErrTampered) {
			t.Errorf("page %d zeroed: %v", n, err)
		}
		if err != nil {
			found++
		}
	}
	if found < 20 {
		t.Errorf("%d zeroed pages were found", found)
	}
}

// Random damage ends in an error, or harms nothing that is read. It never ends the process.
func TestRandomDamageNeverPanics(t *testing.T) {
	t.Parallel()
	whole := usedStore(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		b := bytes.Clone(whole)
		n := 2 + r.IntN(len(b)/page-2)
		at := n*page + r.IntN(page)
		if r.IntN(2) == 0 {
			at = n*page + r.IntN(64) // the header and the first elements of a page
		}
		for k := range min(1+r.IntN(16), len(b)-at) {
			b[at+k] = byte(r.Uint32())
		}
		_ = readDamaged(t, b)
	}
}

// FuzzDamagedFile changes eight bytes at any place.
func FuzzDamagedFile(f *testing.F) {
	whole := usedStore(f)
	f.Add(uint32(0), uint64(0))
	f.Add(uint32(2*page+8), uint64(0xffff))
	f.Add(uint32(3*page+12), uint64(1<<40))
	f.Fuzz(func(t *testing.T, at uint32, value uint64) {
		b := bytes.Clone(whole)
		at %= uint32(len(b) - 8)
		for k := range 8 {
			b[at+uint32(k)] = byte(value >> (8 * k))
		}
		_ = readDamaged(t, b)
	})
}

// A file that is damaged while it is in use stops the store with an error. Reading it never ends
// the process.
func TestDamageInUseStopsTheStore(t *testing.T) {
	t.Parallel()
	whole := usedStore(t)
	read := func(s *bolt.Store) error {
		_, err := s.Documents(t.Context(), "test", idp.DocumentQuery{All: true})
		return err
	}
	change := func(s *bolt.Store) error {
		return s.UpdateDocuments(t.Context(), "test", []string{"k001"}, func(d *idp.Document) error {
			d.Data = []byte("changed")
			return nil
		})
	}
	garbage := func(f *os.File) error {
		_, err := f.WriteAt(bytes.Repeat([]byte{0xff}, len(whole)-2*page), 2*page)
		return err
	}
	for name, tt := range map[string]struct {
		damage func(*os.File) error
		first  func(*bolt.Store) error
	}{
		"garbage, read":    {garbage, read},
		"garbage, changed": {garbage, change},
		"cut, read":        {func(f *os.File) error { return f.Truncate(2 * page) }, read},
		"cut, changed":     {func(f *os.File) error { return f.Truncate(2 * page) }, change},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "vernal.db")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := bolt.Open(path, options(t))
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := tt.damage(f); err != nil {
				t.Fatal(err)
			}
			for _, call := range []func(*bolt.Store) error{tt.first, read, change, func(s *bolt.Store) error { return s.CheckWrites(t.Context()) }} {
				if err := call(s); !errors.Is(err, idp.ErrDamaged) {
					t.Errorf("error %v", err)
				}
			}
			_ = s.Close()
			if _, err := bolt.Open(path, options(t)); !errors.Is(err, idp.ErrDamaged) && !errors.Is(err, idp.ErrLocked) {
				t.Errorf("opened again: %v", err)
			}
		})
	}
}

// A panic of a caller's function stays its own.
func TestPanicOfACallerIsNoDamage(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	func() {
		defer func() {
			if v := recover(); v != "mine" {
				t.Errorf("panic %v", v)
			}
		}()
		_ = s.UpdateDocuments(t.Context(), "test", []string{"a"}, func(*idp.Document) error { panic("mine") })
	}()
	if err := s.CheckWrites(t.Context()); err != nil {
		t.Error(err)
	}
}

// nestBuckets returns the file of a store whose only bucket contains another one inside its page,
// and so on. The library writes no such file.
func nestBuckets(depth int) []byte {
	order := binary.NativeEndian
	leaf := func(id uint64, count uint16, overflow uint32) []byte {
		b := order.AppendUint64(nil, id)
		b = order.AppendUint16(order.AppendUint16(b, 0x02), count)
		return order.AppendUint32(b, overflow)
	}
	bucket := func(size int) []byte { // an element of a leaf, and its key
		b := order.AppendUint32(order.AppendUint32(nil, 1), 16)
		return append(order.AppendUint32(order.AppendUint32(b, 1), uint32(size)), 'a')
	}
	inside := 32 + 49*depth // bytes of the outermost bucket
	pages := (16+17+inside+page-1)/page + 2
	var out []byte
	for id := range uint64(2) {
		meta := order.AppendUint32(order.AppendUint32(nil, 0xED0CDAED), 2)
		meta = order.AppendUint32(order.AppendUint32(meta, page), 0)
		for _, n := range []uint64{2, 0, ^uint64(0), uint64(pages), id} {
			meta = order.AppendUint64(meta, n)
		}
		sum := fnv.New64a()
		sum.Write(meta)
		head := order.AppendUint64(nil, id)
		head = order.AppendUint32(order.AppendUint32(head, 0x04), 0)
		out = append(append(out, head...), order.AppendUint64(meta, sum.Sum64())...)
		out = append(out, make([]byte, int(id+1)*page-len(out))...)
	}
	out = append(append(out, leaf(2, 1, uint32(pages-3))...), bucket(inside)...)
	for left := depth; left >= 0; left-- {
		out = append(out, make([]byte, 16)...) // no root page: the bucket follows
		out = append(out, leaf(0, uint16(min(left, 1)), 0)...)
		if left > 0 {
			out = append(out, bucket(32+49*(left-1))...)
		}
	}
	return append(out, make([]byte, pages*page-len(out))...)
}

// A file from someone else must not end the process by buckets that are nested without an end,
// each of which takes some of the stack.
func TestNestedBucketsAreDamage(t *testing.T) {
	t.Parallel()
	for depth, want := range []error{nil, idp.ErrDamaged, idp.ErrDamaged} {
		if err := bolt.CheckPages(nestBuckets(depth)); !errors.Is(err, want) {
			t.Errorf("%d buckets in another one: %v", depth, err)
		}
	}
}
