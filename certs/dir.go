package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vernal/idp"
	"vernal/idp/durable"
)

// Dir is the folder that keeps the keys of the years:
//
//	2026.key    PKCS#8 private key, sealed with a key of the year's own that is wrapped
//	            beside it; the context is "key/2026", or "key/2026/elsewhere" if its
//	            certificate is external; 0600
//	2026.token  instead of it: public half of a private key in the Vault, PEM
//	2026.crt    certificate, PEM
//
// Files are written once and never replaced, except to seal a private key again (Rewrap,
// Reseal). Destroy removes the private key at the end. The private key is written first: after
// a crash between the two writes, a key without a certificate can be completed (Certify, then
// Save again). The other order would leave a certificate alone, which means that the key was
// destroyed. Other files in the folder are ignored.
//
// The folder alone does not identify the right certificate of a year. History does.
type Dir struct {
	path   string
	sealer Sealer
	vault  Vault
	// fileMu is held while files are written. Otherwise a file could be sealed with a key that
	// Rewrap or Reseal is replacing.
	fileMu *sync.Mutex
}

// Sealer seals each private key with a key of its own, which the master keys in force wrap.
// seal.Masters implements it.
type Sealer interface {
	Seal(context string, plaintext []byte) []byte
	// Open returns an error if the value was not sealed for this context by a master
	// key in force.
	Open(context string, sealed []byte) ([]byte, error)
	// RewrapSealed returns the sealed value for the master keys that are in force
	// now, and whether it changed.
	RewrapSealed(context string, sealed []byte) (out []byte, isChanged bool, err error)
}

// The endings of file names.
const (
	extKey   = ".key"
	extToken = ".token"
	extCert  = ".crt"
)

// OpenDir returns the Dir at path. The folder is read and made only when it is used.
func OpenDir(path string, s Sealer) *Dir {
	return &Dir{path: path, sealer: s, fileMu: new(sync.Mutex)}
}

// WithVault returns the same folder for an installation in which a Vault keeps some of the
// private keys.
func (d *Dir) WithVault(v Vault) *Dir {
	return &Dir{path: d.path, sealer: d.sealer, vault: v, fileMu: d.fileMu}
}

// Save writes the key's files durably: once it returns nil, they survive a crash. It returns
// idp.ErrExists for an existing year, except for a private key that waits for its certificate.
// Saving the same key with a certificate completes it. Save refuses a key whose parts do not belong
// together.
func (d *Dir) Save(k *Key) error {
	d.fileMu.Lock()
	defer d.fileMu.Unlock()
	if err := d.saveKey(k); err != nil {
		return fmt.Errorf("save signing key %s: %w", k.Year, err)
	}
	return nil
}

func (d *Dir) saveKey(k *Key) error {
	if k.Signer == nil {
		return errors.New("the private key is missing")
	}
	if err := k.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	// The certificate is written last. If it exists, the year is complete, or its private key
	// was destroyed.
	if _, err := os.Lstat(d.filePath(k.Year, extCert)); err == nil {
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
	return writeNewFile(d.filePath(k.Year, extCert), []byte(EncodePEM(k.Cert)))
}

// Load reads all years, oldest first. It returns none if the folder does not exist. A year with
// only a certificate has no Signer, and a year with only a private key has no Cert.
//
// A damaged year does not affect the others. A *DamagedError lists the years whose files cannot be
// read, or contradict one another, and Load returns the keys of the other years. The caller decides
// how to treat the damaged years. With any other error, Load returns no keys.
func (d *Dir) Load() ([]*Key, error) {
	years, err := d.listYears(extKey, extToken, extCert)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []*Key
	var damaged []DamagedYear
	for _, y := range years {
		k, err := d.loadYear(y)
		switch {
		case err != nil:
			damaged = append(damaged, DamagedYear{Year: y, Cert: k.Cert, Err: err})
		case k.Signer != nil || k.Cert != nil:
			keys = append(keys, k)
		}
	}
	if len(damaged) > 0 {
		return keys, &DamagedError{Years: damaged}
	}
	return keys, nil
}

// LoadYear reads one year and no file of another. It returns nil if the year has no files. The
// error is a *DamagedError if its files cannot be used.
func (d *Dir) LoadYear(y idp.Year) (*Key, error) {
	if !y.IsValid() {
		return nil, fmt.Errorf("load signing key: %q is not a year", y)
	}
	k, err := d.loadYear(y)
	switch {
	case err != nil:
		return nil, &DamagedError{Years: []DamagedYear{{Year: y, Cert: k.Cert, Err: err}}}
	case k.Signer == nil && k.Cert == nil:
		return nil, nil
	}
	return k, nil
}

// loadYear reads the files of a year. The key is never nil. With an error, it has the certificate
// if that could be read.
func (d *Dir) loadYear(y idp.Year) (*Key, error) {
	k := &Key{Year: y}
	var errs []error
	note := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	cert, err := d.loadCert(y)
	note(err)
	k.Cert = cert
	note(d.loadSigner(k, extKey))
	if _, err := os.Lstat(d.filePath(y, extToken)); err == nil {
		if k.Signer != nil {
			note(errors.New("the year has two private keys, one in a file and one in a token: remove the wrong one"))
		} else {
			note(d.loadSigner(k, extToken))
		}
	} else {
		note(err)
	}
	if len(errs) == 0 && (k.Signer != nil || k.Cert != nil) {
		note(k.check())
	}
	return k, errors.Join(errs...)
}

// DamagedYear is a year whose files cannot be used.
type DamagedYear struct {
	Year idp.Year
	// Cert is its certificate; nil if that cannot be read.
	Cert *x509.Certificate
	// Err is the cause. It contains no secret.
	Err error
}

// DamagedError is returned for years whose files cannot be used.
type DamagedError struct{ Years []DamagedYear }

// Error implements error.
func (e *DamagedError) Error() string {
	texts := make([]string, len(e.Years))
	for i, d := range e.Years {
		texts[i] = fmt.Sprintf("load signing key %s: %v", d.Year, d.Err)
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the causes.
func (e *DamagedError) Unwrap() []error {
	errs := make([]error, len(e.Years))
	for i, d := range e.Years {
		errs[i] = d.Err
	}
	return errs
}

// File is a file of the folder, byte by byte.
type File struct {
	Name string
	Data []byte
}

// maxFileBytes bounds a file of the folder. An RSA key of 16384 bits fits.
const maxFileBytes = 1 << 18

// Files calls begin and returns the files of all years, sorted by name. No file in the
// folder changes from the call of begin until all files are read.
func (d *Dir) Files(begin func() error) ([]File, error) {
	d.fileMu.Lock()
	defer d.fileMu.Unlock()
	if err := begin(); err != nil {
		return nil, err
	}
	years, err := d.listYears(extKey, extToken, extCert)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var files []File
	for _, y := range years {
		for _, ext := range []string{extCert, extKey, extToken} {
			data, err := readFile(d.filePath(y, ext))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read signing keys: %w", err)
			}
			files = append(files, File{string(y) + ext, data})
		}
	}
	return files, nil
}

// readFile reads a file of the folder.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("%s is longer than %d bytes", name, maxFileBytes)
	}
	return data, err
}

func (d *Dir) loadCert(y idp.Year) (*x509.Certificate, error) {
	text, err := os.ReadFile(d.filePath(y, extCert))
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("the .crt file must contain exactly one PEM certificate: restore it from a backup")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return cert, nil
}

func (d *Dir) filePath(y idp.Year, ext string) string {
	return filepath.Join(d.path, string(y)+ext)
}

// listYears lists the years that have a file with one of the endings, in order.
func (d *Dir) listYears(endings ...string) (years []idp.Year, err error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if y := idp.Year(strings.TrimSuffix(e.Name(), ext)); y.IsValid() && slices.Contains(endings, ext) {
			years = append(years, y)
		}
	}
	slices.Sort(years)
	return slices.Compact(years), nil
}

// writeNewFile is durable.WriteNew, except that it returns our error for an existing name.
func writeNewFile(path string, data []byte) error {
	err := durable.WriteNew(path, data)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", filepath.Base(path), idp.ErrExists)
	}
	return err
}
