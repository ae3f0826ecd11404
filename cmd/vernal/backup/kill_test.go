package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/durable"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/restore"
	"vernal/idp/rotation"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
	"vernal/metadata"
)

var start = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// source is an installation and a backup of it.
type source struct {
	*fixture.Fixture
	file, masterKey string
}

func newSource(t *testing.T) *source {
	t.Helper()
	s := &source{file: filepath.Join(t.TempDir(), "b.tar.gz"), masterKey: filepath.Join(t.TempDir(), "master.key")}
	s.Fixture = fixture.New(t, start, func(c *installation.Config) { c.ConfigText = []byte("# empty\n") })
	if err := s.Rotation.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	errs, err := s.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: &idp.User{ID: "ana", Emails: []idp.Email{{Address: "ana@example.gov"}}}}})
	if err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	err = durable.WriteNewFrom(s.file, func(w io.Writer) error {
		_, err := s.Backups.WriteArchive(t.Context(), w, backup.Options{})
		return err
	})
	if err == nil {
		err = durable.WriteNew(s.masterKey, []byte(s.Master.FileText()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens the installation in a folder as a start of the server does.
func (s *source) open(dir string) (*installation.Installation, *bolt.Store, error) {
	masters := seal.NewMasters(s.Master)
	c := installation.Config{
		IdP: metadata.IdP{BaseURL: fixture.BaseURL}, Policy: rotation.DefaultPolicy(), DataDir: dir,
		Keys: certs.OpenDir(filepath.Join(dir, "keys"), masters), Log: slog.New(slog.DiscardHandler), Clock: s.Clock.Now,
	}
	if _, err := os.Stat(filepath.Join(dir, "vernal.db")); err != nil {
		return nil, nil, err
	}
	store, err := bolt.Open(filepath.Join(dir, "vernal.db"), bolt.Options{Masters: masters, Clock: s.Clock.Now})
	if err != nil {
		return nil, nil, err
	}
	return installation.Build(c, store), store, nil
}

// command returns the command that restores into a folder.
func (s *source) command(dir string) *commands {
	return &commands{
		App: &cli.App{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard},
		host: Host{
			Place: func(string) (Place, error) {
				data := filepath.Join(dir, "data")
				return Place{DataDir: data, MasterKeyFile: filepath.Join(data, "master.key"), ConfigFile: filepath.Join(dir, "vernal.yaml")}, nil
			},
			Schema: bolt.Schema,
			OpenStore: func(path string, m *seal.Master) (Store, error) {
				return bolt.Open(path, bolt.Options{Masters: seal.NewMasters(m), Clock: s.Clock.Now})
			},
			Finish: func(ctx context.Context, _ string) (*restore.Report, error) {
				i, store, err := s.open(filepath.Join(dir, "data"))
				if err != nil {
					return nil, err
				}
				report, err := i.Restore.Finish(ctx)
				return report, errors.Join(err, store.Close())
			},
			ConfigFor: func(text, _ string) (string, error) { return text, nil },
		},
	}
}

// run restores, and dies after a number of steps; -1 for never. It returns the steps taken.
func (s *source) run(t *testing.T, dir string, killAt int) (steps []string, err error) {
	t.Helper()
	a := s.command(dir)
	a.afterStep = func(name string) error {
		steps = append(steps, name)
		if len(steps) == killAt {
			return errKilled
		}
		return nil
	}
	c := a.restoreCommand()
	c.SetArgs([]string{s.file, "--master-key", s.masterKey})
	c.SilenceErrors, c.SilenceUsage = true, true
	return steps, c.ExecuteContext(t.Context())
}

var errKilled = errors.New("killed")

// TestKilledRestoreIsRepeated kills a restore after each step, and the repeated one after each
// step again. At no moment is the store there without its marker, and in the end everything is
// as if nothing had happened.
func TestKilledRestoreIsRepeated(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	all, err := s.run(t, t.TempDir(), -1)
	if err != nil {
		t.Fatal(err)
	}
	again := 0
	for first := 1; first <= len(all); first++ {
		for second := 1; ; second++ {
			dir := t.TempDir()
			if _, err := s.run(t, dir, first); !errors.Is(err, errKilled) {
				t.Fatalf("killed after %d steps: %v", first, err)
			}
			s.checkUnfinished(t, dir)
			steps, err := s.run(t, dir, second)
			if errors.Is(err, errKilled) {
				s.checkUnfinished(t, dir)
				_, err = s.run(t, dir, -1)
				again++
			} else if second != len(steps)+1 {
				t.Fatalf("killed after %d and %d steps: %d steps: %v", first, second, len(steps), err)
			}
			if err != nil {
				t.Fatalf("killed after %d (%s) and %d steps, then: %v", first, all[first-1], second, err)
			}
			s.checkRestored(t, dir)
			if second > len(steps) {
				break
			}
		}
	}
	t.Logf("%v: %d restores were killed twice", all, again)
}

// checkUnfinished checks that nothing opens the installation as if it were finished.
func (s *source) checkUnfinished(t *testing.T, dir string) {
	t.Helper()
	_, storeErr := os.Stat(filepath.Join(dir, "data", "vernal.db"))
	m, err := restore.ReadMarker(filepath.Join(dir, "data"))
	if err != nil || storeErr == nil && m == nil {
		t.Errorf("the store is there without a marker: %v", err)
	}
}

// checkRestored checks that the installation is complete.
func (s *source) checkRestored(t *testing.T, dir string) {
	t.Helper()
	data := filepath.Join(dir, "data")
	i, store, err := s.open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if report, err := i.Restore.Finish(t.Context()); report != nil || err != nil {
		t.Errorf("a restore was pending: %v, %v", report, err)
	}
	if err := i.Rotation.Start(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := store.User(t.Context(), "ana"); err != nil {
		t.Error(err)
	}
	var names []string
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			names = append(names, rel)
		}
		return err
	})
	want := "[data/keys/2031.crt data/keys/2031.key data/master.key data/vernal.db vernal.yaml]"
	kept := "[data/keys/2031.crt data/keys/2031.key data/master.key data/vernal.db data/vernal.yaml.restored vernal.yaml]"
	if got := fmt.Sprint(names); err != nil || got != want && got != kept {
		t.Errorf("files %v, %v", got, err)
	}
}

// TestRestoreRefusesOtherFolder checks that an interrupted restore is not finished with another
// backup.
func TestRestoreRefusesOtherFolder(t *testing.T) {
	t.Parallel()
	s, other := newSource(t), newSource(t)
	dir := t.TempDir()
	all, err := s.run(t, t.TempDir(), -1)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range all {
		if name == "marker" {
			if _, err := s.run(t, dir, i+1); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
		}
	}
	if steps, err := other.run(t, dir, -1); !cli.IsRefusal(err) || len(steps) > 0 {
		t.Errorf("%v, %v", steps, err)
	}
	if _, err := s.run(t, dir, -1); err != nil {
		t.Fatal(err)
	}
	if steps, err := s.run(t, dir, -1); !cli.IsRefusal(err) || len(steps) > 0 {
		t.Errorf("a folder in use: %v, %v", steps, err)
	}
	s.checkRestored(t, dir)
}

// TestRestoreHasFolderAlone checks that two restores never share a folder: one would put in place
// what the other one is still extracting.
func TestRestoreHasFolderAlone(t *testing.T) {
	t.Parallel()
	s, dir := newSource(t), t.TempDir()
	a := s.command(dir)
	tries := 0
	a.afterStep = func(string) error {
		tries++
		if steps, err := s.run(t, dir, -1); !cli.IsRefusal(err) || len(steps) > 0 {
			t.Errorf("a second restore: %v, %v", steps, err)
		}
		return nil
	}
	c := a.restoreCommand()
	c.SetArgs([]string{s.file, "--master-key", s.masterKey})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.ExecuteContext(t.Context()); err != nil || tries == 0 {
		t.Fatal(tries, err)
	}
	s.checkRestored(t, dir)
}
