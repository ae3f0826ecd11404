// Package migration is the migration board: for every service provider (SP), how far it has moved
// to the newest year, and the unusual properties of its requests.
//
// It stores nothing and decides nothing. Its data comes from the ledger of uses (package
// usage) and the registry. Loads of metadata are a hint for operators and never count as
// use.
//
// The files:
//
//	migration.go  Service
//	view.go       the migration board as pages and commands show it
//	line.go       one SP's line: how far it has moved, unusual requests
package migration

import (
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/sp"
	"vernal/idp/usage"
)

// Service makes the migration board of one installation. All fields are required, and all
// methods may be called concurrently.
type Service struct {
	Usage    *usage.Ledger
	Registry *sp.Registry
	Years    *keyring.Ring
	Clock    idp.Clock
}
