package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"vernal/idp"
)

var _ idp.Sealer = (*Ring)(nil)

func testMaster(t *testing.T, fill byte) *Master {
	t.Helper()
	m, err := NewMaster(bytes.Repeat([]byte{fill}, MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sealer is anything here that seals.
type sealer interface {
	Seal(context string, plaintext []byte) []byte
	Open(context string, sealed []byte) ([]byte, error)
}

func sealers(t *testing.T) map[string][2]sealer {
	m := NewMasters(testMaster(t, 1))
	key, _ := m.NewDataKey("c")
	other, _ := m.NewDataKey("c")
	return map[string][2]sealer{
		"data key": {key, other},
		"masters":  {m, NewMasters(testMaster(t, 2))},
		"ring":     {NewRing(NewGeneration(1)), NewRing(NewGeneration(1))},
	}
}

func TestSealedValueOpens(t *testing.T) {
	t.Parallel()
	for name, pair := range sealers(t) {
		k := pair[0]
		for _, plain := range [][]byte{nil, {0}, []byte("secret"), bytes.Repeat([]byte("x"), 1<<16)} {
			sealed := k.Seal("user/1", plain)
			if len(plain) > 1 && bytes.Contains(sealed, plain) {
				t.Errorf("%s: sealed value contains the plaintext", name)
			}
			got, err := k.Open("user/1", sealed)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: Open = %d bytes, %v; want %d bytes", name, len(got), err, len(plain))
			}
		}
		if bytes.Equal(k.Seal("c", []byte("p")), k.Seal("c", []byte("p"))) {
			t.Errorf("%s: sealing twice gives the same value: the nonce is not random", name)
		}
	}
}

// TestChangedSealedValueIsRefused changes every byte of a sealed value, cuts it at
// every place, and opens it with another key and another context.
func TestChangedSealedValueIsRefused(t *testing.T) {
	t.Parallel()
	for name, pair := range sealers(t) {
		sealed := pair[0].Seal("user/1", []byte("secret"))
		refused := func(what string, k sealer, context string, value []byte) {
			t.Helper()
			if got, err := k.Open(context, value); !errors.Is(err, ErrOpen) || got != nil {
				t.Errorf("%s, %s: Open = %q, %v; want ErrOpen", name, what, got, err)
			}
		}
		refused("another key", pair[1], "user/1", sealed)
		refused("another context", pair[0], "user/2", sealed)
		refused("no context", pair[0], "", sealed)
		for i := range sealed {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			refused(fmt.Sprint("byte ", i), pair[0], "user/1", changed)
			refused(fmt.Sprint("cut at ", i), pair[0], "user/1", sealed[:i])
		}
		refused("longer", pair[0], "user/1", append(bytes.Clone(sealed), 0))
	}
}

func TestHashDependsOnContextAndKeys(t *testing.T) {
	t.Parallel()
	r := NewRing(NewGeneration(1))
	for name, hash := range map[string]func(*Ring, string, string) []byte{
		"Hash": func(r *Ring, context, data string) []byte { return r.Hash(context, []byte(data)) },
		"MAC":  func(r *Ring, context, data string) []byte { return r.MAC(context, []byte(data)) },
	} {
		base := hash(r, "ab", "c")
		if len(base) != 32 || !bytes.Equal(base, hash(r, "ab", "c")) {
			t.Fatalf("%s is not a stable hash of 32 bytes: %x", name, base)
		}
		for what, other := range map[string][]byte{
			"data":            hash(r, "ab", "d"),
			"context":         hash(r, "xb", "c"),
			"moved the break": hash(r, "a", "bc"),
			"keys":            hash(NewRing(NewGeneration(1)), "ab", "c"),
		} {
			if bytes.Equal(base, other) {
				t.Errorf("%s: another %s gives the same hash", name, what)
			}
		}
	}
	if bytes.Equal(r.Hash("c", nil), r.MAC("c", nil)) {
		t.Error("a hash for look-ups is a MAC")
	}
}

// TestChangedProtectedRecordIsRefused changes each part of a protected record.
func TestChangedProtectedRecordIsRefused(t *testing.T) {
	t.Parallel()
	r := NewRing(NewGeneration(1))
	for _, content := range []string{"", "x", "content"} {
		protected := r.Protect("kind", []byte("key"), []byte(content))
		got, err := r.Verify("kind", []byte("key"), protected)
		if err != nil || string(got) != content {
			t.Errorf("Verify = %q, %v; want %q", got, err, content)
		}
		refused := func(what string, r *Ring, kind, key string, value []byte) {
			t.Helper()
			if got, err := r.Verify(kind, []byte(key), value); !errors.Is(err, ErrMAC) || got != nil {
				t.Errorf("%s: Verify = %q, %v; want ErrMAC", what, got, err)
			}
		}
		refused("another kind", r, "kinds", "key", protected)
		refused("another key", r, "kind", "kex", protected)
		refused("moved the break", r, "kin", "dkey", protected)
		refused("another ring", NewRing(NewGeneration(1)), "kind", "key", protected)
		for i := range protected {
			changed := bytes.Clone(protected)
			changed[i] ^= 1
			refused(fmt.Sprint("byte ", i), r, "kind", "key", changed)
			refused(fmt.Sprint("cut at ", i), r, "kind", "key", protected[:i])
		}
	}
}

// TestRewrapMovesToNewMasterKey changes the master key step by step: a wrapped key opens
// with the old master key alone, then with either, then with the new one alone.
func TestRewrapMovesToNewMasterKey(t *testing.T) {
	t.Parallel()
	before, after := testMaster(t, 1), testMaster(t, 2)
	m := NewMasters(before)
	sealed := m.Seal("c", []byte("p"))
	opens := func(what string, value []byte, want map[*Master]bool) {
		t.Helper()
		for master, want := range want {
			_, err := NewMasters(master).Open("c", value)
			if (err == nil) != want {
				t.Errorf("%s: Open = %v, want it to open: %v", what, err, want)
			}
		}
	}
	rewrap := func(value []byte, want bool) []byte {
		t.Helper()
		out, changed, err := m.RewrapSealed("c", value)
		if err != nil || changed != want {
			t.Fatalf("RewrapSealed = %v, %v; want changed %v", changed, err, want)
		}
		return out
	}
	opens("before", sealed, map[*Master]bool{before: true, after: false})
	m.Set(before, after)
	both := rewrap(rewrap(sealed, true), false)
	opens("both", both, map[*Master]bool{before: true, after: true})
	opens("made meanwhile", m.Seal("c", nil), map[*Master]bool{before: true, after: true})
	m.Set(after)
	last := rewrap(rewrap(both, true), false)
	opens("after", last, map[*Master]bool{before: false, after: true})
	// The new master key cannot open a copy that was wrapped before the change.
	opens("an old copy", sealed, map[*Master]bool{after: false})
	if _, _, err := m.RewrapSealed("c", sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("RewrapSealed of an old copy = %v, want ErrOpen", err)
	}
}

func TestWrappedMasterOpensUnderItsID(t *testing.T) {
	t.Parallel()
	a, b := testMaster(t, 1), testMaster(t, 2)
	got, err := b.UnwrapMaster(a.ID(), a.WrapFor(b))
	if err != nil || !got.Equal(a) || got.Equal(b) {
		t.Errorf("UnwrapMaster = %v", err)
	}
	if _, err := b.UnwrapMaster(b.ID(), a.WrapFor(b)); !errors.Is(err, ErrOpen) {
		t.Errorf("under another ID: %v, want ErrOpen", err)
	}
}

func TestOlderGenerationVerifiesUntilDropped(t *testing.T) {
	t.Parallel()
	m := NewMasters(testMaster(t, 1))
	first, second := NewGeneration(1), NewGeneration(2)
	r := NewRing(first)
	protected, mac, hash := r.Protect("k", nil, []byte("v")), r.MAC("c", nil), r.Hash("c", nil)
	sealed := r.Seal("c", []byte("p"))
	valid := func() bool {
		_, err := r.Verify("k", nil, protected)
		_, openErr := r.Open("c", sealed)
		if (err == nil) != (openErr == nil) || (err == nil) != r.VerifyMAC("c", nil, mac) {
			t.Error("parts of one generation differ")
		}
		return err == nil
	}
	r.Set(first, second)
	if !valid() || r.IsNewest(protected) || bytes.Equal(r.Hash("c", nil), hash) || !bytes.Equal(r.OlderHashes("c", nil)[0], hash) {
		t.Error("the generation before is not accepted, or still used")
	}
	if r.Set(second); valid() || len(r.OlderHashes("c", nil)) != 0 {
		t.Error("the generation before is still accepted")
	}
	again, err := OpenGeneration(1, first.Wrap(m), m)
	if err != nil {
		t.Fatal(err)
	}
	if r.Set(again); !valid() {
		t.Error("a generation that was wrapped is another one")
	}
	if _, err := OpenGeneration(2, first.Wrap(m), m); !errors.Is(err, ErrOpen) {
		t.Errorf("under another number: %v, want ErrOpen", err)
	}
}

// TestSealedFormIsStable opens what an earlier build wrote. Another derivation would lose
// everything that installations have.
func TestSealedFormIsStable(t *testing.T) {
	t.Parallel()
	m := testMaster(t, 7)
	if got := m.ID(); got != "854e5fb9fe26deaf" {
		t.Errorf("ID = %s", got)
	}
	sealed, err := hex.DecodeString("030201854e5fb9fe26deaf0152fbd018fefacd09dcb1b88180aca4c6a2852cd9ba202d3c5be86583d0ebc1d880c1849cdbc6f85d27b114dd6f5ffd8ebe92d7b06cb63057e900e4bc0195fff4ab0d3525f33aef47dbb3062d0d811c59ee1683fc7aa30c357b4adc3417ce9a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := NewMasters(m).Open("user/1", sealed); err != nil || string(got) != "secret" {
		t.Errorf("Open of a stored value = %q, %v", got, err)
	}
	g := &Generation{Number: 3, keys: [3][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32)}}
	r := NewRing(g.initMACs())
	for what, got := range map[string]string{
		"b15ec8361084c7b758c1b1647a2a409ec45513e7b9a0f6c05870885b3160ccf2": hex.EncodeToString(r.Hash("email", []byte("a@b.example"))),
		"7603770da7947aa0c380329dbf3c8c32d7df":                             hex.EncodeToString(r.Protect("k", []byte("key"), []byte("v"))),
		"6d25bdb6b5820695078901743de69f16cf18bc4c5cf2d41f3ef014e775a9c05e": hex.EncodeToString(r.MAC("c", []byte("d"))),
	} {
		if got != what {
			t.Errorf("got %s, want %s", got, what)
		}
	}
}

func TestKeysAreNeverPrinted(t *testing.T) {
	t.Parallel()
	m := testMaster(t, 'K')
	g := NewGeneration(1)
	key, _ := NewMasters(m).NewDataKey("c")
	for _, k := range []any{m, g, NewRing(g), key} {
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, nil)).Info("x", "key", k)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", "key", k)
		fmt.Fprintf(&buf, "%v %+v %#v %s %x", k, k, k, k, k)
		for _, secret := range append(g.keys[:], m.secret) {
			if bytes.Contains(buf.Bytes(), []byte(hex.EncodeToString(secret))) || bytes.Contains(buf.Bytes(), secret) ||
				bytes.Contains(buf.Bytes(), []byte(fmt.Sprint(secret))) {
				t.Errorf("output of %T shows a key: %s", k, buf.String())
			}
		}
	}
}

func TestNewMasterRefusesOtherSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := NewMaster(make([]byte, n)); err == nil {
			t.Errorf("NewMaster took %d bytes", n)
		}
	}
}

// FuzzOpen opens what a writer of the store or of a cookie might put there.
func FuzzOpen(f *testing.F) {
	m, err := NewMaster(bytes.Repeat([]byte{1}, MasterSize))
	if err != nil {
		f.Fatal(err)
	}
	masters, ring := NewMasters(m), NewRing(NewGeneration(1))
	for _, seed := range [][]byte{masters.Seal("c", []byte("p")), masters.Wrap("c", newKey()), ring.Seal("c", nil), ring.Protect("c", nil, nil), {formEnvelope, formWrapped, 255}} {
		f.Add(seed)
		f.Add(seed[:len(seed)-1])
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, err := range []error{
			second(masters.Open("x", value)), second(masters.Unwrap("x", value)), second(ring.Open("x", value)), second(ring.Verify("x", nil, value)),
		} {
			if err == nil {
				t.Error("a value was taken that no one made")
			}
		}
		_, _, err := masters.RewrapSealed("x", value)
		if err == nil && len(value) < 2+slotSize {
			t.Error("an envelope without a slot was taken")
		}
	})
}

func second[T any](_ T, err error) error { return err }
