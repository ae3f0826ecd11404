// Package hsm holds tests with signing keys in a PKCS#11 token: Debian's
// softhsm2, which is software, behaves as a security module does. What is signed
// in it is checked with xmlsec1, which none of us wrote.
//
// The tests need the build tag pkcs11 and cgo (`make test-sp`) and are skipped
// where a program is missing, but not in CI. How a key in a token comes, goes and
// is lost is tested in package certs/token.
package hsm
