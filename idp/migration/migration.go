// Package migration is the migration board: for every service provider (SP), how far
// it has moved to the newest year, and what is odd about its requests.
//
// It stores nothing and decides nothing. What it shows comes from the ledger of
// uses (package usage) and the registry. Loads of metadata are a hint for
// operators and never use.
//
// The files:
//
//	migration.go  Service
//	view.go       the board as it is shown
//	line.go       one SP's line: how far it has moved, what is odd
package migration

import (
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/sp"
	"vernal/idp/usage"
)

// Service is the board of one installation. All fields are required, and all
// methods may be called concurrently.
type Service struct {
	Usage    *usage.Ledger
	Registry *sp.Registry
	Years    *keyring.Ring
	Clock    idp.Clock
}
