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
	// retryAfter is the time until a failed automatic backup is tried again, at most.
	retryAfter = time.Hour
	// maxAge is the age of the newest backup, in multiples of Policy.Every, from which it is
	// too old.
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

// Tick makes a backup if one is due. Its failure is recorded, and is the error.
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
	failed := s.makeFile(ctx, &r)
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: the next start makes it
	}
	if failed != nil {
		r.Error = failed.Error()
	}
	if err := s.Finish(ctx, r); err != nil {
		return err
	}
	if failed != nil {
		return failed
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

// makeFile makes one automatic backup.
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

// partialName matches what an automatic backup leaves behind if the process is killed.
var partialName = regexp.MustCompile(`^\.vernal-\d{8}T\d{6}Z-[0-9a-f]{8}\.tar\.gz\.tmp-`)

// removePartial removes the unfinished file of a process that was killed.
func removePartial(dir string) error {
	return removeFiles(dir, partialName, 0)
}

// prune removes the oldest backups of this installation in the folder but Keep.
func (s *Service) prune(id string) error {
	ours := regexp.MustCompile(`^vernal-\d{8}T\d{6}Z-` + regexp.QuoteMeta(id[:8]) + `\.tar\.gz$`)
	return removeFiles(s.Policy.Dir, ours, s.Policy.Keep)
}

// removeFiles removes the regular files whose names match but the last ones to keep.
func removeFiles(dir string, name *regexp.Regexp, keep int) error {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return fmt.Errorf("list old backups: %w", err)
	}
	var old []string
	for _, e := range entries {
		if e.Type().IsRegular() && name.MatchString(e.Name()) {
			old = append(old, e.Name())
		}
	}
	for _, n := range old[:max(0, len(old)-keep)] {
		if err := os.Remove(filepath.Join(dir, n)); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
	}
	return nil
}

// Attention lists what is wrong with automatic backups: the last one failed, or the newest
// backup is old.
func (s *Service) Attention(ctx context.Context, now time.Time) ([]rotation.Attention, error) {
	if s.Policy.Every <= 0 {
		return nil, nil
	}
	list, err := s.Records(ctx)
	if err != nil {
		return nil, err
	}
	var all []rotation.Attention
	last, tried := findLastAutomatic(list)
	good := (&attempts{List: list}).lastSuccess()
	if tried && last.Error != "" && (good == nil || good.At.Before(last.At)) {
		all = append(all, rotation.Attention{Code: rotation.BackupFailed, Args: rotation.Args{Date: last.At, Value: last.Error}}.Suggest())
	}
	if good != nil && now.Sub(good.At) > maxAge*s.Policy.Every {
		all = append(all, rotation.Attention{Code: rotation.BackupOld, Args: rotation.Args{Date: good.At}}.Suggest())
	}
	return all, nil
}
