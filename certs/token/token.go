// Package token keeps signing keys in a PKCS#11 token: a security module, a smart card, or a
// program that emulates one. A key is generated in the token and never leaves it
// (CKA_SENSITIVE, not CKA_EXTRACTABLE). Vernal keeps only the public half.
//
// A key is found by its label, vernal-YEAR, and by an ID derived from the installation's base
// URL and the year, so that two installations can share a token. The token is opened only when
// a key in it is needed, so commands that need none work without it. After a restart of the
// token, or of anything between it and Vernal, Token connects again.
//
// The PKCS#11 library needs cgo. It is compiled in only with the build tag pkcs11. Without the
// tag, Open returns an error that says so.
package token

import (
	"errors"
	"log/slog"
)

// Config names a token.
type Config struct {
	// Module is the path of its PKCS#11 module, a shared library.
	Module string
	// Label is the label of the token.
	Label string
	// PIN is the PIN of the token's user.
	PIN string
	// Installation distinguishes the keys of several installations in one token. It is the
	// base URL, which never changes.
	Installation string
}

// ErrNotBuilt is returned by Open in a program built without PKCS#11.
var ErrNotBuilt = errors.New("this binary was built without PKCS#11: build it with -tags pkcs11")

// ErrPIN is returned once the token has refused the PIN. This process does not try it again,
// because a token locks itself after a few wrong PINs.
var ErrPIN = errors.New("the token refuses the PIN: correct it and start again")

// String keeps the PIN out of every message that prints a Config.
func (c Config) String() string { return "token " + c.Label }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
