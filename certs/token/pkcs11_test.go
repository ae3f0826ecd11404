//go:build pkcs11 && cgo

package token

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"vernal/idp"
	"vernal/idp/idptest/binary"
)

func open(t *testing.T, h *binary.SoftHSM) *Token {
	t.Helper()
	v, err := Open(Config{Module: h.Module, Label: h.Token, PIN: h.PIN, Installation: "https://login.example.gov"})
	if err != nil {
		t.Fatal(err)
	}
	tok := v.(*Token)
	t.Cleanup(func() {
		if c := tok.conn; c != nil {
			tok.dropConnection(c)
		}
	})
	return tok
}

// signs checks that the key signs and the signature verifies.
func signs(t *testing.T, tok *Token, pub crypto.PublicKey) {
	t.Helper()
	sum := sha256.Sum256([]byte("what is signed"))
	signature, err := tok.Sign("2027", pub, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil {
		t.Error(err)
	}
}

// TestTokenKeyIsMadeAndDestroyedOnce checks that a key is made once, used, and destroyed
// once.
func TestTokenKeyIsMadeAndDestroyedOnce(t *testing.T) {
	h := binary.NewSoftHSM(t)
	tok := open(t, h)
	pub, err := tok.Make("2027", 3072)
	if err != nil {
		t.Fatal(err)
	}
	if bits := pub.(*rsa.PublicKey).N.BitLen(); bits != 3072 {
		t.Errorf("it has %d bits", bits)
	}
	if again, err := tok.Make("2027", 3072); err != nil || !pub.(*rsa.PublicKey).Equal(again) {
		t.Errorf("made again: another key, %v", err)
	}
	signs(t, tok, pub)
	sealed(t, h, "vernal-2027")

	other := open(t, h)
	other.config.Installation = "https://test.example.gov"
	otherPub, err := other.Make("2027", 2048)
	if err != nil || pub.(*rsa.PublicKey).Equal(otherPub) {
		t.Errorf("another installation has the same key: %v", err)
	}
	if err := tok.CheckReady("2027", otherPub); err == nil {
		t.Error("another key under the year's name is ready")
	}
	if err := tok.Destroy("2027", otherPub); err == nil {
		t.Error("another key than the one named is destroyed")
	}
	if err := errors.Join(tok.CheckReady("2027", pub), tok.Destroy("2027", pub), tok.Destroy("2027", pub)); err != nil {
		t.Error(err)
	}
	if err := tok.CheckReady("2027", pub); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := tok.Sign("2027", pub, make([]byte, 32), crypto.SHA256); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("signed after its end: %v", err)
	}
	if err := other.CheckReady("2027", otherPub); err != nil {
		t.Errorf("the other installation's key: %v", err)
	}
}

// sealed checks the attributes of the private key in the token itself.
func sealed(t *testing.T, h *binary.SoftHSM, label string) {
	t.Helper()
	p := pkcs11.New(h.Module) // initialized by the connection that is open
	slots, err := p.GetSlotList(true)
	if err != nil {
		t.Fatal(err)
	}
	session, err := p.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.CloseSession(session) }()
	err = p.FindObjectsInit(session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, _, err := p.FindObjects(session, 2)
	if err != nil || len(keys) != 1 || p.FindObjectsFinal(session) != nil {
		t.Fatalf("%d private keys are called %s: %v", len(keys), label, err)
	}
	for name, want := range map[uint]byte{
		pkcs11.CKA_SENSITIVE: 1, pkcs11.CKA_ALWAYS_SENSITIVE: 1, pkcs11.CKA_EXTRACTABLE: 0, pkcs11.CKA_NEVER_EXTRACTABLE: 1,
		pkcs11.CKA_TOKEN: 1, pkcs11.CKA_LOCAL: 1, pkcs11.CKA_SIGN: 1, pkcs11.CKA_DECRYPT: 0, pkcs11.CKA_UNWRAP: 0,
	} {
		a, err := p.GetAttributeValue(session, keys[0], []*pkcs11.Attribute{pkcs11.NewAttribute(name, nil)})
		if err != nil || len(a[0].Value) != 1 || a[0].Value[0] != want {
			t.Errorf("attribute %#x: %v, %v; want %d", name, a, err, want)
		}
	}
	_, err = p.GetAttributeValue(session, keys[0], []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_PRIVATE_EXPONENT, nil)})
	if code := pkcs11.Error(0); !errors.As(err, &code) || code != pkcs11.CKR_ATTRIBUTE_SENSITIVE {
		t.Errorf("the private exponent is given out: %v", err)
	}
}

// TestSigningSurvivesLostConnection loses the connection in each possible way while other
// goroutines sign. No signature may fail.
func TestSigningSurvivesLostConnection(t *testing.T) {
	h := binary.NewSoftHSM(t)
	tok := open(t, h)
	pub, err := tok.Make("2027", 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := pkcs11.New(h.Module)
	for name, lose := range map[string]func() error{
		"the token was pulled": func() error {
			slots, err := p.GetSlotList(true)
			return errors.Join(err, p.CloseAllSessions(slots[0]))
		},
		"the module ended": p.Finalize,
	} {
		signs(t, tok, pub)
		if err := lose(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				sum := sha256.Sum256([]byte(name))
				signature, err := tok.Sign("2027", pub, sum[:], crypto.SHA256)
				if err == nil {
					err = rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, sum[:], signature)
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
	}
}

// TestWrongPINIsTriedOnce checks that a wrong PIN is tried once, and that a missing token is
// looked for again.
func TestWrongPINIsTriedOnce(t *testing.T) {
	h := binary.NewSoftHSM(t)
	wrong := open(t, h)
	wrong.config.PIN = "0000-guess"
	if _, err := wrong.Make("2027", 2048); !errors.Is(err, ErrPIN) {
		t.Errorf("wrong PIN: %v", err)
	}
	wrong.config.PIN = h.PIN // tried again, it would work
	if _, err := wrong.Make("2027", 2048); !errors.Is(err, ErrPIN) {
		t.Errorf("the PIN was tried again: %v", err)
	}
	away := open(t, h)
	away.config.Label = "another token"
	if _, err := away.Make("2027", 2048); err == nil || errors.Is(err, ErrPIN) {
		t.Errorf("no token: %v", err)
	}
	away.config.Label = h.Token
	away.failedAt = away.failedAt.Add(-retryWait)
	if _, err := away.Make("2027", 2048); err != nil {
		t.Errorf("the token is back: %v", err)
	}
	none := open(t, h)
	none.config.Module = filepath.Join(t.TempDir(), "none.so")
	if _, err := none.Make("2027", 2048); err == nil {
		t.Error("a module that is not there made a key")
	}
}
