package certs

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	"vernal/idp"
)

// ErrNoVault is returned for a private key that a Vault keeps, where none is
// configured.
var ErrNoVault = errors.New("its private key is in a token, and no token is configured (rotation.pkcs11)")

// Vault keeps private keys that never leave it. A PKCS#11 token is one. An unreachable Vault
// is no reason to forget its keys: the public halves in Dir show that they exist. All
// methods are safe for concurrent use.
type Vault interface {
	// Make makes the RSA key of a year and returns its public half. The key that
	// an interrupted making left is found, and no second one made.
	Make(y idp.Year, bits int) (crypto.PublicKey, error)
	// Sign signs a digest with the key of the year whose public half is pub.
	Sign(y idp.Year, pub crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	// Ready reports whether Sign would work now, without signing anything.
	Ready(y idp.Year, pub crypto.PublicKey) error
	// Destroy removes the key permanently. Destroying a missing key is no error.
	Destroy(y idp.Year, pub crypto.PublicKey) error
}

// VaultKey is a private key that stays in its Vault. Dir writes its public half
// down and nothing else.
type VaultKey struct {
	Vault Vault
	Year  idp.Year
	Pub   crypto.PublicKey
}

// Public implements crypto.Signer.
func (k *VaultKey) Public() crypto.PublicKey { return k.Pub }

// Sign implements crypto.Signer. What randomness is needed is the vault's.
func (k *VaultKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.Vault.Sign(k.Year, k.Pub, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", idp.ErrKeyAway, err)
	}
	return signature, nil
}

// Ready reports whether the key could sign now.
func (k *VaultKey) Ready() error {
	if err := k.Vault.Ready(k.Year, k.Pub); err != nil {
		return fmt.Errorf("%w: %w", idp.ErrKeyAway, err)
	}
	return nil
}
