package backup

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"vernal/idp/durable"
	"vernal/idp/rotation"
)

const (
	tickEvery = time.Minute
	// retryAfter is the longest wait before a failed automatic backup is tried again.
	retryAfter = time.Hour
	// maxAge is the greatest age of the newest backup, in multiples of Policy.Every.
	maxAge = 2
)

// Run makes backups when they are due, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	if s.Policy.Every <= 0 {
		return
	}
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		if err := s.Tick(ctx); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelError, "the backup failed", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Tick makes a backup if one is due. It records a failure, and returns it.
func (s *Service) Tick(ctx context.Context) error {
	list, err := s.Records(ctx)
	if err != nil {
		return err
	}
	if !s.isDue(list, s.Clock.Now()) {
		return nil
	}
	id, err := InstallationID(ctx, s.Store)
	if err != nil {
		return err
	}
	r := Record{Automatic: true, File: filepath.Join(s.Policy.Dir, fileName(id, s.Clock.Now()))}
	makeErr := s.makeFile(ctx, &r)
	if ctx.Err() != nil {
		return ctx.Err() // the server stops, and makes the backup at its next start
	}
	if makeErr != nil {
		r.Error = makeErr.Error()
	}
	if err := s.Finish(ctx, r); err != nil {
		return err
	}
	if makeErr != nil {
		return makeErr
	}
	s.Log.LogAttrs(ctx, slog.LevelInfo, "backup made", slog.String("file", r.File), slog.Int64("bytes", r.Bytes))
	return s.prune(id)
}

// isDue reports whether it is time for an automatic backup.
func (s *Service) isDue(list []Record, now time.Time) bool {
	last, ok := findLastAutomatic(list)
	if !ok {
		return true
	}
	wait := s.Policy.Every
	if last.Error != "" {
		wait = min(wait, retryAfter)
	}
	// A clock that was set back must not stop backups.
	return now.Sub(last.At).Abs() >= wait
}

func findLastAutomatic(list []Record) (Record, bool) {
	for _, r := range slices.Backward(list) {
		if r.Automatic {
			return r, true
		}
	}
	return Record{}, false
}

// makeFile makes one automatic backup, and describes it in r.
func (s *Service) makeFile(ctx context.Context, r *Record) error {
	if err := s.Begin(ctx, "server", r.File, Options{}); err != nil {
		return err
	}
	if err := removePartial(s.Policy.Dir); err != nil {
		return err
	}
	var done *Summary
	err := durable.WriteNewFrom(r.File, func(w io.Writer) (err error) {
		done, err = s.WriteArchive(ctx, w, Options{})
		return err
	})
	if err != nil {
		return err
	}
	r.Bytes, r.SHA256, r.MasterKeys = done.Bytes, done.SHA256, done.MasterKeys
	return nil
}

// nameTime is the time in a file's name. Names sort by time.
const nameTime = "20060102T150405Z"

// fileName returns the name of an automatic backup. A part of the installation's ID keeps
// installations apart that share a folder.
func fileName(id string, at time.Time) string {
	return fmt.Sprintf("vernal-%s-%s.tar.gz", at.UTC().Format(nameTime), id[:8])
}

// partialName matches the unfinished file of an automatic backup whose process was killed.
var partialName = regexp.MustCompile(`^\.vernal-\d{8}T\d{6}Z-[0-9a-f]{8}\.tar\.gz\.tmp-`)

// removePartial removes the unfinished file of a process that was killed.
func removePartial(dir string) error {
	return removeFiles(dir, partialName, 0)
}

// prune removes the backups of this installation in the folder, except the newest Keep.
func (s *Service) prune(id string) error {
	ours := regexp.MustCompile(`^vernal-\d{8}T\d{6}Z-` + regexp.QuoteMeta(id[:8]) + `\.tar\.gz$`)
	return removeFiles(s.Policy.Dir, ours, s.Policy.Keep)
}

// removeFiles removes the regular files whose names match, except the last keep of them.
func removeFiles(dir string, name *regexp.Regexp, keep int) error {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return fmt.Errorf("list old backups: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && name.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	for _, n := range names[:max(0, len(names)-keep)] {
		if err := os.Remove(filepath.Join(dir, n)); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
	}
	return nil
}

// Attention lists the problems of automatic backups: the last one failed, or the newest backup
// is old.
func (s *Service) Attention(ctx context.Context, now time.Time) ([]rotation.Attention, error) {
	if s.Policy.Every <= 0 {
		return nil, nil
	}
	list, err := s.Records(ctx)
	if err != nil {
		return nil, err
	}
	var all []rotation.Attention
	last, ok := findLastAutomatic(list)
	success := (&attempts{List: list}).lastSuccess()
	if ok && last.Error != "" && (success == nil || success.At.Before(last.At)) {
		all = append(all, rotation.Attention{Code: rotation.BackupFailed, Args: rotation.Args{Date: last.At, Value: last.Error}}.Suggest())
	}
	if success != nil && now.Sub(success.At) > maxAge*s.Policy.Every {
		all = append(all, rotation.Attention{Code: rotation.BackupOld, Args: rotation.Args{Date: success.At}}.Suggest())
	}
	return all, nil
}
