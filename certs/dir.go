package certs

import (
	"bytes"
	"cmp"
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
//	2026.key    PKCS#8 private key, sealed with the context "key/2026", or with
//	            "key/2026/elsewhere" if its certificate comes from elsewhere; 0600
//	2026.token  instead of it: public half of a private key in the Vault, PEM
//	2026.crt    certificate, PEM
//
// They are written once and never replaced; the private key is removed at the
// end (Destroy). The private key is written first:
// after a crash between the two there is a key without a certificate, which is
// a year in the state Created and can be completed (Certify, then Save again).
// The other order would leave a certificate alone, and that means a year whose
// key was destroyed. Other files in the folder are ignored.
type Dir struct {
	path   string
	sealer idp.Sealer
	vault  Vault
}

// The endings of file names.
const (
	extKey   = ".key"
	extToken = ".token"
	extCert  = ".crt"
)

// OpenDir names the folder. It is read and made only when it is used.
func OpenDir(path string, s idp.Sealer) *Dir { return &Dir{path: path, sealer: s} }

// WithVault is the same folder for an installation in which a Vault keeps some
// of the private keys.
func (d *Dir) WithVault(v Vault) *Dir { return &Dir{path: d.path, sealer: d.sealer, vault: v} }

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
	if _, err := os.Lstat(d.file(k.Year, extCert)); err == nil {
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
	return writeNew(d.file(k.Year, extCert), text)
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
		switch {
		case ext == extCert:
			k.Cert, err = d.loadCert(y)
		case k.Signer != nil:
			err = errors.New("there are two private keys, one in a file and one in a token")
		default:
			err = d.loadSigner(k, ext)
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

func (d *Dir) loadCert(y idp.Year) (*x509.Certificate, error) {
	text, err := os.ReadFile(d.file(y, extCert))
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
	return y, ext, (ext == extKey || ext == extToken || ext == extCert) && y.Valid()
}

// writeNew is durable.WriteNew with our word for a name that is taken.
func writeNew(path string, data []byte) error {
	err := durable.WriteNew(path, data)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", filepath.Base(path), idp.ErrExists)
	}
	return err
}
