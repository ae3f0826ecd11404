// Package restore finishes the restore of a backup: it turns a data folder that holds a
// backup's files into an installation that may start. A backup is of the past: sessions, codes
// and permissions that ended since must not come back.
//
//	files of the backup, marker       by the command, see package backup
//	  |
//	  v Finish, at each open of the installation
//	the marker's MAC, the store, and the exported trail are verified: refused, or
//	  1. one write: sessions, requests and links end, used codes and devices are forgotten,
//	     automatic steps are held, and the restore is recorded
//	  2. the later changes in the exported trail that ended something are repeated
//	  3. one write: the report; then the marker is removed
//
// A crash before the end leaves the marker, and the next open continues. Step 2 skips finished
// changes.
//
// The store keeps the time of the restore. Messages and requests from before it are refused,
// because the record of accepted messages ends with the backup.
package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/backup"
	"vernal/idp/rotator"
	"vernal/idp/sp"
)

// Store is a store that can be restored.
type Store interface {
	idp.Store
	idp.RestoreStore
}

// Service finishes the restore of one installation. All fields are required.
type Service struct {
	// Dir is the data folder.
	Dir      string
	Store    Store
	Sealer   idp.Sealer
	Trail    *audit.Service
	Rotation *rotator.Service
	Accounts *account.Service
	Registry *sp.Registry
	Clock    idp.Clock
	Log      *slog.Logger
}

// Report describes a restore to the operator.
type Report struct {
	// RestoredAt is the time of the restore. Messages from before it are refused.
	RestoredAt time.Time `json:"restored_at"`
	// BackupAt and Head are the time of the backup and the end of its audit trail.
	BackupAt time.Time   `json:"backup_at"`
	Head     audit.Place `json:"backup_head"`
	// FileSHA256 is the digest of the backup file.
	FileSHA256 string `json:"file_sha256"`
	Actor      string `json:"actor"`
	// Ended counts the sessions, requests and documents that ended.
	Ended idp.EndedRecords `json:"ended"`
	// SinceReport reports the changes in the exported trail; nil without one.
	Since *SinceReport `json:"since,omitempty"`
}

// The document of the last restore.
const (
	documentKind = "restore"
	documentKey  = "last"
)

// state is the document. It records the progress of a restore.
type state struct {
	// Manifest is the digest of the manifest.
	Manifest string `json:"manifest_sha256"`
	Done     bool   `json:"done,omitempty"`
	Report   Report `json:"report"`
}

func (s *Service) openStates() idp.Records[state] {
	return idp.Records[state]{Store: s.Store, Kind: documentKind, Clock: s.Clock}
}

// Last returns the report of the last finished restore, or idp.ErrNotFound.
func (s *Service) Last(ctx context.Context) (*Report, error) {
	progress, err := s.openStates().Get(ctx, documentKey)
	if err != nil {
		return nil, err
	}
	if !progress.Done {
		return nil, fmt.Errorf("the restore is not finished: %w", idp.ErrNotFound)
	}
	return &progress.Report, nil
}

// Finish finishes a pending restore. Call it before Rotation.Start and before anything else
// uses the store. It returns nil if none is pending.
//
// A marker that is not authentic, or that belongs to another store, is refused (*Error,
// *backup.Refusal), and so is an exported trail that does not continue the backup's. Then
// nothing is changed.
func (s *Service) Finish(ctx context.Context) (*Report, error) {
	m, err := ReadMarker(s.Dir)
	if m == nil || err != nil {
		return nil, err
	}
	manifest, err := backup.ParseManifest(m.Manifest)
	if err == nil {
		err = manifest.Verify(s.Sealer)
	}
	if err != nil {
		return nil, fmt.Errorf("finish the restore: %w", err)
	}
	progress, err := s.findState(ctx, m, manifest)
	if err != nil {
		return nil, fmt.Errorf("finish the restore: %w", err)
	}
	if !progress.Done {
		if err := s.finish(ctx, m, manifest, progress); err != nil {
			return nil, fmt.Errorf("finish the restore: %w", err)
		}
	}
	if err := removeMarker(s.Dir); err != nil {
		return nil, fmt.Errorf("finish the restore: %w", err)
	}
	s.Log.LogAttrs(ctx, slog.LevelWarn, "restored from a backup. Automatic steps are paused until an operator resumes them",
		slog.Time("backup_at", progress.Report.BackupAt), slog.Uint64("backup_seq", progress.Report.Head.Seq), slog.String("actor", progress.Report.Actor))
	return &progress.Report, nil
}

// findState returns the progress of the restore. It refuses a store that is not the backup's.
func (s *Service) findState(ctx context.Context, m *Marker, manifest *backup.Manifest) (*state, error) {
	sum := sha256.Sum256(m.Manifest)
	progress := &state{Manifest: hex.EncodeToString(sum[:]), Report: Report{
		BackupAt: manifest.CreatedAt, Head: manifest.Head, FileSHA256: m.FileSHA256, Actor: m.Actor,
	}}
	stored, err := s.openStates().Get(ctx, documentKey)
	switch {
	case err == nil && stored.Manifest == progress.Manifest:
		return stored, nil
	case err != nil && !errors.Is(err, idp.ErrNotFound):
		return nil, err
	}
	return progress, s.checkStore(ctx, manifest)
}

// checkStore compares the store with the manifest.
func (s *Service) checkStore(ctx context.Context, manifest *backup.Manifest) error {
	docs, err := s.Store.Documents(ctx, backup.InstallationKind, idp.DocumentQuery{All: true})
	if err != nil {
		return err
	}
	var identity struct {
		ID string `json:"id"`
	}
	if len(docs) == 1 {
		if err := json.Unmarshal(docs[0].Data, &identity); err != nil {
			return err
		}
	}
	page, err := s.Store.AuditPage(ctx, idp.AuditQuery{After: manifest.Head.Seq, Limit: 1})
	if err != nil {
		return err
	}
	end := audit.Place{Seq: page.Head.Seq, Hash: page.Head.Hash}
	if identity.ID != manifest.Installation || !page.IsHeadAuthentic || end.Seq != manifest.Head.Seq ||
		end.HashOrFirst() != manifest.Head.HashOrFirst() || len(page.Lines) > 0 {
		return refuse(CodeOtherStore, MarkerName)
	}
	return nil
}

// finish takes the steps that progress does not record, and records that they are done.
func (s *Service) finish(ctx context.Context, m *Marker, manifest *backup.Manifest, progress *state) error {
	var p *plan
	if m.HasSince {
		var err error
		if p, err = readSinceFile(s.Dir, manifest.Head, s.Trail.Check); err != nil {
			return err
		}
	}
	if progress.Report.RestoredAt.IsZero() {
		if err := s.endSessions(ctx, progress); err != nil {
			return err
		}
	}
	var events []idp.AuditEvent
	if p != nil {
		since, err := s.apply(ctx, p, m.Actor)
		if err != nil {
			return err
		}
		progress.Report.Since = since
		events = append(events, since.newEvent(m.Actor))
	}
	progress.Done = true
	return s.openStates().Update(ctx, []string{documentKey}, func(r *idp.Record[state]) error {
		r.Value = progress
		return nil
	}, events...)
}

// endSessions ends all sessions, requests and links from before the restore, in one write.
func (s *Service) endSessions(ctx context.Context, progress *state) error {
	now := s.Clock.Now().UTC()
	next := *progress
	detail := map[string]string{
		"backup_seq": strconv.FormatUint(progress.Report.Head.Seq, 10), "backup_hash": progress.Report.Head.HashOrFirst(),
		"backup_at": progress.Report.BackupAt.UTC().Format(time.RFC3339), "file_sha256": progress.Report.FileSHA256,
	}
	_, err := s.Store.Restore(ctx, idp.Restore{
		At: now,
		Change: func(kind string, d *idp.Document) error {
			return changeDocument(kind, d, progress.Report.BackupAt, now)
		},
		Add: func(e idp.EndedRecords) (map[string]idp.Document, error) {
			next.Report.RestoredAt, next.Report.Ended = now, e
			detail["sessions"], detail["login_requests"] = strconv.Itoa(e.Sessions), strconv.Itoa(e.LoginRequests)
			detail["logout_requests"] = strconv.Itoa(e.LogoutRequests)
			for kind, n := range e.Documents {
				detail[kind+"s"] = strconv.Itoa(n)
			}
			data, err := json.Marshal(&next)
			return map[string]idp.Document{documentKind: {Key: documentKey, Data: data}}, err
		},
	}, idp.AuditEvent{Kind: idp.AuditRestored, Outcome: "ok", Actor: progress.Report.Actor, Detail: detail})
	if err != nil {
		return err
	}
	*progress = next
	return nil
}
