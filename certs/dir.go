package certs

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/durable"
)

// Dir is the folder that keeps the years:
//
//	2026.key   PKCS#8 private key, sealed with the context "key/2026"; 0600
//	2026.crt   certificate, PEM
//
// Both are written once and never replaced; the private key is removed at the
// end (Destroy). The private key is written first:
// after a crash between the two there is a key without a certificate, which is
// a year in the state Created and can be completed (Certify, then Save again).
// The other order would leave a certificate alone, and that means a year whose
// key was destroyed. Other files in the folder are ignored.
type Dir struct {
	path   string
	sealer idp.Sealer
}

// OpenDir names the folder. It is read and made only when it is used.
func OpenDir(path string, s idp.Sealer) *Dir { return &Dir{path: path, sealer: s} }

// Save writes the key's files durably: when it returns nil they survive a
// crash. A year that is there already gives idp.ErrExists, except for a private
// key that waits for its certificate: saving the same key with one completes
// it. A key whose parts do not belong together is refused.
func (d *Dir) Save(k *Key) error {
	if err := d.save(k); err != nil {
		return fmt.Errorf("save signing key %s: %w", k.Year, err)
	}
	return nil
}

func (d *Dir) save(k *Key) error {
	if k.Signer == nil {
		return errors.New("no private key")
	}
	if err := k.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	// A certificate is the last thing written, so where one is, the year is
	// complete, or over.
	if _, err := os.Lstat(d.file(k.Year, ".crt")); err == nil {
		return idp.ErrExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.saveSigner(k); err != nil {
		return err
	}
	if k.Cert == nil {
		return nil
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Cert.Raw})
	return writeNew(d.file(k.Year, ".crt"), text)
}

// saveSigner writes the private key, unless the same one waits there already.
func (d *Dir) saveSigner(k *Key) error {
	der, err := x509.MarshalPKCS8PrivateKey(k.Signer)
	if err != nil {
		return err
	}
	err = writeNew(d.file(k.Year, ".key"), d.sealer.Seal(sealContext(k.Year), der))
	if !errors.Is(err, idp.ErrExists) || k.Cert == nil {
		return err
	}
	there, err := d.loadSigner(k.Year)
	if err != nil {
		return err
	}
	if !samePublic(there.Public(), k.Signer.Public()) {
		return fmt.Errorf("another private key waits for its certificate: %w", idp.ErrExists)
	}
	return nil
}

// Destroy removes the private key of a year for good and keeps its certificate.
// A key that is gone already is no error: a destruction cut short can be taken
// again. The file is unlinked, not overwritten; what is in it is sealed.
func (d *Dir) Destroy(y idp.Year) error {
	if !y.Valid() {
		return fmt.Errorf("destroy signing key: %q is not a year", y)
	}
	err := os.Remove(d.file(y, ".key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.SyncDir(d.path)
	}
	if err != nil {
		return fmt.Errorf("destroy signing key %s: %w", y, err)
	}
	return nil
}

// Load reads all years, oldest first; none if there is no folder. A year with a
// certificate alone has no Signer, one with a key alone no Cert. A file that
// cannot be read, or a key and a certificate that do not match, is an error
// that names the year: to go on without it could make another year preferred.
func (d *Dir) Load() ([]*Key, error) {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	years := map[idp.Year]*Key{}
	for _, e := range entries {
		y, ext, ok := fileYear(e.Name())
		if !ok {
			continue
		}
		k := years[y]
		if k == nil {
			k = &Key{Year: y}
			years[y] = k
		}
		if ext == ".key" {
			k.Signer, err = d.loadSigner(y)
		} else {
			k.Cert, err = d.loadCert(y)
		}
		if err != nil {
			return nil, fmt.Errorf("load signing key %s: %w", y, err)
		}
	}
	keys := make([]*Key, 0, len(years))
	for y, k := range years {
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("load signing key %s: %w", y, err)
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b *Key) int { return cmp.Compare(a.Year, b.Year) })
	return keys, nil
}

func (d *Dir) loadSigner(y idp.Year) (crypto.Signer, error) {
	sealed, err := os.ReadFile(d.file(y, ".key"))
	if err != nil {
		return nil, err
	}
	der, err := d.sealer.Open(sealContext(y), sealed)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("private key is not PKCS#8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key of type %T cannot sign", key)
	}
	return signer, nil
}

func (d *Dir) loadCert(y idp.Year) (*x509.Certificate, error) {
	text, err := os.ReadFile(d.file(y, ".crt"))
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want exactly one PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return cert, nil
}

func (d *Dir) file(y idp.Year, ext string) string {
	return filepath.Join(d.path, string(y)+ext)
}

// fileYear takes the name of a file apart; ok is false for one not ours.
func fileYear(name string) (y idp.Year, ext string, ok bool) {
	ext = filepath.Ext(name)
	y = idp.Year(strings.TrimSuffix(name, ext))
	return y, ext, (ext == ".key" || ext == ".crt") && y.Valid()
}

// sealContext ties a sealed private key to its year, so that a file renamed to
// another year does not open.
func sealContext(y idp.Year) string { return "key/" + string(y) }

// writeNew is durable.WriteNew with our word for a name that is taken.
func writeNew(path string, data []byte) error {
	err := durable.WriteNew(path, data)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", filepath.Base(path), idp.ErrExists)
	}
	return err
}
