package restore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/backup"
	"vernal/idp/idptest/fixture"
	"vernal/idp/restore"
	"vernal/idp/rotation"
)

// TestRestoreIsRecorded checks the audit record, the hold and that nothing is pending afterwards.
func TestRestoreIsRecorded(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.signIn(d.Browser())
	f := d.backup()
	head := f.head()
	r := d.restore(f, nil)
	records := d.records(head.Seq)
	if len(records) == 0 || records[0].Kind != idp.AuditRestored {
		t.Fatalf("records after the backup: %+v", records)
	}
	rec := records[0]
	want := map[string]string{
		"backup_seq": strconv.FormatUint(head.Seq, 10), "backup_hash": head.Hash, "backup_at": rec.Detail["backup_at"], "file_sha256": f.sum,
		"sessions": "1", "login_requests": "1", "logout_requests": "0",
	}
	if diff := cmp.Diff(want, rec.Detail); diff != "" || rec.Actor != actor || rec.Detail["backup_at"] == "" {
		t.Errorf("record by %s (-want +got):\n%s", rec.Actor, diff)
	}
	if r.Head != head || r.FileSHA256 != f.sum || r.RestoredAt.IsZero() || r.Since != nil {
		t.Errorf("report: %+v", r)
	}
	st, err := d.Rotation.Status(t.Context(), nil)
	d.ok(err)
	if !st.Restoration.Holds() || st.Attention[0].Code != rotation.RestoreHeld {
		t.Errorf("restored: %+v, attention %+v", st.Restoration, st.Attention)
	}
	for _, name := range []string{restore.MarkerName, restore.SinceName} {
		if _, err := os.Lstat(filepath.Join(d.Folder, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if again, err := d.Restore.Finish(t.Context()); again != nil || err != nil {
		t.Errorf("finished again: %+v, %v", again, err)
	}
	_, err = d.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepResume}, "test", false)
	d.ok(err)
	if st, err = d.Rotation.Status(t.Context(), nil); err != nil || st.Restoration.Holds() {
		t.Errorf("after resume: %+v, %v", st.Restoration, err)
	}
	d.verify()
}

// TestRestoreRefusesForgedMarker tries markers that no backup of this installation has. Nothing
// may change, and no one may start.
func TestRestoreRefusesForgedMarker(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	f := d.backup()
	change := func(edit func(m map[string]any)) func() []byte {
		return func() []byte {
			m := map[string]any{}
			d.ok(json.Unmarshal(f.manifest, &m))
			edit(m)
			return marshal(t, m)
		}
	}
	other := fixture.New(t, d.Clock.Now(), nil)
	d.ok(other.Rotation.Begin(t.Context()))
	tests := []struct {
		name     string
		manifest func() []byte
		want     error
	}{
		{"another time", change(func(m map[string]any) { m["created_at"] = "2020-01-01T00:00:00Z" }), backup.ErrForeign},
		{"another head", change(func(m map[string]any) { m["audit_head"] = map[string]any{"seq": 1, "hash": audit.FirstPrev} }), backup.ErrForeign},
		{"another installation", change(func(m map[string]any) { m["installation"] = "0123456789abcdef0123456789abcdef" }), backup.ErrForeign},
		{"no MAC", change(func(m map[string]any) { m["mac"] = "" }), backup.ErrForeign},
		{"MAC of another installation", func() []byte {
			var out bytes.Buffer
			_, err := other.Backups.WriteArchive(t.Context(), &out, backup.Options{})
			d.ok(err)
			r, err := backup.Open(&out, backup.DefaultLimits)
			d.ok(err)
			return r.ManifestJSON
		}, backup.ErrForeign},
		{"unknown field", change(func(m map[string]any) { m["x"] = 1 }), backup.ErrDamaged},
	}
	for _, tt := range tests {
		forged := *f
		forged.manifest = tt.manifest()
		d.place(&forged, nil)
		if _, err := d.finish(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		d.checkUntouched(tt.name, f)
	}
	for name, text := range map[string]string{
		"empty": "", "no JSON": "{", "list": "[]", "two values": "{}{}", "unknown field": `{"x":1}`,
		"far too large":     `{"actor":"` + string(bytes.Repeat([]byte("x"), 3<<20)) + `"}`,
		"long actor":        `{"manifest":` + string(f.manifest) + `,"actor":"` + string(bytes.Repeat([]byte("x"), 1<<10)) + `"}`,
		"control character": `{"manifest":` + string(f.manifest) + `,"actor":"a\nb"}`,
	} {
		d.place(f, nil)
		d.ok(os.WriteFile(filepath.Join(d.Folder, restore.MarkerName), []byte(text), 0o600))
		if _, err := d.finish(); err == nil {
			t.Errorf("marker %s was accepted", name)
		}
		d.checkUntouched(name, f)
	}
}

// checkUntouched checks that the store still is the backup's.
func (d *deployment) checkUntouched(name string, f *files) {
	d.t.Helper()
	d.Reopen()
	defer d.Close()
	page, err := d.Store.AuditPage(d.t.Context(), idp.AuditQuery{After: 1 << 62})
	d.ok(err)
	if page.Head.Seq != f.head().Seq || !d.Store.RestoredAt().IsZero() {
		d.t.Errorf("%s: a refused restore changed the store", name)
	}
}

// TestRestoreRefusesOtherStore puts the marker of an older backup beside a newer store, and of a
// newer one beside an older store.
func TestRestoreRefusesOtherStore(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	older := d.backup()
	d.AddUser("bob@example.gov")
	newer := d.backup()
	// Another store goes on from the older one, to a record with the same number.
	d.place(older, nil)
	d.ok(os.Remove(filepath.Join(d.Folder, restore.MarkerName)))
	d.Start()
	d.AddUser("cid@example.gov")
	other := d.backup()
	if other.head().Seq != newer.head().Seq {
		t.Fatalf("the other store ends at %d, want %d", other.head().Seq, newer.head().Seq)
	}
	for name, f := range map[string]*files{
		"other store": {manifest: newer.manifest, content: other.content},
		"newer store": {manifest: older.manifest, content: newer.content},
		"older store": {manifest: newer.manifest, content: older.content},
	} {
		d.place(f, nil)
		if _, err := d.finish(); !errors.Is(err, &restore.Error{Code: restore.CodeOtherStore}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRestoreAfterRestore restores a backup that was made of a restored installation.
func TestRestoreAfterRestore(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	first := d.backup()
	d.restore(first, nil)
	second := d.backup()
	r := d.restore(second, nil)
	if r.Head != second.head() {
		t.Errorf("report of %+v, want %+v", r.Head, second.head())
	}
	d.verify()
}

// TestSinceIsRefused tries exported trails that do not continue the backup's.
func TestSinceIsRefused(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	f := d.backup()
	d.AddUser("bob@example.gov")
	d.AddUser("cid@example.gov")
	d.ok(d.Accounts.Delete(t.Context(), d.ann.Email, "test"))
	head, all := f.head().Seq, d.export(0)
	lines := bytes.SplitAfter(all, []byte("\n"))
	join := func(lines ...[]byte) []byte { return bytes.Join(lines, nil) }
	other := newDeployment(t)
	for range 5 {
		other.signIn(other.Browser())
	}
	n := len(lines) - 1 // the last one is empty
	changed := bytes.Replace(all, []byte(`"user.delete"`), []byte(`"user.lockxx"`), 1)
	tests := []struct {
		name string
		text []byte
		want restore.Code
	}{
		{"of another installation", other.export(0), restore.CodeSinceOther},
		{"ends before the backup", join(lines[:head-1]...), restore.CodeSinceShort},
		{"begins after the backup", join(lines[head+1:]...), restore.CodeSinceGap},
		{"changed", changed, restore.CodeSinceDamaged},
		{"a record is missing", join(append(append([][]byte{}, lines[:head]...), lines[head+1:]...)...), restore.CodeSinceDamaged},
		{"cut off", all[:len(all)-5], restore.CodeSinceDamaged},
		{"no records", nil, restore.CodeSinceDamaged},
		{"no text", []byte("\x00\x01\n"), restore.CodeSinceDamaged},
		{"forged checkpoint", append(bytes.Clone(all), fmt.Sprintf(`{"checkpoint":{"seq":%d,"hash":"%s"}}`+"\n", n, lastHash(t, lines[n-1]))...), restore.CodeSinceDamaged},
	}
	if n < int(head)+2 {
		t.Fatalf("%d records, and the backup has %d", n, head)
	}
	for _, tt := range tests {
		d.place(f, append([]byte{}, tt.text...))
		if _, err := d.finish(); !errors.Is(err, &restore.Error{Code: tt.want}) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		d.checkUntouched(tt.name, f)
	}
	d.place(f, all)
	d.ok(os.Remove(filepath.Join(d.Folder, restore.SinceName)))
	if _, err := d.finish(); !errors.Is(err, &restore.Error{Code: restore.CodeSinceMissing}) {
		t.Errorf("missing: %v", err)
	}
	for name, text := range map[string][]byte{"whole": all, "from the end of the backup": join(lines[head:]...), "nothing after it": join(lines[:head]...)} {
		d.place(f, text)
		if _, err := d.finish(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func lastHash(t *testing.T, line []byte) string {
	t.Helper()
	var rec idp.AuditRecord
	if err := json.Unmarshal(line, &rec); err != nil {
		t.Fatal(err)
	}
	return rec.Hash
}
