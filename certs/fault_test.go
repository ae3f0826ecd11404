package certs

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

// otherKey is a key of the year that is not the recorded one.
func otherKey(t *testing.T, y idp.Year) *Key {
	t.Helper()
	k, err := Certify(bytes.NewReader(make([]byte, 1024)), testRSA()[1], y, DefaultPolicy(), "https://other.example", at("2026-01-15"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// recordedWith is a world on 15 February 2027, with 2026 preferred and 2027
// published, whose history records the keys.
func recordedWith(t *testing.T, keys ...*Key) *world {
	t.Helper()
	w := firstStart(t, "2026-11-22").run("2027-02-15")
	w.log = nil
	for _, k := range keys {
		w.h = w.h.edit(k.Year, func(r *Record) { r.recordIdentity(CertSHA256(k.Cert), PublicKeySHA256(k.public()[0])) })
	}
	return w
}

func TestFaults(t *testing.T) {
	t.Parallel()
	k := madeKey(t, "2027")
	other := otherKey(t, "2027")
	// The same key can get another certificate: that is another one all the same.
	renewed, err := CertifyUntil(bytes.NewReader(bytes.Repeat([]byte{7}, 1024)), k.Signer, "2027", k.Cert.NotAfter, DefaultPolicy(), "https://idp.example.gov", at("2027-01-16"))
	if err != nil {
		t.Fatal(err)
	}
	waiting := func(r *Record) { r.CertificateSHA256, r.CertEndAt = "", time.Time{} }
	old := func(r *Record) { r.CertificateSHA256, r.PublicKeySHA256 = "", "" }
	tests := []struct {
		name    string
		key     *Key
		edit    func(*Record)
		damaged bool
		want    KeyFault
	}{
		{name: "the recorded key", key: k},
		{name: "nothing", want: KeyMissing},
		{name: "certificate alone", key: &Key{Year: "2027", Cert: k.Cert}, want: KeyMissing},
		{name: "private key alone", key: &Key{Year: "2027", Signer: k.Signer}, want: CertMissing},
		{name: "another key", key: other, want: KeyDiffers},
		{name: "another private key alone", key: &Key{Year: "2027", Signer: other.Signer}, want: KeyDiffers},
		{name: "another certificate alone", key: &Key{Year: "2027", Cert: other.Cert}, want: KeyDiffers},
		{name: "another certificate of the key", key: renewed, want: KeyDiffers},
		{name: "damaged", damaged: true, want: KeyDamaged},
		{name: "damaged, with a certificate", key: &Key{Year: "2027", Cert: k.Cert}, damaged: true, want: KeyDamaged},
		{name: "damaged in the folder, intact in memory", key: k, damaged: true},
		{name: "waits, with its key", key: &Key{Year: "2027", Signer: k.Signer}, edit: waiting},
		{name: "waits, without", edit: waiting, want: KeyMissing},
		{name: "waits, another key", key: &Key{Year: "2027", Signer: other.Signer}, edit: waiting, want: KeyDiffers},
		{name: "recorded without digests", key: k, edit: old, want: KeyDiffers},
		{name: "retired, nothing", edit: func(r *Record) { r.RetiredAt = at("2027-02-01") }},
		{name: "revoked, another key", key: other, edit: func(r *Record) { r.RevokedAt = at("2027-02-01") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := recordedWith(t, k).h
			if tt.edit != nil {
				h = h.edit("2027", tt.edit)
			}
			var keys []*Key
			if tt.key != nil {
				keys = append(keys, tt.key)
			}
			var damaged []DamagedYear
			if tt.damaged {
				damaged = append(damaged, DamagedYear{Year: "2027"})
			}
			if got := h.Faults(keys, damaged)["2027"]; got != tt.want {
				t.Errorf("fault %q, want %q", got, tt.want)
			}
		})
	}
}

// What is left of a key signs only for a year that may sign, and shows only a
// recorded certificate.
func TestUsable(t *testing.T) {
	t.Parallel()
	k, other := madeKey(t, "2027"), otherKey(t, "2027")
	tests := []struct {
		name         string
		key          *Key
		edit         func(*Record)
		signer, cert bool
	}{
		{"the recorded key", k, nil, true, true},
		{"another key", other, nil, false, false},
		{"certificate alone", &Key{Year: "2027", Cert: k.Cert}, nil, false, true},
		{"private key alone", &Key{Year: "2027", Signer: k.Signer}, nil, false, false},
		{"revoked", k, func(r *Record) { r.RevokedAt = at("2027-02-01") }, false, true},
		{"retired", k, func(r *Record) { r.RetiredAt = at("2027-02-01") }, false, true},
		{"destroyed", k, func(r *Record) { r.RetiredAt, r.KeyDestroyedAt = at("2027-02-01"), at("2027-02-01") }, false, true},
		{"revoked, another certificate", other, func(r *Record) { r.RevokedAt = at("2027-02-01") }, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := recordedWith(t, k).h
			if tt.edit != nil {
				h = h.edit("2027", tt.edit)
			}
			stray := madeKey(t, "2031")
			usable := h.Usable([]*Key{tt.key, stray})
			if got := yearsOfKeys(usable); !slices.Equal(got, []idp.Year{"2026", "2027", "2031"}) || usable[2] != stray {
				t.Fatalf("years %v, want every recorded one and the stray", got)
			}
			if got := usable[1]; (got.Signer != nil) != tt.signer || (got.Cert != nil) != tt.cert {
				t.Errorf("private key %v, certificate %v; want %v, %v", got.Signer != nil, got.Cert != nil, tt.signer, tt.cert)
			}
			if same := usable[1] == tt.key; same != (tt.signer == (tt.key.Signer != nil) && tt.cert == (tt.key.Cert != nil)) {
				t.Errorf("the same pointer: %v", same)
			}
		})
	}
}

func yearsOfKeys(keys []*Key) (years []idp.Year) {
	for _, k := range keys {
		years = append(years, k.Year)
	}
	return years
}

// The Ring closes whatever is wrong with the keys, and a faulty year is neither
// live nor preferred.
func TestRingClosesFaultyYears(t *testing.T) {
	t.Parallel()
	k26, k27 := madeKey(t, "2026"), madeKey(t, "2027")
	w := recordedWith(t, k26, k27)
	r := NewRing(w.p)
	if err := r.SetHistory(w.h, []*Key{k26}); err != nil {
		t.Fatal(err)
	}
	e, found := r.Lookup("2027", w.now)
	if !found || !e.Closed() || e.Fault != KeyMissing || e.State != Published || e.Key == nil || e.CertExpired(w.now) {
		t.Errorf("2027: %+v, %v; want it closed", e, found)
	}
	if live := yearsOf(r.Live(w.now)); !slices.Equal(live, []idp.Year{"2026"}) {
		t.Errorf("live: %v", live)
	}
	// 2026 goes, and 2027 has no key yet: the Ring follows all the same.
	w.hand("revoke 2026")
	err := r.SetHistory(w.h, []*Key{k26})
	var unusable *UnusableKeyError
	if !errors.Is(err, ErrNoSigner) || !errors.As(err, &unusable) || unusable.Year != "2027" || unusable.Fault != KeyMissing {
		t.Errorf("SetHistory = %v", err)
	}
	if e, _ := r.Lookup("2026", w.now); e.State != Revoked || e.Key.Signer != nil || e.Key.Cert == nil {
		t.Errorf("2026: %+v", e)
	}
	if _, err := r.Preferred(w.now); !errors.Is(err, ErrNoSigner) || len(r.Live(w.now)) > 0 {
		t.Errorf("Preferred = %v", err)
	}
	if err := r.SetHistory(w.h, []*Key{k26, k27}); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Preferred(w.now); err != nil || e.Key != k27 {
		t.Errorf("Preferred = %v, %v; want the same key as given", e.Year(), err)
	}
	for _, e := range r.All(w.now) {
		if e.State.Over() && e.Key.Signer != nil {
			t.Errorf("%s can sign", e.Year())
		}
	}
}

// Steps that rely on the key of a year are refused because of it; those that end
// the year are not.
func TestStepsRefuseFaultyYear(t *testing.T) {
	t.Parallel()
	k26, k27 := madeKey(t, "2026"), madeKey(t, "2027")
	preferred := func(w *world) { w.hand("prefer 2027") }
	unpublished := func(w *world) {
		w.h = w.h.edit("2027", func(r *Record) { r.PublishedAt = time.Time{} })
	}
	other := otherKey(t, "2027")
	waiting := func(w *world) {
		w.h = w.h.edit("2027", func(r *Record) { r.PublishedAt, r.CertEndAt, r.CertificateSHA256 = time.Time{}, time.Time{}, "" })
	}
	bring := func(k *Key) Step {
		return Step{Kind: StepImport, Year: "2027", CertEndAt: k.Cert.NotAfter, CertificateSHA256: CertSHA256(k.Cert), PublicKeySHA256: PublicKeySHA256(k.Signer.Public())}
	}
	tests := []struct {
		name   string
		before func(*world)
		faulty idp.Year // "": none
		step   Step
		want   ReasonCode
	}{
		{"publish", unpublished, "2027", Step{Kind: StepPublish, Year: "2027"}, ReasonCode(KeyMissing)},
		{"prefer", nil, "2027", Step{Kind: StepPrefer, Year: "2027"}, ReasonCode(KeyMissing)},
		{"rollback", preferred, "2026", Step{Kind: StepRollback, Year: "2026"}, ReasonCode(KeyMissing)},
		{"create", nil, "2027", Step{Kind: StepCreate, Year: "2027", CertEndAt: at("2028-04-01")}, ReasonCode(KeyMissing)},
		{"csr", waiting, "2027", Step{Kind: StepCSR, Year: "2027"}, ReasonCode(KeyMissing)},
		{"import of another pair, the key lost", waiting, "2027", bring(other), ReasonCode(KeyMissing)},
		{"import of another pair, the key there", waiting, "", bring(other), RefusedOtherKey},
		{"import of the recorded pair, the key lost", waiting, "2027", bring(k27), ""},
		{"import of the recorded pair", waiting, "", bring(k27), ""},
		{"create of another certificate", nil, "", Step{Kind: StepCreate, Year: "2027", CertEndAt: at("2028-04-01"), CertificateSHA256: CertSHA256(other.Cert)}, RefusedOtherKey},
		{"revoke", nil, "2027", Step{Kind: StepRevoke, Year: "2027", Reason: "lost"}, ""},
		{"revoke the preferred", nil, "2026", Step{Kind: StepRevoke, Year: "2026", Reason: "lost"}, ""},
		{"prefer another", nil, "2026", Step{Kind: StepPrefer, Year: "2027"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := recordedWith(t, k26, k27)
			if tt.before != nil {
				tt.before(w)
			}
			if tt.faulty != "" {
				w.h = w.h.WithFaults(map[idp.Year]KeyFault{tt.faulty: KeyMissing})
			}
			before := w.h
			_, err := w.p.Take(tt.step, w.h, w.now)
			var refused *RefusedError
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (!errors.As(err, &refused) || refused.Because.Code != tt.want):
				t.Errorf("%v, want a refusal because of %s", err, tt.want)
			}
			if diff := cmp.Diff(before, w.h); diff != "" {
				t.Errorf("the history changed:\n%s", diff)
			}
		})
	}
}

// A year without its key takes over from no other: its next letter is made.
func TestRevokePassesFaultyHeir(t *testing.T) {
	t.Parallel()
	w := recordedWith(t)
	w.h = w.h.WithFaults(map[idp.Year]KeyFault{"2027": KeyMissing})
	steps, err := w.p.RevokeSteps(w.h, "2026", "leaked", w.now)
	if err != nil || len(steps) != 2 || steps[0].Year != "2026b" || steps[0].Kind != StepCreate {
		t.Errorf("%+v, %v; want 2026b created first", steps, err)
	}
}

// Automatic mode waits with a year that has lost its key, and says so.
func TestAutomaticHoldsFaultyYear(t *testing.T) {
	t.Parallel()
	w := recordedWith(t)
	faults := map[idp.Year]KeyFault{"2027": KeyMissing}
	w.h = w.h.WithFaults(faults)
	w.wantAttention(t, "signing_key_unusable 2027")
	w.run("2027-03-02")
	w.wantLog(t)
	w.wantAttention(t, "signing_key_unusable 2027", "step_held 2027")
	if st := w.p.Status(w.h, w.now, nil); st.Years[1].Live || !st.Years[0].Live {
		t.Error("a closed year is shown as live")
	}
	w.h = w.h.WithFaults(nil)
	w.auto()
	w.wantLog(t, "2027-03-02 prefer 2027")
}

func TestAdoptIdentities(t *testing.T) {
	t.Parallel()
	k, other := madeKey(t, "2027"), otherKey(t, "2027")
	id := func(k *Key) [2]string { return [2]string{CertSHA256(k.Cert), PublicKeySHA256(k.Signer.Public())} }
	pub := [2]string{"", PublicKeySHA256(k.Signer.Public())}
	certEnd := k.Cert.NotAfter
	tests := []struct {
		name   string
		record Record
		key    *Key
		want   [2]string
	}{
		{"recorded without digests", Record{CertEndAt: certEnd}, k, [2]string{}},
		{"recorded without digests, key alone", Record{CertEndAt: certEnd}, &Key{Year: "2027", Signer: k.Signer}, [2]string{}},
		{"waits", Record{}, &Key{Year: "2027", Signer: k.Signer}, pub},
		{"recorded, the same", Record{CertEndAt: certEnd, CertificateSHA256: id(k)[0], PublicKeySHA256: id(k)[1]}, k, id(k)},
		{"recorded, another", Record{CertEndAt: certEnd, CertificateSHA256: id(k)[0], PublicKeySHA256: id(k)[1]}, other, id(k)},
		{"waits, its certificate came", Record{PublicKeySHA256: pub[1]}, k, id(k)},
		{"waits, another pair came", Record{PublicKeySHA256: pub[1]}, other, pub},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.record.Year, tt.record.CreatedAt = "2027", at("2027-01-15")
			h := History{Records: []Record{tt.record}}
			h = DefaultPolicy().Adopt(h, []Made{tt.key.Made()}, at("2027-02-15"))
			if got := [2]string{h.Records[0].CertificateSHA256, h.Records[0].PublicKeySHA256}; got != tt.want {
				t.Errorf("recorded %v, want %v", got, tt.want)
			}
			if tt.want == pub && !h.Records[0].CertEndAt.IsZero() {
				t.Error("another certificate than that of the waiting key was recorded")
			}
		})
	}
}

// A certificate without a key is a year of before only where nothing is
// recorded; otherwise it is a stray file.
func TestAdoptIgnoresStrayCertificate(t *testing.T) {
	t.Parallel()
	w := recordedWith(t)
	stray := &Key{Year: "2031", Cert: madeKey(t, "2031").Cert}
	if h := w.p.Adopt(w.h, []Made{stray.Made()}, w.now); len(h.Records) != len(w.h.Records) {
		t.Errorf("records: %+v", h.Records)
	}
}

// The digests go through JSON; every earlier history has none.
func TestIdentitiesInJSON(t *testing.T) {
	t.Parallel()
	h := recordedWith(t, madeKey(t, "2027")).h
	doc, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back History
	if err := json.Unmarshal(doc, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, back); diff != "" || h.Records[1].CertificateSHA256 == "" {
		t.Errorf("%s", diff)
	}
}

// One damaged year does not take the others down, and a year is read alone.
func TestLoadBesideDamagedYear(t *testing.T) {
	t.Parallel()
	cert := madeKey(t, "2031")
	tests := []struct {
		name  string
		files map[string]string
		cert  bool
	}{
		{"stray certificate", map[string]string{"2031.crt": ""}, false},
		{"stray key", map[string]string{"2031.key": "x"}, false},
		{"two private keys", map[string]string{"2031.key": "x", "2031.token": "x"}, false},
		{"key under another name", map[string]string{"2031.key": "2026.key", "2031.crt": "2031.crt"}, true},
		{"another pair's certificate", map[string]string{"2031.key": "2031.key", "2031.crt": "2026.crt"}, true},
		{"a folder in its place", map[string]string{"2031.key/x": ""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source, from := testDir(t)
			save(t, source, otherKey(t, "2026"))
			save(t, source, cert)
			d, path := testDir(t)
			save(t, d, madeKey(t, "2026"))
			save(t, d, madeKey(t, "2027"))
			for name, content := range tt.files {
				data, err := os.ReadFile(filepath.Join(from, content))
				if content == "" || err != nil {
					data = []byte(content)
				}
				if err := os.MkdirAll(filepath.Dir(filepath.Join(path, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(path, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := d.Load()
			var damaged *DamagedError
			if !errors.As(err, &damaged) || len(damaged.Years) != 1 || damaged.Years[0].Year != "2031" || damaged.Years[0].Err == nil {
				t.Fatalf("Load = %v, want it to name 2031", err)
			}
			if (damaged.Years[0].Cert != nil) != tt.cert {
				t.Errorf("its certificate was read: %v, want %v", damaged.Years[0].Cert != nil, tt.cert)
			}
			if got := yearsOfKeys(keys); !slices.Equal(got, []idp.Year{"2026", "2027"}) || keys[0].Signer == nil || keys[1].Cert == nil {
				t.Errorf("the intact keys: %v", got)
			}
			if _, err := d.LoadYear("2031"); !errors.As(err, &damaged) {
				t.Errorf("LoadYear = %v", err)
			}
			if k, err := d.LoadYear("2027"); err != nil || k.Signer == nil || k.Cert == nil {
				t.Errorf("LoadYear of an intact year: %v", err)
			}
			if k, err := d.LoadYear("2028"); k != nil || err != nil {
				t.Errorf("LoadYear of a year without files: %v, %v", k, err)
			}
			if _, err := d.LoadYear("../2027"); err == nil {
				t.Error("LoadYear read what is no year")
			}
		})
	}
}

// A key that another year has is not imported, although that year has lost it:
// the holder of a revoked key could bring it back as the next year's.
func TestImportRefusesRecordedKeyOfOtherYear(t *testing.T) {
	t.Parallel()
	k := madeKey(t, "2027")
	w := recordedWith(t, k)
	pair, err := Certify(bytes.NewReader(bytes.Repeat([]byte{9}, 1024)), k.Signer, "2028", w.p, "https://idp.example.gov", w.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]*Key{nil, {k}} {
		problems, _ := w.p.CheckImport(Foreign{Year: "2028", Cert: pair.Cert, Public: k.Signer.Public(), Others: keys}, w.h, w.now)
		n := 0
		for _, p := range problems {
			if p.Code == FoundReused {
				n++
			}
		}
		if n != 1 {
			t.Errorf("with %d keys in the folder: %v, want %s once", len(keys), problems, FoundReused)
		}
	}
}

// Whatever keys are lost, automatic mode comes to an end, takes only steps that
// are allowed, and never prefers or publishes a year that cannot sign.
func TestAutomaticWithAnyFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := firstStart(t, "2026-11-22")
		for range rapid.IntRange(1, 8).Draw(t, "months") {
			w.runTo(w.now.AddDate(0, rapid.IntRange(1, 3).Draw(t, "month"), 0))
			faults := map[idp.Year]KeyFault{}
			for _, r := range w.h.Records {
				if rapid.IntRange(0, 3).Draw(t, "lost") == 0 && !r.over() && r.Year != w.h.Preferred {
					faults[r.Year] = KeyMissing
				}
			}
			w.h = w.h.WithFaults(faults)
			if y := w.p.CreateStep(w.h, "2027b", w.now); rapid.IntRange(0, 4).Draw(t, "letter") == 0 {
				_ = w.try(y) // allowed or not
			}
			for _, s := range w.p.Steps(w.h, w.now) {
				if r, _ := w.h.Record(s.Year); r.KeyFault != "" && (s.Kind == StepPublish || s.Kind == StepPrefer) {
					t.Fatalf("%s: %s %s without its key", date(w.now), s.Kind, s.Year)
				}
			}
			w.auto()
			if r, _ := w.h.Record(w.h.Preferred); !r.canSign() {
				t.Fatalf("%s: the preferred year %s cannot sign", date(w.now), r.Year)
			}
			w.p.Plan(w.h, w.now, 4)
		}
	})
}

// Apply, too, never changes a recorded digest.
func TestApplyKeepsIdentity(t *testing.T) {
	t.Parallel()
	k, other := madeKey(t, "2027"), otherKey(t, "2027")
	h := recordedWith(t, k).h.Apply(Step{
		Kind: StepImport, Year: "2027", CertificateSHA256: CertSHA256(other.Cert), PublicKeySHA256: PublicKeySHA256(other.Signer.Public()),
	}, at("2027-02-16"))
	if r, _ := h.Record("2027"); r.CertificateSHA256 != CertSHA256(k.Cert) || r.PublicKeySHA256 != PublicKeySHA256(k.Signer.Public()) {
		t.Errorf("recorded: %+v", r)
	}
}
