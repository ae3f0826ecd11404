package backup

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/seal"
)

// Store is the part of the store that backups need.
type Store interface {
	idp.DocumentStore
	idp.AuditStore
	Snapshot(ctx context.Context) (idp.Snapshot, error)
}

// Steps is the rotation, which can be paused. *rotator.Service implements it.
type Steps interface {
	PauseSteps(do func() error) error
}

// Keys is the folder of signing keys. *certs.Dir implements it.
type Keys interface {
	Files(begin func() error) ([]certs.File, error)
}

// Policy says when the server makes backups.
type Policy struct {
	// Every is the time between two backups; 0 for none.
	Every time.Duration
	// Dir is the folder, and Keep the number of backups that stay there.
	Dir  string
	Keep int
}

// Service makes backups of one installation. All fields are required.
type Service struct {
	Store  Store
	Steps  Steps
	Keys   Keys
	Master func() (*seal.Master, error)
	// Config is the configuration without secrets.
	Config  []byte
	Policy  Policy
	BaseURL string
	Version string
	Clock   idp.Clock
	Log     *slog.Logger
}

// Begin records in the audit trail that a backup is made for the actor. It comes first, so
// that no copy leaves without a record.
func (s *Service) Begin(ctx context.Context, actor, file string, o Options) error {
	detail := map[string]string{"file": clipText(file), "master_key": strconv.FormatBool(!o.MasterKey.IsZero())}
	err := s.Store.AppendAudit(ctx, idp.AuditEvent{Kind: idp.AuditBackup, Outcome: "ok", Actor: actor, Detail: detail})
	if err != nil {
		return fmt.Errorf("record the backup: %w", err)
	}
	return nil
}

// maxRecordedText bounds texts in records.
const maxRecordedText = 500

func clipText(text string) string {
	if len(text) > maxRecordedText {
		return text[:maxRecordedText]
	}
	return text
}

// Finish records the result of an attempt.
func (s *Service) Finish(ctx context.Context, r Record) error {
	r.At, r.File, r.Error = s.Clock.Now(), clipText(r.File), clipText(r.Error)
	err := openAttempts(s.Store, s.Clock).Update(ctx, []string{recordKey}, func(doc *idp.Record[attempts]) error {
		if doc.Value == nil {
			doc.Value = new(attempts)
		}
		doc.Value.add(r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the backup: %w", err)
	}
	return nil
}

// Records returns the last attempts, oldest first.
func (s *Service) Records(ctx context.Context) ([]Record, error) { return Records(ctx, s.Store) }
