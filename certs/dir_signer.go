package certs

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"vernal/idp"
	"vernal/idp/durable"
)

// The PEM block of a .token file, and its header for a key whose certificate
// is external.
const (
	publicBlock    = "PUBLIC KEY"
	externalHeader = "Certificate"
	externalValue  = "elsewhere" // in existing files
)

// sealContext returns the context that ties a sealed private key to its year, so that a file
// renamed to another year does not open. The context also records whether the certificate is
// external: that must be known as soon as the key exists, and only a single file is written
// atomically.
func sealContext(y idp.Year, external bool) string {
	if external {
		return "key/" + string(y) + "/elsewhere"
	}
	return "key/" + string(y)
}

// saveSigner writes the private key, unless the folder already has the same one.
func (d *Dir) saveSigner(k *Key) error {
	storedKey, err := d.loadYear(k.Year)
	switch {
	case err != nil:
		return err
	case storedKey.Signer == nil:
		return d.writeSigner(k)
	case k.Cert == nil:
		return idp.ErrExists
	case !EqualPublic(storedKey.Signer.Public(), k.Signer.Public()):
		return fmt.Errorf("another private key waits for its certificate: %w", idp.ErrExists)
	}
	return nil
}

func (d *Dir) writeSigner(k *Key) error {
	if vaultKey, ok := k.Signer.(*VaultKey); ok {
		der, err := x509.MarshalPKIXPublicKey(vaultKey.Pub)
		if err != nil {
			return err
		}
		block := &pem.Block{Type: publicBlock, Bytes: der}
		if k.External {
			block.Headers = map[string]string{externalHeader: externalValue}
		}
		return writeNewFile(d.filePath(k.Year, extToken), pem.EncodeToMemory(block))
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.Signer)
	if err != nil {
		return err
	}
	return writeNewFile(d.filePath(k.Year, extKey), d.sealer.Seal(sealContext(k.Year, k.External), der))
}

// loadSigner reads the file of a private key into k.
func (d *Dir) loadSigner(k *Key, ext string) (err error) {
	if ext == extToken {
		return d.loadVaultKey(k)
	}
	sealed, err := os.ReadFile(d.filePath(k.Year, extKey))
	if err != nil {
		return err
	}
	der, err := d.sealer.Open(sealContext(k.Year, false), sealed)
	if err != nil {
		var otherErr error
		if der, otherErr = d.sealer.Open(sealContext(k.Year, true), sealed); otherErr != nil {
			return err
		}
		k.External = true
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return errors.New("the private key is not PKCS#8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return fmt.Errorf("the private key of type %T cannot sign", key)
	}
	k.Signer = signer
	return nil
}

// loadVaultKey reads the public half of a private key that a Vault keeps. It does not
// ask the vault.
func (d *Dir) loadVaultKey(k *Key) error {
	if d.vault == nil {
		return ErrNoVault
	}
	text, err := os.ReadFile(d.filePath(k.Year, extToken))
	if err != nil {
		return err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != publicBlock || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("the .token file must contain exactly one PEM public key: restore it from a backup")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	k.Signer = &VaultKey{Vault: d.vault, Year: k.Year, Pub: pub}
	k.External = block.Headers[externalHeader] == externalValue
	return nil
}

// Destroy permanently removes the private key of a year and keeps its certificate. A missing
// private key is no error, so that an interrupted destruction can be repeated. A file is unlinked
// and not overwritten. Its bytes, on the disk or in a backup, stay readable as long as the master
// key that wrapped the year's own key exists. A key in a Vault is destroyed there first, so that
// its file records the key until the Vault has removed it.
func (d *Dir) Destroy(y idp.Year) error {
	if !y.IsValid() {
		return fmt.Errorf("destroy signing key: %q is not a year", y)
	}
	d.fileMu.Lock()
	defer d.fileMu.Unlock()
	if err := d.destroyKey(y); err != nil {
		return fmt.Errorf("destroy signing key %s: %w", y, err)
	}
	return nil
}

func (d *Dir) destroyKey(y idp.Year) error {
	path := d.filePath(y, extKey)
	if _, err := os.Lstat(d.filePath(y, extToken)); err == nil {
		k := &Key{Year: y}
		if err := d.loadVaultKey(k); err != nil {
			return err
		}
		if err := d.vault.Destroy(y, k.Signer.Public()); err != nil {
			return err
		}
		path = d.filePath(y, extToken)
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(d.path)
}

// Rewrap wraps the key that seals each private key with the master keys that are in force now. Each
// file is replaced in one step, so that it opens at any moment. A file that would not change is not
// written, so that an interrupted call can be repeated. Years whose file does not open stay as they
// are and are in the *DamagedError. With any other error, Rewrap stops.
func (d *Dir) Rewrap(ctx context.Context) error {
	return d.resealAll(ctx, d.sealer.RewrapSealed)
}

// Reseal seals every private key with a new key. Like Rewrap it can be repeated.
func (d *Dir) Reseal(ctx context.Context) error {
	return d.resealAll(ctx, func(sealContext string, sealed []byte) ([]byte, bool, error) {
		der, err := d.sealer.Open(sealContext, sealed)
		if err != nil {
			return nil, false, err
		}
		return d.sealer.Seal(sealContext, der), true, nil
	})
}

func (d *Dir) resealAll(ctx context.Context, change func(sealContext string, sealed []byte) ([]byte, bool, error)) error {
	d.fileMu.Lock()
	defer d.fileMu.Unlock()
	years, err := d.listYears(extKey)
	if err != nil {
		return err
	}
	var damaged []DamagedYear
	for _, y := range years {
		if err := ctx.Err(); err != nil {
			return err
		}
		canOpen, err := d.resealYear(y, change)
		switch {
		case err != nil && canOpen:
			return fmt.Errorf("seal signing key %s: %w", y, err)
		case err != nil:
			damaged = append(damaged, DamagedYear{Year: y, Err: err})
		}
	}
	if len(damaged) > 0 {
		return &DamagedError{Years: damaged}
	}
	return nil
}

// resealYear replaces one file. opened is false if the file does not open. Any other error is from
// reading or writing.
func (d *Dir) resealYear(y idp.Year, change func(sealContext string, sealed []byte) ([]byte, bool, error)) (canOpen bool, err error) {
	sealed, err := os.ReadFile(d.filePath(y, extKey))
	if err != nil {
		return true, err
	}
	out, isChanged, err := change(sealContext(y, false), sealed)
	if err != nil {
		var externalErr error
		if out, isChanged, externalErr = change(sealContext(y, true), sealed); externalErr != nil {
			return false, err
		}
	}
	if !isChanged {
		return true, nil
	}
	return true, durable.Replace(d.filePath(y, extKey), out)
}
