package certs

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	"vernal/idp"
)

// ErrNoVault is returned for a private key that a Vault keeps if no Vault is configured.
var ErrNoVault = errors.New("its private key is in a token, and no token is configured: set rotation.pkcs11")

// Vault keeps private keys that never leave it, for example in a PKCS#11 token. The public halves
// in Dir record its keys, so that they do not count as missing when the Vault is unreachable. All
// methods are safe for concurrent use.
type Vault interface {
	// Make makes the RSA key of a year and returns its public half. It finds the key left by an
	// interrupted call and makes no second one.
	Make(y idp.Year, bits int) (crypto.PublicKey, error)
	// Sign signs a digest with the key of the year whose public half is pub.
	Sign(y idp.Year, pub crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	// CheckReady reports whether Sign would work now, without signing anything.
	CheckReady(y idp.Year, pub crypto.PublicKey) error
	// Destroy removes the key permanently. Destroying a missing key is no error.
	Destroy(y idp.Year, pub crypto.PublicKey) error
}

// VaultKey is a private key that stays in its Vault. Dir stores only its public half.
type VaultKey struct {
	Vault Vault
	Year  idp.Year
	Pub   crypto.PublicKey
}

// Public implements crypto.Signer.
func (k *VaultKey) Public() crypto.PublicKey { return k.Pub }

// Sign implements crypto.Signer. It ignores the reader, because the Vault has its own source of
// randomness.
func (k *VaultKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.Vault.Sign(k.Year, k.Pub, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", idp.ErrKeyUnavailable, err)
	}
	return signature, nil
}

// CheckReady reports whether the key could sign now.
func (k *VaultKey) CheckReady() error {
	if err := k.Vault.CheckReady(k.Year, k.Pub); err != nil {
		return fmt.Errorf("%w: %w", idp.ErrKeyUnavailable, err)
	}
	return nil
}
