//go:build !pkcs11 || !cgo

package token

import "vernal/certs"

// Open returns ErrNotBuilt.
func Open(Config) (certs.Vault, error) { return nil, ErrNotBuilt }
