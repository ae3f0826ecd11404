package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/idptest/fixture"
	"vernal/idp/rotation"
)

// TestBackupDescribesInstallation checks the manifest, that its MAC is ours alone, and that the
// copy opens with the same content.
func TestBackupDescribesInstallation(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	data, s := makeArchive(t, f, backup.Options{})
	r, files, err := readAll(data, backup.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Manifest, r.Manifest); diff != "" {
		t.Errorf("manifest (-written +read):\n%s", diff)
	}
	if s.Bytes != int64(len(data)) || s.SHA256 != r.SHA256() {
		t.Errorf("%d bytes, digest %s; want %d and %s", s.Bytes, s.SHA256, len(data), r.SHA256())
	}
	page, err := f.Store.AuditPage(t.Context(), idp.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Manifest.Head.Seq != page.Head.Seq || r.Manifest.Head.Hash != page.Head.Hash {
		t.Errorf("head %v, want %v", r.Manifest.Head, page.Head)
	}
	if diff := cmp.Diff([]string{f.Masters.Configured().ID()}, r.Manifest.MasterKeys); diff != "" {
		t.Error(diff)
	}
	preferred := backup.Year{Year: "2031", State: rotation.Preferred, Key: backup.KeyInFile}
	if len(r.Manifest.Years) == 0 || r.Manifest.Years[0] != preferred {
		t.Errorf("years %v, want %v first", r.Manifest.Years, preferred)
	}
	if r.Manifest.Contains(backup.MasterKeyName) {
		t.Error("the master key is in a backup that was not asked for it")
	}
	other := fixture.New(t, start, nil)
	if err := r.Manifest.Verify(f.Sealer); err != nil {
		t.Error(err)
	}
	if err := r.Manifest.Verify(other.Sealer); !errors.Is(err, backup.ErrForeign) {
		t.Errorf("with another installation's keys: %v", err)
	}
	copied := fixture.Open(t, restoreTo(t, files), f.Master, start, nil)
	if err := copied.Rotation.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Manifest.Verify(copied.Sealer); err != nil {
		t.Error(err)
	}
	if _, err := copied.Store.User(t.Context(), "ana"); err != nil {
		t.Error(err)
	}
	id, err := backup.EnsureInstallationID(t.Context(), copied.Store)
	if err != nil || id != r.Manifest.Installation {
		t.Errorf("installation %s, want %s: %v", id, r.Manifest.Installation, err)
	}
}

// TestBackupIsStandardArchive checks that the tools of any system open it.
func TestBackupIsStandardArchive(t *testing.T) {
	t.Parallel()
	data, s := makeArchive(t, newDeployment(t, nil), backup.Options{})
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.FileInfo().Mode() != 0o600 {
			t.Errorf("%s has mode %v", h.Name, h.FileInfo().Mode())
		}
		names = append(names, h.Name)
	}
	want := []string{backup.ManifestName}
	for _, m := range s.Members {
		want = append(want, m.Name)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// TestCutBackupIsRefused cuts the file at many places, among them the boundaries of its files.
func TestCutBackupIsRefused(t *testing.T) {
	t.Parallel()
	data, _ := makeArchive(t, newDeployment(t, nil), backup.Options{})
	cuts := map[int]bool{0: true, 1: true, 10: true, len(data) - 1: true, len(data) - 8: true, len(data) - 85: true}
	for i := range 64 {
		cuts[len(data)*i/64] = true
	}
	for _, at := range boundaries(t, data) {
		for d := -2; d <= 2; d++ {
			cuts[at+d] = true
		}
	}
	for at := range cuts {
		if at < 0 || at >= len(data) {
			continue
		}
		if _, _, err := readAll(data[:at], backup.DefaultLimits); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("cut at %d of %d: %v", at, len(data), err)
		}
	}
}

// boundaries returns how much of the compressed data a reader needs for each file.
func boundaries(t *testing.T, data []byte) (at []int) {
	t.Helper()
	source := bytes.NewReader(data) // an io.ByteReader, so that no more is read than needed
	z, err := gzip.NewReader(source)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(z)
	for {
		if _, err := archive.Next(); err == io.EOF {
			return at
		} else if err != nil {
			t.Fatal(err)
		}
		at = append(at, len(data)-source.Len())
	}
}

// TestChangedBackupIsRefused flips bits everywhere.
func TestChangedBackupIsRefused(t *testing.T) {
	t.Parallel()
	data, _ := makeArchive(t, newDeployment(t, nil), backup.Options{})
	for i := 0; i < len(data); i += 1 + i/97 {
		for _, at := range []int{i, len(data) - 1 - i} {
			changed := bytes.Clone(data)
			changed[at] ^= 1 << (i % 8)
			var refusal *backup.Refusal
			if _, _, err := readAll(changed, backup.DefaultLimits); !errors.As(err, &refusal) {
				t.Errorf("byte %d of %d changed: %v", at, len(data), err)
			}
		}
	}
}

// entry is a file of an archive that a test makes.
type entry struct {
	name string
	data []byte
	typ  byte
}

// pack makes an archive with the form of ours.
func pack(t testing.TB, entries []entry, after []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(e.data))}
		if e.typ != 0 {
			h.Typeflag, h.Size, h.Linkname = e.typ, 0, "/etc/passwd"
		}
		if err := archive.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.typ == 0 {
			if _, err := archive.Write(e.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, err := range []error{archive.Close(), z.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(out.Bytes())
	end := append([]byte{0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 255}, hex.EncodeToString(sum[:])...)
	out.Write(append(end, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	return append(out.Bytes(), after...)
}

// TestReaderRefuses gives the reader archives that no Vernal writes.
func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	data, s := makeArchive(t, newDeployment(t, nil), backup.Options{})
	r, files, err := readAll(data, backup.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	good := []entry{{name: backup.ManifestName, data: r.ManifestJSON}}
	for _, m := range s.Members {
		good = append(good, entry{name: m.Name, data: files[m.Name]})
	}
	manifest := func(old, replacement string) func([]entry) []entry {
		return func(e []entry) []entry {
			e[0].data = bytes.Replace(e[0].data, []byte(old), []byte(replacement), 1)
			return e
		}
	}
	tests := []struct {
		name   string
		change func([]entry) []entry
		after  string
		limits func(*backup.Limits)
		want   backup.Code
	}{
		{name: "unchanged", want: ""},
		{name: "newer format", change: manifest(`"format": 1`, `"format": 2`), want: backup.CodeNewerFormat},
		{name: "no format", change: manifest(`"format": 1`, `"format": 0`), want: backup.CodeDamaged},
		{name: "unknown field", change: manifest(`"format": 1`, `"format": 1, "x": 1`), want: backup.CodeDamaged},
		{name: "path outside", change: manifest(`keys/2031.key`, `keys/../2031.key`), want: backup.CodeUnknownMember},
		{name: "absolute path", change: manifest(`keys/2031.key`, `/etc/cron.d/x`), want: backup.CodeUnknownMember},
		{name: "no year", change: manifest(`keys/2031.key`, `keys/20310.key`), want: backup.CodeUnknownMember},
		{name: "twice", change: manifest(`keys/2031.key`, `keys/2031.crt`), want: backup.CodeUnknownMember},
		{name: "no store", change: manifest(`vernal.db`, `keys/2020.key`), want: backup.CodeMissingMember},
		{name: "size above the limit", change: manifest(`"size": `, `"size": 99`), limits: func(l *backup.Limits) { l.Store = 1 << 20 }, want: backup.CodeTooLarge},
		{name: "negative size", change: manifest(`"size": `, `"size": -`), want: backup.CodeDamaged},
		{name: "manifest is not first", change: func(e []entry) []entry { return append(e[1:], e[0]) }, want: backup.CodeMissingMember},
		{name: "file missing", change: func(e []entry) []entry { return e[:len(e)-1] }, want: backup.CodeMissingMember},
		{name: "file more", change: func(e []entry) []entry { return append(e, entry{name: "keys/2099.key"}) }, want: backup.CodeUnknownMember},
		{name: "unknown file", change: func(e []entry) []entry { e[2].name = "../evil"; return e }, want: backup.CodeUnknownMember},
		{name: "link", change: func(e []entry) []entry { e[2].typ = tar.TypeSymlink; return e }, want: backup.CodeUnknownMember},
		{name: "hard link", change: func(e []entry) []entry { e[2].typ = tar.TypeLink; return e }, want: backup.CodeUnknownMember},
		{name: "another size", change: func(e []entry) []entry { e[2].data = append(bytes.Clone(e[2].data), 0); return e }, want: backup.CodeDamaged},
		{name: "another content", change: func(e []entry) []entry {
			e[2].data = bytes.Clone(e[2].data)
			e[2].data[0] ^= 1
			return e
		}, want: backup.CodeDamaged},
		{name: "something follows", after: "x", want: backup.CodeDamaged},
		{name: "another stream follows", after: string(data), want: backup.CodeDamaged},
		{name: "manifest too large", limits: func(l *backup.Limits) { l.Manifest = 100 }, want: backup.CodeTooLarge},
		{name: "store too large", limits: func(l *backup.Limits) { l.Store = 100 }, want: backup.CodeTooLarge},
		{name: "key too large", limits: func(l *backup.Limits) { l.Key = 100 }, want: backup.CodeTooLarge},
		{name: "configuration too large", limits: func(l *backup.Limits) { l.Config = 10 }, want: backup.CodeTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			entries, l := append([]entry(nil), good...), backup.DefaultLimits
			if tt.change != nil {
				entries = tt.change(entries)
			}
			if tt.limits != nil {
				tt.limits(&l)
			}
			_, _, err := readAll(pack(t, entries, []byte(tt.after)), l)
			var refusal *backup.Refusal
			if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &refusal) || refusal.Code != tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestReaderKeepsErrorOfFile checks that a failing disk is not taken for a damaged backup.
func TestReaderKeepsErrorOfFile(t *testing.T) {
	t.Parallel()
	data, _ := makeArchive(t, newDeployment(t, nil), backup.Options{})
	broken := errors.New("input/output error")
	for _, n := range []int{0, 5, 100, len(data) / 2, len(data) - 1} {
		source := io.MultiReader(bytes.NewReader(data[:n]), &failingReader{broken})
		r, err := backup.Open(source, backup.DefaultLimits)
		for err == nil {
			_, _, err = r.Next()
		}
		if !errors.Is(err, broken) || errors.Is(err, backup.ErrDamaged) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

type failingReader struct{ err error }

func (f *failingReader) Read([]byte) (int, error) { return 0, f.err }

// TestMasterKeyInBackup checks both protections, and that nothing else opens the key.
func TestMasterKeyInBackup(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	identityText, recipient := newIdentity(t)
	const passphrase = "nine jars of plum jam"
	tests := []struct {
		name string
		p    backup.Protection
		u    backup.UnlockSecret
		want error
	}{
		{"passphrase", backup.Protection{Passphrase: passphrase}, backup.UnlockSecret{Passphrase: passphrase}, nil},
		{"wrong passphrase", backup.Protection{Passphrase: passphrase}, backup.UnlockSecret{Passphrase: passphrase + "."}, backup.ErrLocked},
		{"recipient", backup.Protection{Recipients: recipient}, backup.UnlockSecret{Identities: identityText}, nil},
		{"another identity", backup.Protection{Recipients: recipient}, backup.UnlockSecret{Passphrase: passphrase}, backup.ErrLocked},
		{"no identity", backup.Protection{Recipients: recipient}, backup.UnlockSecret{Identities: "AGE-SECRET-KEY-1NONSENSE"}, backup.ErrIdentity},
	}
	for _, tt := range tests {
		data, _ := makeArchive(t, f, backup.Options{MasterKey: tt.p})
		r, files, err := readAll(data, backup.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if bytes.Contains(files[backup.MasterKeyName], []byte(f.Masters.Configured().FileText())) || !r.Manifest.Contains(backup.MasterKeyName) {
			t.Errorf("%s: the master key is missing, or readable", tt.name)
		}
		m, err := backup.DecryptMaster(files[backup.MasterKeyName], tt.u)
		if !errors.Is(err, tt.want) || err == nil && !m.Equal(f.Masters.Configured()) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, p := range []backup.Protection{{Passphrase: "short"}, {Recipients: "age1nonsense"}, {Recipients: "\n"}} {
		if err := p.Check(); err == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
}

// TestBackupEndsWithItsReader checks that the snapshot ends when the reader of the backup goes:
// the store could not be closed with one.
func TestBackupEndsWithItsReader(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	large := make([]byte, 1<<20) // more than the buffers
	rand.Read(large)
	err := f.Store.UpdateDocuments(t.Context(), "test", []string{"a"}, func(d *idp.Document) error {
		d.Data = large
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := makeArchive(t, f, backup.Options{})
	gone := errors.New("broken pipe")
	for _, n := range []int{0, len(data) / 2, len(data) - 1} {
		if _, err := f.Backups.WriteArchive(t.Context(), &limitedWriter{n, gone}, backup.Options{}); !errors.Is(err, gone) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := f.Backups.WriteArchive(ctx, &cancelingWriter{cancel}, backup.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	f.Close() // waits for every snapshot
}

// cancelingWriter cancels with the first write.
type cancelingWriter struct{ cancel func() }

func (c *cancelingWriter) Write(p []byte) (int, error) {
	c.cancel()
	return len(p), nil
}

// limitedWriter fails after n bytes, as a full disk does.
type limitedWriter struct {
	n   int
	err error
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > l.n {
		n := l.n
		l.n = 0
		return n, l.err
	}
	l.n -= len(p)
	return len(p), nil
}

// TestAutomaticBackups follows a folder over two weeks.
func TestAutomaticBackups(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	dir := t.TempDir()
	f.Backups.Policy = backup.Policy{Every: 24 * time.Hour, Dir: dir, Keep: 3}
	strange := []string{"vernal-20300101T000000Z-00000000.tar.gz", "notes.txt", "vernal-old.tar.gz"}
	for _, name := range strange {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 14 * 24 {
		if err := f.Backups.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Clock.Advance(time.Hour)
	}
	list, err := f.Backups.Records(t.Context())
	if err != nil || len(list) != 14 {
		t.Fatalf("%d records, want 14: %v", len(list), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{strange[1], strange[0]}
	for _, r := range list[11:] {
		want = append(want, filepath.Base(r.File))
	}
	if diff := cmp.Diff(append(want, strange[2]), names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	checkAttention(t, f)

	// The folder goes: the backup fails, and is tried again each hour.
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for range 72 {
		if err := f.Backups.Tick(t.Context()); err != nil {
			failed++
		}
		f.Clock.Advance(time.Hour)
	}
	if failed < 70 || failed > 72 {
		t.Errorf("%d attempts failed", failed)
	}
	checkAttention(t, f, rotation.BackupFailed, rotation.BackupOld)
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Backups.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkAttention(t, f)
	f.Backups.Policy.Every = 0
	f.Clock.Advance(1000 * time.Hour)
	checkAttention(t, f)
}

// checkAttention compares what the status says about backups.
func checkAttention(t *testing.T, f *fixture.Fixture, want ...rotation.AttentionCode) {
	t.Helper()
	st, err := f.Rotation.Status(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []rotation.AttentionCode
	for _, a := range st.Attention {
		if a.Code == rotation.BackupFailed || a.Code == rotation.BackupOld {
			got = append(got, a.Code)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attention (-want +got):\n%s", diff)
	}
}

// TestRecordsKeepLastSuccess checks the bound of the records.
func TestRecordsKeepLastSuccess(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	if err := f.Backups.Finish(t.Context(), backup.Record{File: "good"}); err != nil {
		t.Fatal(err)
	}
	for range 150 {
		if err := f.Backups.Finish(t.Context(), backup.Record{File: "bad", Error: "disk full"}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := f.Backups.Records(t.Context())
	if err != nil || len(list) != 100 || list[0].File != "good" {
		t.Errorf("%d records, the first %v: %v", len(list), list[0], err)
	}
}

// TestDeletedUserIsNotInBackup checks that free pages, which hold what was deleted, are left out.
func TestDeletedUserIsNotInBackup(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	// Documents are readable in the store, so one can be found in it.
	secret := bytes.Repeat([]byte("planted "), 2000)
	plant := func(data []byte) {
		t.Helper()
		err := f.Store.UpdateDocuments(t.Context(), "test", []string{"a"}, func(d *idp.Document) error {
			d.Data = data
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	plant(secret)
	plant(nil)
	if raw, err := os.ReadFile(f.StoreFile()); err != nil || !bytes.Contains(raw, secret[:1000]) {
		t.Fatal("the deleted document is in no free page, so this test shows nothing", err)
	}
	data, _ := makeArchive(t, f, backup.Options{})
	_, files, err := readAll(data, backup.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files[backup.StoreName], secret[:100]) {
		t.Error("a deleted document is in the backup")
	}
}

// TestSharedFolderKeepsUnfinishedFilesOfOthers checks that an automatic backup removes its own
// unfinished files alone: those of another installation can be in use.
func TestSharedFolderKeepsUnfinishedFilesOfOthers(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	dir := t.TempDir()
	f.Backups.Policy = backup.Policy{Every: 24 * time.Hour, Dir: dir, Keep: 3}
	id, err := backup.EnsureInstallationID(t.Context(), f.Store)
	if err != nil {
		t.Fatal(err)
	}
	name := func(id string) string {
		return filepath.Join(dir, ".vernal-20300101T000000Z-"+id[:8]+".tar.gz.tmp-1")
	}
	other := "00000000"
	for _, id := range []string{id, other} {
		if err := os.WriteFile(name(id), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Backups.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name(id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("our own: %v", err)
	}
	if _, err := os.Stat(name(other)); err != nil {
		t.Errorf("that of another installation: %v", err)
	}
}

// TestClockSetBackKeepsNewBackups checks that backups with names from the future, made while the
// clock was ahead, are older than one made after it was set right. Otherwise each new backup
// would be removed at once, and its failure hidden.
func TestClockSetBackKeepsNewBackups(t *testing.T) {
	t.Parallel()
	f := newDeployment(t, nil)
	dir := t.TempDir()
	f.Backups.Policy = backup.Policy{Every: time.Hour, Dir: dir, Keep: 2}
	tick := func() {
		t.Helper()
		if err := f.Backups.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.Clock.Advance(1000 * time.Hour)
	for range 3 {
		tick()
		f.Clock.Advance(time.Hour)
	}
	f.Clock.Advance(-1003 * time.Hour)
	var files []string
	for range 3 {
		tick()
		list, err := f.Backups.Records(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list[len(list)-1].File)
		f.Clock.Advance(time.Hour)
	}
	for i, file := range files {
		if _, err := os.Stat(file); (err == nil) != (i > 0) {
			t.Errorf("backup %d after the clock was set right: %v", i, err)
		}
	}
	// A failure after that is seen, although a success has a later time.
	f.Clock.Advance(-100 * time.Hour)
	if err := os.Rename(dir, dir+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := f.Backups.Tick(t.Context()); err == nil {
		t.Fatal("a backup without its folder")
	}
	checkAttention(t, f, rotation.BackupFailed)
}
