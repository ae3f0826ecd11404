package audit

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
	// Refusals are written by Run once a minute; nil if refusals are not recorded.
	Refusals *Refusals
}

// pageSize is how many records are read in one transaction.
const pageSize = 2000

// Lines reads up to limit records after a place, as they are stored.
func (s *Service) Lines(ctx context.Context, after uint64, limit int) (*idp.AuditPage, error) {
	return s.Store.AuditPage(ctx, after, min(limit, pageSize))
}
