package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"vernal/idp"
	"vernal/idp/keyring"
)

// Service maintains one store's trail. Every method needs Store and Clock. Checkpoints and Run also
// need the other fields.
type Service struct {
	Store  idp.AuditStore
	Sealer idp.Sealer
	Years  *keyring.Ring
	// Issuer is our entityID, which checkpoints name.
	Issuer string
	Clock  idp.Clock
	Log    *slog.Logger
	// Run writes the counts of Refusals once a minute. It is nil if refusals are not recorded.
	Refusals *Refusals
}

// pageSize is the number of records read in one transaction.
const pageSize = 2000

// Records lists up to limit records with Seq greater than after. It verifies no chain.
func Records(ctx context.Context, store idp.AuditStore, after uint64, limit int) ([]idp.AuditRecord, error) {
	page, err := store.AuditPage(ctx, idp.AuditQuery{After: after, Limit: limit})
	if page == nil {
		return nil, err // with a page, only the checkpoint is damaged, and Verify reports that
	}
	var out []idp.AuditRecord
	for _, l := range page.Lines {
		var rec idp.AuditRecord
		if err := json.Unmarshal(l.JSON, &rec); err != nil || rec.Seq != l.Place {
			return nil, fmt.Errorf("audit record %d in the store is damaged", l.Place)
		}
		rec.IPAddress, _, _ = ParseAddress(l.IPAddress)
		out = append(out, rec)
	}
	return out, nil
}

// UserRecords lists up to limit records about a user before the given one, newest first; 0 begins with
// the newest. It verifies no chain, and leaves out records that cannot be read.
func UserRecords(ctx context.Context, store idp.AuditStore, user idp.UserID, before uint64, limit int) ([]idp.AuditRecord, error) {
	page, err := store.AuditPage(ctx, idp.AuditQuery{User: user, Before: before, Limit: limit})
	if page == nil {
		return nil, err // with a page, only the checkpoint is damaged, and Verify reports that
	}
	records := make([]idp.AuditRecord, 0, len(page.Lines))
	for _, l := range page.Lines {
		if rec := decodeLine(l); rec.User == user && rec.Kind != KindDamaged {
			records = append(records, rec)
		}
	}
	return records, nil
}

// Lines reads up to limit records after a place, in their stored form.
func (s *Service) Lines(ctx context.Context, after uint64, limit int) (*idp.AuditPage, error) {
	return s.Store.AuditPage(ctx, idp.AuditQuery{After: after, Limit: min(limit, pageSize)})
}
