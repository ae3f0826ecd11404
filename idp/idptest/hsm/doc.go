// Package hsm contains tests with signing keys in a PKCS#11 token: Debian's softhsm2 is
// software that behaves like a security module. xmlsec1, an independent implementation,
// verifies the signatures.
//
// The tests need the build tag pkcs11 and cgo (`make test-sp`) and are skipped if a program
// is missing, but not in CI. Package certs/token tests how a key in a token is created, removed
// and lost.
package hsm
