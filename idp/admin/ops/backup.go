package ops

import (
	"context"
	"io"

	"vernal/idp/admin"
	"vernal/idp/backup"
)

// BackupRequest asks for a backup.
type BackupRequest struct {
	// File is the path to which the caller writes the backup, for the audit record; "-" for
	// standard output.
	File string `json:"file"`
	// Passphrase and Recipients encrypt the master key. With one of them, the backup contains
	// it.
	Passphrase string `json:"passphrase,omitempty"`
	Recipients string `json:"recipients,omitempty"`
}

// BackupResult reports the result of the caller's attempt.
type BackupResult struct {
	File       string   `json:"file"`
	MasterKeys []string `json:"master_keys,omitempty"`
	Bytes      int64    `json:"bytes,omitempty"`
	SHA256     string   `json:"sha256,omitempty"`
	Error      string   `json:"error,omitempty"`
}

// WriteBackup sends a backup. The caller writes the file under its own user ID, and then calls
// RecordBackup.
var WriteBackup = declareStream("backup/write",
	func(s *Service, ctx context.Context, by admin.Caller, req BackupRequest, w io.Writer) (*backup.Summary, error) {
		o := backup.Options{MasterKey: backup.Protection{Passphrase: req.Passphrase, Recipients: req.Recipients}}
		if !o.MasterKey.IsZero() {
			if err := o.MasterKey.Check(); err != nil {
				return nil, invalidError("%v", err)
			}
		}
		if err := s.Backups.Begin(ctx, by.Actor(), req.File, o); err != nil {
			return nil, err
		}
		return s.Backups.WriteArchive(ctx, w, o)
	})

// RecordBackup records the result of an attempt, once the file is durable.
var RecordBackup = declare("backup/record", func(s *Service, ctx context.Context, _ admin.Caller, req BackupResult) (Empty, error) {
	return Empty{}, s.Backups.Finish(ctx, backup.Record{
		File: req.File, MasterKeys: req.MasterKeys, Bytes: req.Bytes, SHA256: req.SHA256, Error: req.Error,
	})
})
