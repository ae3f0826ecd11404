package rotator_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
	"vernal/idp/store/storetest"
)

// keyFiles are the files of the folder, to lose, replace and restore.
type keyFiles struct {
	t    *testing.T
	path string
	was  map[string][]byte
}

func saveKeyFiles(t *testing.T, folder string) *keyFiles {
	t.Helper()
	f := &keyFiles{t: t, path: filepath.Join(folder, "keys"), was: map[string][]byte{}}
	entries, err := os.ReadDir(f.path)
	ok(t, err)
	for _, e := range entries {
		f.was[e.Name()], err = os.ReadFile(filepath.Join(f.path, e.Name()))
		ok(t, err)
	}
	return f
}

func (f *keyFiles) remove(names ...string) {
	f.t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(f.path, name)); !errors.Is(err, fs.ErrNotExist) {
			ok(f.t, err)
		}
	}
}

func (f *keyFiles) write(name string, data []byte) {
	f.t.Helper()
	ok(f.t, os.MkdirAll(f.path, 0o700))
	ok(f.t, os.WriteFile(filepath.Join(f.path, name), data, 0o600))
}

// restore puts everything back, as from a backup.
func (f *keyFiles) restore() {
	f.t.Helper()
	ok(f.t, os.RemoveAll(f.path))
	for name, data := range f.was {
		f.write(name, data)
	}
}

// replace puts another key and certificate of the year there, sealed with the
// master key.
func (f *keyFiles) replace(y idp.Year, master []byte) {
	f.t.Helper()
	key, err := seal.NewMaster(master)
	ok(f.t, err)
	k, err := certs.Certify(rand.Reader, foreign(), y, rotation.DefaultPolicy().Dates(y).CertEndAt, certs.Spec{}, "https://login.example.gov", day(2026, 1, 15))
	ok(f.t, err)
	f.remove(string(y)+".key", string(y)+".crt")
	ok(f.t, certs.OpenDir(f.path, seal.NewMasters(key)).Save(k))
}

func faultOf(st rotation.Status, y idp.Year) rotation.KeyFault {
	for _, s := range st.Years {
		if s.Year == y {
			return s.KeyFault
		}
	}
	return ""
}

func hasAttention(st rotation.Status, code rotation.AttentionCode, y idp.Year) bool {
	return slices.ContainsFunc(st.Attention, func(a rotation.Attention) bool { return a.Code == code && a.Year == y })
}

// wantFault checks that the step is refused because of the year's key.
func wantFault(t *testing.T, err error, want rotation.KeyFault) {
	t.Helper()
	var refused *rotation.RefusedError
	if !errors.As(err, &refused) || rotation.KeyFault(refused.Reason.Code) != want {
		t.Errorf("%v, want a refusal because of %s", err, want)
	}
}

// losses are the ways in which a year can lose its key.
var losses = []struct {
	name string
	lose func(f *keyFiles, y idp.Year, master []byte)
	want rotation.KeyFault
	cert bool // the recorded certificate is there
}{
	{"the key is lost", func(f *keyFiles, y idp.Year, _ []byte) { f.remove(string(y) + ".key") }, rotation.KeyMissing, true},
	{"the certificate is lost", func(f *keyFiles, y idp.Year, _ []byte) { f.remove(string(y) + ".crt") }, rotation.CertMissing, false},
	{"both are lost", func(f *keyFiles, y idp.Year, _ []byte) { f.remove(string(y)+".key", string(y)+".crt") }, rotation.KeyMissing, false},
	{"another key, sealed with our master key", func(f *keyFiles, y idp.Year, master []byte) { f.replace(y, master) }, rotation.KeyDiffers, false},
	{"another key, sealed with another master key", func(f *keyFiles, y idp.Year, _ []byte) { f.replace(y, make([]byte, 32)) }, rotation.KeyDamaged, false},
	{"the key alone of another installation", func(f *keyFiles, y idp.Year, _ []byte) {
		cert := f.was[string(y)+".crt"]
		f.replace(y, make([]byte, 32))
		f.write(string(y)+".crt", cert)
	}, rotation.KeyDamaged, true},
	{"a damaged certificate", func(f *keyFiles, y idp.Year, _ []byte) { f.write(string(y)+".crt", []byte("x")) }, rotation.KeyDamaged, false},
	{"two private keys", func(f *keyFiles, y idp.Year, _ []byte) { f.write(string(y)+".token", []byte("x")) }, rotation.KeyDamaged, true},
}

// TestLostKeyClosesYear checks that a live year that has lost its key is closed while the
// server serves the others, and that it opens when the recorded key is back.
func TestLostKeyClosesYear(t *testing.T) {
	t.Parallel()
	for _, tt := range losses {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, folder, master := springDeployment(t)
			f := saveKeyFiles(t, folder)
			tt.lose(f, "2027", master)
			s := w.started()
			e, found := s.Ring.Lookup("2027", w.Clock.Now())
			if !found || !e.IsClosed() || e.Fault != tt.want || e.Key.Signer != nil || (e.Key.Cert != nil) != tt.cert {
				t.Errorf("2027: closed %v, %q, private key %v, certificate %v; want %s, certificate %v",
					e.IsClosed(), e.Fault, e.Key.Signer != nil, e.Key.Cert != nil, tt.want, tt.cert)
			}
			if live := s.Ring.Live(w.Clock.Now()); len(live) != 1 || live[0].Year() != "2026" {
				t.Errorf("live: %d years, want 2026 alone", len(live))
			}
			wantPreferred(t, s, "2026", w.Clock.Now())
			st := w.status(s)
			if faultOf(st, "2027") != tt.want || !hasAttention(st, rotation.KeyUnusable, "2027") || hasAttention(st, rotation.KeyUnusable, "2026") {
				t.Errorf("status: %s, attention %+v", faultOf(st, "2027"), st.Attention)
			}
			_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepPrefer, Year: "2027"}, "test", false)
			wantFault(t, err, tt.want)
			_, err = s.MakeRequest(t.Context(), "2027", "test", false)
			wantFault(t, err, tt.want)

			// On the day, 2026 stays preferred.
			w.run(day(2027, 3, 2), s)
			wantPreferred(t, s, "2026", w.Clock.Now())
			f.restore()
			ok(t, s.Tick(t.Context(), time.Minute))
			if e, _ := s.Ring.Lookup("2027", w.Clock.Now()); e.IsClosed() || e.Key.Signer == nil {
				t.Errorf("2027 stays closed: %s", e.Fault)
			}
			if _, err := s.TakeDueSteps(t.Context()); err != nil {
				t.Error(err)
			}
			wantPreferred(t, s, "2027", w.Clock.Now())
			if st := w.status(s); hasAttention(st, rotation.KeyUnusable, "2027") {
				t.Errorf("attention stays: %+v", st.Attention)
			}
		})
	}
}

// TestLostPreferredKeyStopsStart checks that no other year replaces a preferred year that
// has lost its key: nothing is served, and the year can be revoked.
func TestLostPreferredKeyStopsStart(t *testing.T) {
	t.Parallel()
	for _, tt := range losses {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder, master := t.TempDir(), make([]byte, 32)
			rand.Read(master)
			w := openDeployment(t, folder, master, day(2026, 11, 22))
			w.started()
			f := saveKeyFiles(t, folder)
			tt.lose(f, "2026", master)
			for range 2 { // a second start finds what the first one left
				s := w.service()
				err := s.Start(t.Context())
				var unusable *keyring.UnusableKeyError
				if !errors.Is(err, keyring.ErrNoSigner) || !errors.As(err, &unusable) || unusable.Fault != tt.want || unusable.Year != "2026" {
					t.Fatalf("Start = %v, want %s", err, tt.want)
				}
			}
			f.restore()
			wantPreferred(t, w.started(), "2026", w.Clock.Now())
			tt.lose(f, "2026", master)

			s := w.service()
			if err := s.Start(t.Context()); !errors.Is(err, keyring.ErrNoSigner) {
				t.Fatal(err)
			}
			_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "lost"}, "test", false)
			ok(t, err)
			wantPreferred(t, s, "2026b", w.Clock.Now())
			wantPreferred(t, w.started(), "2026b", w.Clock.Now())
		})
	}
}

// TestLostKeyFolderMakesNoYear loses the whole folder: no year is made again, and no year
// without a key takes over.
func TestLostKeyFolderMakesNoYear(t *testing.T) {
	t.Parallel()
	w, folder, _ := springDeployment(t)
	f := saveKeyFiles(t, folder)
	ok(t, os.RemoveAll(f.path))
	s := w.service()
	if err := s.Start(t.Context()); !errors.Is(err, keyring.ErrNoSigner) {
		t.Fatalf("Start = %v, want ErrNoSigner", err)
	}
	if _, err := s.TakeDueSteps(t.Context()); err != nil {
		t.Error(err)
	}
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepCreate, Year: "2026"}, "test", false)
	wantFault(t, err, rotation.KeyMissing)
	if _, err := os.Stat(f.path); err == nil {
		t.Error("a key was made")
	}
	_, err = s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "lost"}, "test", false)
	ok(t, err)
	wantPreferred(t, s, "2026b", w.Clock.Now())
	if st := w.status(s); !hasAttention(st, rotation.KeyUnusable, "2027") {
		t.Errorf("attention: %+v", st.Attention)
	}
}

// TestRollbackRefusesLostKey checks that a rollback does not return to a year without its
// key.
func TestRollbackRefusesLostKey(t *testing.T) {
	t.Parallel()
	w, folder, _ := springDeployment(t)
	w.take(w.started(), rotation.Step{Kind: rotation.StepPrefer, Year: "2027"})
	saveKeyFiles(t, folder).remove("2026.key")
	s := w.started()
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRollback, Year: "2026", Reason: "test"}, "test", false)
	wantFault(t, err, rotation.KeyMissing)
	wantPreferred(t, s, "2027", w.Clock.Now())
}

// TestPublishRefusesLostKey checks that publish does not open a year without its key, by
// hand or on its date.
func TestPublishRefusesLostKey(t *testing.T) {
	t.Parallel()
	folder, master := t.TempDir(), make([]byte, 32)
	w := openDeployment(t, folder, master, day(2027, 1, 20))
	w.started()
	saveKeyFiles(t, folder).remove("2027.key")
	s := w.started()
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepPublish, Year: "2027"}, "test", false)
	wantFault(t, err, rotation.KeyMissing)
	w.run(day(2027, 2, 2), s)
	st := w.status(s)
	if states(st)["2027"] != rotation.Created || !hasAttention(st, rotation.StepHeld, "2027") {
		t.Errorf("2027 is %s; attention %+v", states(st)["2027"], st.Attention)
	}
}

// TestLostWaitingKeyIsNotReplaced checks that another key does not replace a lost key that
// waits for its certificate, because a CA may have its request.
func TestLostWaitingKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lose func(f *keyFiles, master []byte)
		want rotation.KeyFault
	}{
		{"lost", func(f *keyFiles, _ []byte) { f.remove("2027.key") }, rotation.KeyMissing},
		{"another key, sealed with our master key", func(f *keyFiles, master []byte) {
			f.replace("2027", master)
			f.remove("2027.crt")
		}, rotation.KeyDiffers},
		{"another key and certificate", func(f *keyFiles, master []byte) { f.replace("2027", master) }, rotation.KeyDiffers},
		{"damaged", func(f *keyFiles, _ []byte) { f.write("2027.key", []byte("x")) }, rotation.KeyDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder, master := t.TempDir(), make([]byte, 32)
			rand.Read(master)
			w := openDeployment(t, folder, master, day(2026, 11, 22))
			first, err := w.started().MakeRequest(t.Context(), "2027", "test", false)
			ok(t, err)
			f := saveKeyFiles(t, folder)
			running := w.started()
			tt.lose(f, master)
			s := w.started()
			for _, dryRun := range []bool{true, false} {
				_, err = s.MakeRequest(t.Context(), "2027", "test", dryRun)
				wantFault(t, err, tt.want)
				if tt.want != rotation.KeyDamaged {
					_, err = running.MakeRequest(t.Context(), "2027", "test", dryRun)
					wantFault(t, err, tt.want)
				}
			}
			k, err := certs.Certify(rand.Reader, foreign(), "2027", s.Policy.Dates("2027").CertEndAt, certs.Spec{}, s.BaseURL, w.Clock.Now())
			ok(t, err)
			_, err = s.Import(t.Context(), "2027", rotator.Import{Chain: []*x509.Certificate{k.Cert}, Signer: foreign()}, "test", false)
			wantFault(t, err, tt.want)
			if st := w.status(s); !hasAttention(st, rotation.KeyUnusable, "2027") || !st.Years[1].CertEndAt.IsZero() {
				t.Errorf("2027: %+v, attention %+v", st.Years[1], st.Attention)
			}
			f.restore()
			again, err := s.MakeRequest(t.Context(), "2027", "test", false)
			if err != nil || again.IsNewKey || !slices.Equal(again.DER, first.DER) {
				t.Errorf("the request of the restored key: %v, %+v", err, again)
			}
		})
	}
}

// TestImportRefusesOtherKeyOfWaitingYear imports another key pair while a key waits for its
// certificate: a year has a single key.
func TestImportRefusesOtherKeyOfWaitingYear(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	_, err := s.MakeRequest(t.Context(), "2027", "test", false)
	ok(t, err)
	k, err := certs.Certify(rand.Reader, foreign(), "2027", s.Policy.Dates("2027").CertEndAt, certs.Spec{}, s.BaseURL, w.Clock.Now())
	ok(t, err)
	_, err = s.Import(t.Context(), "2027", rotator.Import{Chain: []*x509.Certificate{k.Cert}, Signer: foreign()}, "test", false)
	var refused *rotation.RefusedError
	if !errors.As(err, &refused) || refused.Reason.Code != rotation.RefusedOtherKey {
		t.Errorf("%v, want %s", err, rotation.RefusedOtherKey)
	}
}

// TestLostImportedKeyIsDetected checks that an imported key pair is recorded like one made
// here.
func TestLostImportedKeyIsDetected(t *testing.T) {
	t.Parallel()
	folder, master := t.TempDir(), make([]byte, 32)
	w := openDeployment(t, folder, master, day(2026, 11, 22))
	s := w.started()
	k, err := certs.Certify(rand.Reader, foreign(), "2027", s.Policy.Dates("2027").CertEndAt, certs.Spec{}, s.BaseURL, w.Clock.Now())
	ok(t, err)
	in := rotator.Import{Chain: []*x509.Certificate{k.Cert}, Signer: foreign()}
	_, err = s.Import(t.Context(), "2027", in, "test", false)
	ok(t, err)
	r := w.status(s).Years[1]
	if r.CertificateSHA256 != certs.CertSHA256(k.Cert) || r.PublicKeySHA256 != certs.PublicKeySHA256(foreign().Public()) {
		t.Errorf("recorded: %+v", r.Record)
	}
	saveKeyFiles(t, folder).remove("2027.key", "2027.crt")
	s = w.started()
	if f := faultOf(w.status(s), "2027"); f != rotation.KeyMissing {
		t.Errorf("fault %q", f)
	}
	_, err = s.Import(t.Context(), "2027", in, "test", false)
	wantFault(t, err, rotation.KeyMissing)
}

// identities returns the recorded digests.
func identities(st rotation.Status) map[idp.Year][2]string {
	m := map[idp.Year][2]string{}
	for _, y := range st.Years {
		if !y.CreatedAt.IsZero() {
			m[y.Year] = [2]string{y.CertificateSHA256, y.PublicKeySHA256}
		}
	}
	return m
}

// TestLostStoreAdoptsKeys loses the store and keeps the keys: no history is made up from
// them. Once a further year is made, the keys are recorded as they are, and the newest one
// whose date has come signs.
func TestLostStoreAdoptsKeys(t *testing.T) {
	t.Parallel()
	w, folder, master := springDeployment(t)
	want := identities(w.status(w.started()))
	w.Close()
	ok(t, os.Remove(filepath.Join(folder, "vernal.db")))
	w = openDeployment(t, folder, master, w.Clock.Now())
	s := w.service()
	if err := s.Start(t.Context()); !errors.Is(err, rotator.ErrNoHistory) {
		t.Fatalf("Start = %v", err)
	}
	w.take(s, rotation.Step{Kind: rotation.StepCreate, Year: "2028"})
	st := w.status(w.started())
	if diff := cmp.Diff(map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Published, "2028": rotation.Created}, states(st)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	got := identities(st)
	if len(want) != 2 || want["2026"][0] == "" || got["2026"] != want["2026"] || got["2027"] != want["2027"] {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

// TestLostStoreRefusesDamagedYear loses the store and damages a year: it could be the
// preferred one, so no other takes its place.
func TestLostStoreRefusesDamagedYear(t *testing.T) {
	t.Parallel()
	w, folder, master := springDeployment(t)
	w.Close()
	ok(t, os.Remove(filepath.Join(folder, "vernal.db")))
	ok(t, os.WriteFile(filepath.Join(folder, "keys", "2026.crt"), nil, 0o600))
	w = openDeployment(t, folder, master, w.Clock.Now())
	var damaged *certs.DamagedError
	if err := w.service().Begin(t.Context()); !errors.As(err, &damaged) || damaged.Years[0].Year != "2026" {
		t.Errorf("Start = %v, want it to name 2026", err)
	}
}

// TestStepsRecordIdentities checks that every step that brings a key records it, and that
// faults of one process's folder are not stored.
func TestStepsRecordIdentities(t *testing.T) {
	t.Parallel()
	w, folder, _ := springDeployment(t)
	s := w.started()
	_, err := s.MakeRequest(t.Context(), "2027b", "test", false)
	ok(t, err)
	for y, id := range identities(w.status(s)) {
		if id[1] == "" || (id[0] == "") != (y == "2027b") {
			t.Errorf("%s: recorded %v", y, id)
		}
	}
	saveKeyFiles(t, folder).remove("2027.key")
	s = w.started()
	w.take(s, rotation.Step{Kind: rotation.StepCreate, Year: "2028"})
	doc, err := storetest.LookupDocument(t.Context(), w.Bolt, idp.RotationKind, idp.RotationKey)
	ok(t, err)
	var h rotation.History
	ok(t, json.Unmarshal(doc, &h))
	if r, _ := h.Record("2027"); r.KeyFault != "" {
		t.Errorf("stored: %+v", r)
	}
}

// TestLostFileWhileRunning checks that a file that is lost while the server runs does not
// affect it: the recorded key is in memory.
func TestLostFileWhileRunning(t *testing.T) {
	t.Parallel()
	w, folder, master := springDeployment(t)
	s := w.started()
	f := saveKeyFiles(t, folder)
	f.replace("2027", master)
	w.take(s, rotation.Step{Kind: rotation.StepPrefer, Year: "2027"})
	e, err := s.Ring.Preferred(w.Clock.Now())
	if err != nil || certs.CertSHA256(e.Key.Cert) != identities(w.status(s))["2027"][0] {
		t.Errorf("preferred: %v, %v", e.Year(), err)
	}
}

// foreign is a private key that no year of a test has.
var foreign = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})
