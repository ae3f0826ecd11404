package restore_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/backup"
	"vernal/idp/idptest"
	"vernal/idp/restore"
)

const actor = "cli:uid=1000(ops)"

// deployment is a running identity provider with a user and a service provider, of which
// backups are made and restored in its place.
type deployment struct {
	*idptest.IdP
	t   *testing.T
	ann *idptest.User
	sp  *idptest.Provider
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{IdP: idptest.New(t, idptest.Options{}), t: t}
	d.ann = d.AddUser("ann@example.gov")
	d.sp = d.AddProvider("https://sp.example")
	return d
}

func (d *deployment) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// files are a backup's files by name, and its manifest.
type files struct {
	manifest []byte
	sum      string
	content  map[string][]byte
}

// backup makes a backup of the running installation.
func (d *deployment) backup() *files {
	d.t.Helper()
	var out bytes.Buffer
	_, err := d.Backups.WriteArchive(d.t.Context(), &out, backup.Options{})
	d.ok(err)
	r, err := backup.Open(&out, backup.DefaultLimits)
	d.ok(err)
	f := &files{content: map[string][]byte{}}
	for {
		m, content, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		d.ok(err)
		f.content[m.Name], err = io.ReadAll(content)
		d.ok(err)
	}
	f.manifest, f.sum = r.ManifestJSON, r.SHA256()
	return f
}

// head returns the end of the backup's trail.
func (f *files) head() audit.Place {
	m, err := backup.ParseManifest(f.manifest)
	if err != nil {
		panic(err)
	}
	return m.Head
}

// export returns the audit trail as vernal audit export writes it.
func (d *deployment) export(after uint64) []byte {
	d.t.Helper()
	var out bytes.Buffer
	for {
		page, err := d.Trail.Lines(d.t.Context(), after, 1000)
		d.ok(err)
		if len(page.Lines) == 0 {
			return out.Bytes()
		}
		for _, line := range page.Lines {
			out.Write(line.JSON)
			out.WriteByte('\n')
			after = line.Place
		}
	}
}

// place stops the server and puts the backup's files and a marker in the place of its data, as
// the command does with an empty folder. since is an exported trail; nil for none.
func (d *deployment) place(f *files, since []byte) {
	d.t.Helper()
	d.Stop()
	d.ok(os.RemoveAll(d.KeysFolder()))
	d.ok(os.Remove(d.StoreFile()))
	d.ok(os.Mkdir(d.KeysFolder(), 0o700))
	for _, name := range []string{restore.MarkerName, restore.SinceName} {
		if err := os.Remove(filepath.Join(d.Folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			d.t.Fatal(err)
		}
	}
	d.ok(restore.WriteMarker(d.Folder, restore.Marker{Manifest: f.manifest, FileSHA256: f.sum, Actor: actor, HasSince: since != nil}))
	if since != nil {
		d.ok(os.WriteFile(filepath.Join(d.Folder, restore.SinceName), since, 0o600))
	}
	for name, content := range f.content {
		if name != backup.ConfigName {
			d.ok(os.WriteFile(filepath.Join(d.Folder, name), content, 0o600))
		}
	}
}

// restore restores the backup and starts the server.
func (d *deployment) restore(f *files, since []byte) *restore.Report {
	d.t.Helper()
	d.place(f, since)
	d.Start()
	r, err := d.Restore.Last(d.t.Context())
	d.ok(err)
	return r
}

// finish opens the store and finishes the restore, without a server.
func (d *deployment) finish() (*restore.Report, error) {
	d.t.Helper()
	d.Reopen()
	defer d.Close()
	return d.Restore.Finish(d.t.Context())
}

// records returns the audit records after a place.
func (d *deployment) records(after uint64) []idp.AuditRecord {
	d.t.Helper()
	records, err := audit.Records(d.t.Context(), d.Store, after, 1000)
	d.ok(err)
	return records
}

// verify verifies the whole trail.
func (d *deployment) verify() {
	d.t.Helper()
	var p audit.Progress
	for !p.Done {
		var err error
		p, err = d.Trail.Verify(d.t.Context(), p, nil, 1<<40)
		d.ok(err)
	}
	if p.Broken != nil {
		d.t.Errorf("the trail is broken: %v", p.Broken)
	}
}

// marshal returns the JSON of a value.
func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(dir, name string, data []byte) error {
	return os.WriteFile(filepath.Join(dir, name), data, 0o600)
}

func certPEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}
