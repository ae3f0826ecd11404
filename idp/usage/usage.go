// Package usage is the ledger of uses: which service provider (SP) used which year's
// endpoint URLs, when, how often and with which request certificate, and which clients
// loaded metadata.
//
// It is the only place that counts uses. The migration board and the rotation read it, and
// neither stores a count of its own.
//
// A request notes its use in memory (Use, Fetch). Every minute Flush writes the notes, so a request
// costs no write, and a crash loses at most the last minute. Every query sees both stored and noted
// uses.
//
// Client data in metadata loads is cleaned and bounded. It is a hint for operators and
// never counts as use.
//
// The files:
//
//	usage.go    Ledger, Use, Fetch, unwritten notes
//	record.go   the stored record of one SP
//	tally.go    the uses of one year by one SP, and how to add up
//	fetch.go    loads of metadata
//	flush.go    writing every minute, and removing old data
//	read.go     stored and noted together, and the queries
//
// The store has a record for each SP under the kind "usage" and the entity ID. The
// record under the empty key has the last use of each year by any SP, and the loads
// without the hint of a registered SP.
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

	mu    sync.Mutex
	pending notes // guarded by mu
	// flushMu is held while notes move to the store, so that a reader sees them in
	// exactly one of the two places.
	flushMu sync.RWMutex
	prunedAt  time.Time // when old records were last removed; guarded by writing
}

// Use notes a use. It does not block on the store.
func (l *Ledger) Use(u idp.Use) {
	l.mu.Lock()
	defer l.mu.Unlock()
	findOrAddEntry(&findOrAddEntry(&l.pending.uses, string(u.SP)).Years, u.Year).add(u)
}

// Fetch notes a load of metadata. It does not block on the store.
func (l *Ledger) Fetch(f idp.Fetch) {
	load := Loads{
		Year: f.Year, Hint: idp.EntityID(cleanText(string(f.SP), maxHint)), IPAddress: cleanText(f.IPAddress, maxIPAddress),
		UserAgent: cleanText(f.UserAgent, maxUserAgent), LastAt: f.At.UTC().Truncate(time.Millisecond), Count: 1,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.addLoads(load)
}

// notes are the uses not yet written. Their number is bounded by the existing SPs and years,
// because only verified requests are noted. Anyone can load metadata, so the oldest of too many
// clients are dropped.
type notes struct {
	uses  records // without loads
	loads []Loads
}

func (n *notes) addLoads(loads ...Loads) {
	n.loads = append(n.loads, loads...)
	if len(n.loads) > 2*maxPendingLoads {
		n.loads = sumLoads(n.loads)
		n.loads = n.loads[:min(len(n.loads), maxPendingLoads)]
	}
}

// takeBatch removes the uses of up to limit SPs, and all loads.
func (n *notes) takeBatch(limit int) (part notes) {
	part.loads, n.loads = n.loads, nil
	for key, r := range n.uses {
		if len(part.uses) == limit {
			break
		}
		findOrAddEntry(&part.uses, key).merge(r)
		delete(n.uses, key)
	}
	return part
}

// merge adds later notes.
func (n *notes) merge(later notes) {
	for key, r := range later.uses {
		findOrAddEntry(&n.uses, key).merge(r)
	}
	n.addLoads(later.loads...)
}
