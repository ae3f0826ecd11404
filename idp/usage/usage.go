// Package usage is the ledger of uses: which service provider (SP) used which year's
// endpoint URLs, when, how often and with which request certificate, and which clients
// loaded metadata.
//
// It is the only place that counts uses. The migration board and the rotation read it, and
// neither stores a count of its own.
//
// A request notes its use in memory (Use, Fetch). Every minute Flush writes what was noted,
// so a request costs no write, and a crash loses at most the last minute. Every query sees
// both what is stored and what is noted.
//
// Client data in metadata loads is cleaned and bounded. It is a hint for operators and
// never counts as use.
//
// The files:
//
//	usage.go    Ledger, Use, Fetch
//	noted.go    what is not written yet
//	tally.go    the uses of one year by one SP, and how to add them up
//	codec.go    how a tally is stored
//	fetch.go    loads of metadata
//	flush.go    writing every minute, and removing old documents
//	last.go     the last use of each year
//	read.go     the queries
//
// In the store, all under the kind "usage":
//
//	use NUL ENTITYID NUL YEAR  -> Tally
//	last                       -> the last use of each year, by any SP
//	fetch NUL ENTITYID         -> loads with the hint of a registered SP
//	fetch NUL                  -> all other loads
package usage

import (
	"log/slog"
	"sync"
	"time"

	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/sp"
)

// Ledger is the ledger of one installation. All fields are required, and all
// methods may be called concurrently. Several servers can share a store.
type Ledger struct {
	Store    idp.DocumentStore
	Registry *sp.Registry
	Years    *keyring.Ring
	Clock    idp.Clock
	Log      *slog.Logger

	noted noted
	// writing is held while what was noted moves to the store, so that a reader sees it in
	// exactly one of the two places.
	writing sync.RWMutex
	pruned  time.Time // when old documents were last removed, guarded by writing
}

// Use notes a use. It does not block on the store.
func (l *Ledger) Use(u idp.Use) { l.noted.use(u) }

// Fetch notes a load of metadata. It does not block on the store.
func (l *Ledger) Fetch(f idp.Fetch) { l.noted.fetch(f) }
