// Package trail looks after the audit trail: it finds records, proves that
// nobody has been at them, exports and prunes them, and sees to it that what
// strangers do cannot fill the disk.
//
//	find.go      records by person, SP, kind, time or error id, newest first
//	verify.go    is every record there, as it was written? In parts, so that no
//	             sign-in waits behind a long reader
//	prune.go     the checkpoint that stands for records that were exported
//	refusals.go  what a sender can repeat: one record each within a budget, then
//	             counted for the user or service provider
//	run.go       the end of the trail into the log, every hour
//
// How records are chained is package audit's, how they are kept the store's.
// Nothing here changes a record.
package trail

import (
	"context"
	"log/slog"

	"vernal/idp"
	"vernal/idp/keyring"
)

// Store is what this package needs of idp.Store.
type Store interface{ idp.AuditStore }

// Service looks after one store's trail. Store and Clock are needed by all of
// it, the rest by checkpoints and Run.
type Service struct {
	Store  Store
	Sealer idp.Sealer
	Years  *keyring.Ring
	// Issuer is our entityID, which checkpoints name.
	Issuer string
	Clock  idp.Clock
	Log    *slog.Logger
	// Refusals are written by Run once a minute; nil if nobody notes any.
	Refusals *Refusals
}

// pageSize is how many records are read in one transaction.
const pageSize = 2000

// Lines reads up to limit records after a place, as they are stored.
func (s *Service) Lines(ctx context.Context, after uint64, limit int) (*idp.AuditPage, error) {
	return s.Store.AuditPage(ctx, after, min(limit, pageSize))
}
