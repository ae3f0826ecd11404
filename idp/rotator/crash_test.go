//go:build slow

package rotator_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
	"vernal/metadata"
)

// crashEnv holds, in a process that is to die, what it does before.
const crashEnv = "VERNAL_ROTATION_TEST_CRASH"

func TestMain(m *testing.M) {
	if text := os.Getenv(crashEnv); text != "" {
		var d doomed
		err := json.Unmarshal([]byte(text), &d)
		if err == nil {
			err = d.run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// doomed is a process that takes a step and kills itself on the way.
type doomed struct {
	Folder string
	Master []byte
	// Signer is the private key that a create uses. Foreign is an external one. Both are
	// PKCS#8.
	Signer, Foreign []byte
	Now             time.Time
	Act             string
	Year            idp.Year
	// KillAt is the point at which it dies: each write has one before it and
	// one after it.
	KillAt int
}

func (d *doomed) run() error {
	clock := func() time.Time { return d.Now }
	master, err := seal.NewMaster(d.Master)
	if err != nil {
		return err
	}
	masters := seal.NewMasters(master)
	store, err := bolt.Open(filepath.Join(d.Folder, "vernal.db"), bolt.Options{Masters: masters, Clock: clock})
	if err != nil {
		return err
	}
	signer, err := x509.ParsePKCS8PrivateKey(d.Signer)
	if err != nil {
		return err
	}
	s := installation.Build(installation.Config{
		IdP: metadata.IdP{BaseURL: fixture.BaseURL}, Policy: rotation.DefaultPolicy(), Keys: certs.OpenDir(filepath.Join(d.Folder, "keys"), masters),
		NewSigner: func(int) (crypto.Signer, error) { return signer.(crypto.Signer), nil }, Clock: clock, Log: slog.New(slog.DiscardHandler),
	}, store).Rotation
	k := &sigkill{DocumentStore: store, Keys: s.Dir, at: d.KillAt}
	if d.Act != "first start" {
		if err := s.Start(context.Background()); err != nil {
			return err
		}
	}
	s.Store, s.Dir = k, k
	if err := d.act(context.Background(), s); err != nil {
		return err
	}
	return store.Close()
}

// act takes a step as a person or the server would.
func (d *doomed) act(ctx context.Context, s *rotator.Service) (err error) {
	switch what, y := d.Act, d.Year; what {
	case "csr":
		_, err = s.MakeRequest(ctx, y, "test", false)
	case "import", "import a pair":
		err = d.importForeign(ctx, s)
	case "retire and destroy":
		_, err = s.Retire(ctx, rotation.Step{Kind: rotation.StepRetire, Year: y}, "test", false)
	case "first start":
		err = s.Begin(ctx)
	case "automatic":
		_, err = s.TakeDueSteps(ctx)
	case "revoke":
		_, err = s.Take(ctx, rotation.Step{Kind: rotation.StepRevoke, Year: y, Reason: "leaked"}, "test", false)
	default:
		_, err = s.Take(ctx, rotation.Step{Kind: rotation.StepKind(what), Year: y}, "test", false)
	}
	return err
}

// importForeign imports a certificate, with its key or for the one that waits.
func (d *doomed) importForeign(ctx context.Context, s *rotator.Service) error {
	key, err := x509.ParsePKCS8PrivateKey(d.Foreign)
	if err != nil {
		return err
	}
	signer := key.(crypto.Signer)
	k, err := certs.Certify(rand.Reader, signer, d.Year, s.Policy.Dates(d.Year).CertEndAt, certs.Spec{}, s.BaseURL, d.Now)
	if err != nil {
		return err
	}
	in := rotator.Import{Chain: []*x509.Certificate{k.Cert}}
	if d.Act == "import a pair" {
		in.Signer = signer
	}
	_, err = s.Import(ctx, d.Year, in, "test", false)
	return err
}

// sigkill is the document store between a service and its disk that ends the process with
// SIGKILL, which leaves no time for anything.
type sigkill struct {
	idp.DocumentStore
	rotator.Keys
	at, point int
}

func (k *sigkill) pass() {
	if k.point == k.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it can take a moment until it comes
	}
	k.point++
}

func (k *sigkill) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	k.pass()
	defer k.pass()
	return k.DocumentStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

// Save makes two writes: the private key, then the certificate if there is one.
func (k *sigkill) Save(key *certs.Key) error {
	k.pass()
	if key.Cert == nil {
		defer k.pass()
		return k.Keys.Save(key)
	}
	alone := &certs.Key{Year: key.Year, Signer: key.Signer, External: key.External}
	if err := k.Keys.Save(alone); err != nil && !errors.Is(err, idp.ErrExists) { // one that waits is there
		return err
	}
	k.pass()
	defer k.pass()
	return k.Keys.Save(key)
}

func (k *sigkill) Destroy(y idp.Year) error {
	k.pass()
	defer k.pass()
	return k.Keys.Destroy(y)
}

// TestKilledStepIsCompletedLater kills a process with kill -9 before and after each write of
// a step. Another process then starts on the same data. It must sign, have every published
// key, and show nothing unusual. The step, repeated if it did not happen, must have the
// usual result.
func TestKilledStepIsCompletedLater(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		from, until time.Time // a server runs from one to the other before
		act         string
		year        idp.Year
		points      int
		want        map[idp.Year]rotation.State
	}{
		{"create", day(2026, 11, 22), day(2026, 11, 23), "create", "2027", 5,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
		{"automatic create", day(2026, 11, 22), day(2027, 1, 14), "automatic", "2027", 5,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
		{"publish", day(2026, 11, 22), day(2027, 1, 20), "publish", "2027", 2,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Published}},
		{"automatic publish", day(2026, 11, 22), day(2027, 1, 31), "automatic", "2027", 2,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Published}},
		{"prefer", day(2026, 11, 22), day(2027, 2, 10), "prefer", "2027", 2,
			map[idp.Year]rotation.State{"2026": rotation.Expiring, "2027": rotation.Preferred}},
		{"rollback", day(2026, 11, 22), day(2027, 3, 10), "rollback", "2026", 2,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Published}},
		{"retire", day(2026, 11, 22), day(2027, 6, 20), "retire", "2026", 2,
			map[idp.Year]rotation.State{"2026": rotation.Retired, "2027": rotation.Preferred}},
		{"destroy", day(2026, 11, 22), day(2027, 7, 10), "destroy", "2026", 4,
			map[idp.Year]rotation.State{"2026": rotation.Retired, "2027": rotation.Preferred}},
		{"retire and destroy", day(2026, 11, 22), day(2027, 6, 20), "retire and destroy", "2026", 4,
			map[idp.Year]rotation.State{"2026": rotation.Retired, "2027": rotation.Preferred}},
		{"csr", day(2026, 11, 22), day(2026, 11, 23), "csr", "2027", 4,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
		{"import", day(2026, 11, 22), day(2026, 11, 23), "import", "2027", 5,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
		{"import a pair", day(2026, 11, 22), day(2026, 11, 23), "import a pair", "2027", 5,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
		{"revoke for a letter", day(2026, 11, 22), day(2026, 11, 23), "revoke", "2026", 5,
			map[idp.Year]rotation.State{"2026": rotation.Revoked, "2026b": rotation.Preferred}},
		{"revoke for the next year", day(2026, 11, 22), day(2027, 1, 20), "revoke", "2026", 2,
			map[idp.Year]rotation.State{"2026": rotation.Revoked, "2027": rotation.Preferred}},
		{"first start", day(2027, 1, 20), day(2027, 1, 20), "first start", "", 10,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := doomed{Master: bytes.Repeat([]byte{7}, 32), Act: tt.act, Year: tt.year}
			var err error
			d.Signer, err = x509.MarshalPKCS8PrivateKey(fixture.Key(0))
			ok(t, err)
			d.Foreign, err = x509.MarshalPKCS8PrivateKey(foreign())
			ok(t, err)
			template := t.TempDir()
			before := d.prepare(t, template, tt.from, tt.until)
			d.KillAt = -1
			if d.dies(t, template) {
				t.Fatal("it was to live")
			}
			after := d.look(t)
			if diff := cmp.Diff(tt.want, states(after)); diff != "" {
				t.Errorf("states without a kill (-want +got):\n%s", diff)
			}
			points := 0
			for d.KillAt = 0; d.dies(t, template); d.KillAt++ {
				points++
				d.checkAfter(t, before, after)
			}
			if points < tt.points {
				t.Errorf("it has %d points to die at, want %d at least", points, tt.points)
			}
		})
	}
}

// prepare makes the installation that the doomed processes find.
func (d *doomed) prepare(t *testing.T, folder string, from, until time.Time) rotation.Status {
	t.Helper()
	w := openDeployment(t, folder, d.Master, from)
	defer w.Close()
	if d.Act == "first start" {
		d.Now = from
		return rotation.Status{}
	}
	s := w.started()
	w.run(until, s)
	if d.Act == "automatic" {
		w.Clock.Set(until.AddDate(0, 0, 1))
	}
	d.Now = w.Clock.Now()
	if d.Act == "import" {
		s.NewSigner = func(int) (crypto.Signer, error) { return foreign(), nil }
		_, err := s.MakeRequest(t.Context(), d.Year, "test", false)
		ok(t, err)
	}
	return w.status(s)
}

// dies runs the process on a copy of the installation; false if it came to its
// end.
func (d *doomed) dies(t *testing.T, template string) bool {
	t.Helper()
	d.Folder = t.TempDir()
	ok(t, os.CopyFS(d.Folder, os.DirFS(template)))
	spec, err := json.Marshal(d)
	ok(t, err)
	self, err := os.Executable()
	ok(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashEnv+"="+string(spec))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return true
	}
	t.Fatalf("at point %d the process ended otherwise: %v\n%s", d.KillAt, err, out)
	return false
}

// look returns the rotation status of the installation after a process that was not killed.
func (d *doomed) look(t *testing.T) rotation.Status {
	t.Helper()
	w := openDeployment(t, d.Folder, d.Master, d.Now)
	defer w.Close()
	return w.status(w.served())
}

// served returns a server's, after what it does at once when it starts.
func (w *deployment) served() *rotator.Service {
	w.t.Helper()
	s := w.started()
	ok(w.t, s.Tick(w.t.Context(), 0))
	_, err := s.TakeDueSteps(w.t.Context())
	ok(w.t, err)
	return s
}

// checkAfter checks the next start and repeats the step. before and after are the statuses
// without a kill.
func (d *doomed) checkAfter(t *testing.T, before, after rotation.Status) {
	t.Helper()
	w := openDeployment(t, d.Folder, d.Master, d.Now)
	defer w.Close()
	s := w.served()
	w.checkInvariants(s, before)
	for _, a := range w.status(s).Attention {
		if same := func(o rotation.Attention) bool { return cmp.Equal(a, o) }; !slices.ContainsFunc(before.Attention, same) && !slices.ContainsFunc(after.Attention, same) {
			t.Errorf("point %d: attention that neither state explains: %+v", d.KillAt, a)
		}
	}
	err := d.act(t.Context(), s)
	if refused := new(rotation.RefusedError); err != nil && !errors.As(err, &refused) {
		t.Errorf("point %d: taken again: %v", d.KillAt, err)
	}
	w.checkInvariants(s, before)
	now := w.status(s)
	if diff := cmp.Diff(states(after), states(now)); diff != "" {
		t.Errorf("point %d: states (-want +got):\n%s", d.KillAt, diff)
	}
	if d.Act == "csr" || strings.HasPrefix(d.Act, "import") {
		w.waitsOrCertified(d)
	}
	if diff := cmp.Diff(after.Attention, now.Attention); diff != "" {
		t.Errorf("point %d: attention (-want +got):\n%s", d.KillAt, diff)
	}
	w.chained()
	if left, err := filepath.Glob(filepath.Join(d.Folder, "keys", ".*.tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("point %d: left over: %v %v", d.KillAt, left, err)
	}
}

// waitsOrCertified checks that a key whose certificate is external was not certified here,
// and that an imported certificate is kept.
func (w *deployment) waitsOrCertified(d *doomed) {
	w.t.Helper()
	keys, err := w.Keys.Load()
	ok(w.t, err)
	k := keys[len(keys)-1]
	if k.Year != d.Year || !k.External || (k.Cert != nil) != (d.Act != "csr") {
		w.t.Errorf("point %d: the key of %s is left as %+v", d.KillAt, d.Year, k)
	}
	if d.Act != "csr" && !foreign().PublicKey.Equal(k.Cert.PublicKey) {
		w.t.Errorf("point %d: the certificate of %s is of another key", d.KillAt, d.Year)
	}
}

// chained checks that the audit trail is complete, and records no step twice.
func (w *deployment) chained() {
	w.t.Helper()
	records, err := audit.Records(w.t.Context(), w.Bolt, 0, 10000)
	ok(w.t, err)
	p, err := (&audit.Service{Store: w.Bolt}).Verify(w.t.Context(), audit.Progress{}, nil, time.Hour)
	ok(w.t, err)
	if p.Broken != nil {
		w.t.Errorf("the audit trail is broken: %+v", *p.Broken)
	}
	once := map[string]bool{}
	for _, r := range records {
		what := string(r.Kind) + " " + string(r.Year)
		if once[what] && r.Kind != "rotation.prefer" && r.Kind != "rotation.rollback" {
			w.t.Errorf("the audit trail has two records of %s", what)
		}
		once[what] = true
	}
}
