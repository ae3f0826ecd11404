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

var _ idp.Sealer = (*Key)(nil)

func testKey(t *testing.T, fill byte) *Key {
	t.Helper()
	k, err := NewKey(bytes.Repeat([]byte{fill}, MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	for _, plain := range [][]byte{nil, {0}, []byte("secret"), bytes.Repeat([]byte("x"), 1<<16)} {
		sealed := k.Seal("user/1", plain)
		if len(plain) > 1 && bytes.Contains(sealed, plain) {
			t.Error("sealed value contains the plaintext")
		}
		got, err := k.Open("user/1", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open = %d bytes, %v; want %d bytes", len(got), err, len(plain))
		}
	}
	if bytes.Equal(k.Seal("c", []byte("p")), k.Seal("c", []byte("p"))) {
		t.Error("sealing twice gives the same value: the nonce is not random")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	sealed := k.Seal("user/1", []byte("secret"))
	flip := func(i int) []byte {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		return b
	}
	tests := []struct {
		name    string
		key     *Key
		context string
		sealed  []byte
	}{
		{"another context", k, "user/2", sealed},
		{"empty context", k, "", sealed},
		{"another master key", testKey(t, 2), "user/1", sealed},
		{"another version", k, "user/1", flip(0)},
		{"nonce changed", k, "user/1", flip(1)},
		{"ciphertext changed", k, "user/1", flip(13)},
		{"tag changed", k, "user/1", flip(len(sealed) - 1)},
		{"cut short", k, "user/1", sealed[:len(sealed)-1]},
		{"version alone", k, "user/1", sealed[:1]},
		{"nothing", k, "user/1", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := tt.key.Open(tt.context, tt.sealed); !errors.Is(err, ErrOpen) || got != nil {
				t.Errorf("Open = %q, %v; want ErrOpen", got, err)
			}
		})
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	base := k.Hash("ab", []byte("c"))
	if len(base) != 32 || !bytes.Equal(base, k.Hash("ab", []byte("c"))) {
		t.Fatalf("Hash is not a stable hash of 32 bytes: %x", base)
	}
	for name, other := range map[string][]byte{
		"data":            k.Hash("ab", []byte("d")),
		"context":         k.Hash("xb", []byte("c")),
		"moved the break": k.Hash("a", []byte("bc")),
		"master key":      testKey(t, 2).Hash("ab", []byte("c")),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("another %s gives the same hash", name)
		}
	}
}

// The derivation must never change: everything sealed before would be lost.
func TestDerivationIsStable(t *testing.T) {
	t.Parallel()
	k := testKey(t, 7)
	const sealed = "014f472e4c3ffa577edcd1a979dabc0286ea187ec1e4c2ff80bcf247bf7ae30f42bbb4"
	b, err := hex.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open("user/1", b); err != nil || string(got) != "secret" {
		t.Errorf("Open of a stored value = %q, %v", got, err)
	}
	if got := hex.EncodeToString(k.Hash("email", []byte("a@b.example"))); got != "9ded29524a3400696a0ecf35adefec8f7be5b5d8459a2465667b8afa0974f0f5" {
		t.Errorf("Hash = %s", got)
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	k := testKey(t, 'K')
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("x", "key", k)
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", "key", k)
	fmt.Fprintf(&buf, "%v %+v %#v %s %x", k, k, k, k, k)
	for _, secret := range []string{hex.EncodeToString(k.mac), fmt.Sprint(k.mac), string(k.mac)} {
		if bytes.Contains(buf.Bytes(), []byte(secret)) {
			t.Errorf("output shows the key: %s", buf.String())
		}
	}
}

func TestNewKeySize(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := NewKey(make([]byte, n)); err == nil {
			t.Errorf("NewKey took %d bytes", n)
		}
	}
}
