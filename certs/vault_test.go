package certs

import (
	"crypto"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vernal/idp"
)

// safe is a Vault that keeps one key, and can be away.
type safe struct {
	key  crypto.Signer
	away error
}

func (s *safe) Make(idp.Year, int) (crypto.PublicKey, error) { return s.key.Public(), s.away }
func (s *safe) CheckReady(idp.Year, crypto.PublicKey) error  { return s.away }
func (s *safe) Sign(_ idp.Year, _ crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.away != nil {
		return nil, s.away
	}
	return s.key.Sign(rand.Reader, digest, opts)
}

func (s *safe) Destroy(idp.Year, crypto.PublicKey) error {
	if s.away == nil {
		s.key = nil
	}
	return s.away
}

// TestDirKeepsPublicHalfOfVaultKey checks that a key in a vault has a file with its public
// half only, and exists as long as the vault has it, whether or not the vault can be
// reached.
func TestDirKeepsPublicHalfOfVaultKey(t *testing.T) {
	t.Parallel()
	plain, path := testDir(t)
	vault := &safe{key: testRSA()[0]}
	d := plain.WithVault(vault)
	pub, err := vault.Make("2027", 2048)
	if err != nil {
		t.Fatal(err)
	}
	waits := &Key{Year: "2027", Signer: &VaultKey{Vault: vault, Year: "2027", Pub: pub}, External: true}
	save(t, d, waits)
	k, err := Certify(rand.Reader, waits.Signer, "2027", endOf("2027"), Spec{}, "https://idp.example.gov", at("2027-01-15"))
	if err != nil {
		t.Fatal(err)
	}
	vault.away = errors.New("the cable is cut")
	save(t, d, k)
	save(t, d, madeKey(t, "2026")) // a file beside it
	text, err := os.ReadFile(filepath.Join(path, "2027.token"))
	if err != nil || !strings.Contains(string(text), "PUBLIC KEY") || strings.Contains(string(text), "PRIVATE") {
		t.Errorf("the token's file: %v\n%s", err, text)
	}
	if _, err := os.Stat(filepath.Join(path, "2027.key")); err == nil {
		t.Error("there is a private key in a file")
	}
	keys, err := d.Load()
	if err != nil || len(keys) != 2 || !keys[1].External || !EqualPublic(keys[1].Signer.Public(), pub) || keys[0].External {
		t.Fatalf("loaded %+v, %v", keys, err)
	}
	if _, err := keys[1].Signer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); !errors.Is(err, vault.away) {
		t.Errorf("signed while the vault was away: %v", err)
	}
	if err := d.Destroy("2027"); !errors.Is(err, vault.away) {
		t.Errorf("destroyed while the vault was away: %v", err)
	}
	if keys, err := d.Load(); err != nil || keys[1].Signer == nil {
		t.Errorf("the key is forgotten while the vault has it: %v", err)
	}
	if _, err := plain.Load(); !errors.Is(err, ErrNoVault) {
		t.Errorf("loaded without the vault: %v", err)
	}
	vault.away = nil
	if err := errors.Join(d.Destroy("2027"), d.Destroy("2027")); err != nil || vault.key != nil {
		t.Errorf("destroy: %v, key left: %v", err, vault.key != nil)
	}
	if keys, err := plain.Load(); err != nil || keys[1].Signer != nil || keys[1].Cert == nil {
		t.Errorf("after its end: %+v, %v", keys, err)
	}
}

// TestKeyFileRecordsExternalCertificate checks that the key file records that its certificate
// is external, and still does after the certificate was imported.
func TestKeyFileRecordsExternalCertificate(t *testing.T) {
	t.Parallel()
	d, path := testDir(t)
	k := madeKey(t, "2027")
	save(t, d, &Key{Year: "2027", Signer: k.Signer, External: true})
	for range 2 {
		keys, err := d.Load()
		if err != nil || len(keys) != 1 || !keys[0].External {
			t.Fatalf("loaded %+v, %v", keys, err)
		}
		if keys[0].Cert == nil {
			save(t, d, k)
		}
	}
	if err := os.Rename(filepath.Join(path, "2027.key"), filepath.Join(path, "2028.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(); err == nil {
		t.Error("a key renamed to another year opens")
	}
}
