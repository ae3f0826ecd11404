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
	id, err := EnsureInstallationID(ctx, s.Store)
	if err != nil {
		return err
	}
	r := Record{Automatic: true, File: filepath.Join(s.Policy.Dir, fileName(id, s.Clock.Now()))}
	makeErr := s.makeFile(ctx, id, &r)
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
	return s.prune(id, filepath.Base(r.File))
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

// findLastFailure returns the last automatic attempt if it failed and no backup was made after
// it. The order of the list counts, because the clock could have been set back.
func findLastFailure(list []Record) *Record {
	for i := len(list) - 1; i >= 0 && list[i].Error != ""; i-- {
		if list[i].Automatic {
			return &list[i]
		}
	}
	return nil
}

// makeFile makes one automatic backup.
func (s *Service) makeFile(ctx context.Context, id string, r *Record) error {
	if err := s.Begin(ctx, "server", r.File, Options{}); err != nil {
		return err
	}
	if err := s.removePartial(id); err != nil {
		return err
	}
	var summary *Summary
	err := durable.WriteNewFrom(r.File, func(w io.Writer) (err error) {
		summary, err = s.WriteArchive(ctx, w, Options{})
		return err
	})
	if err != nil {
		return err
	}
	r.Bytes, r.SHA256, r.MasterKeys = summary.Bytes, summary.SHA256, summary.MasterKeys
	return nil
}

// nameTime is the time in a file's name. Names sort by time.
const nameTime = "20060102T150405Z"

// fileName returns the name of an automatic backup. A part of the installation's ID keeps
// installations apart that share a folder.
func fileName(id string, at time.Time) string {
	return fmt.Sprintf("vernal-%s-%s.tar.gz", at.UTC().Format(nameTime), id[:8])
}

// compileName returns the pattern of the names of automatic backups of an installation.
func compileName(id, prefix, suffix string) *regexp.Regexp {
	return regexp.MustCompile(`^` + prefix + `vernal-\d{8}T\d{6}Z-` + regexp.QuoteMeta(id[:8]) + `\.tar\.gz` + suffix)
}

// removePartial removes the unfinished file of a process of this installation that was killed.
// That of another one, which shares the folder, can be in use.
func (s *Service) removePartial(id string) error {
	names, err := listNames(s.Policy.Dir, compileName(id, `\.`, `\.tmp-`))
	if err != nil {
		return err
	}
	return removeFiles(s.Policy.Dir, names)
}

// prune removes the oldest backups of this installation in the folder but Keep. Those with a
// later time than the newest were made before it, while the clock was ahead.
func (s *Service) prune(id, newest string) error {
	names, err := listNames(s.Policy.Dir, compileName(id, ``, `$`))
	if err != nil {
		return err
	}
	n := len(names)
	if i := slices.Index(names, newest); i >= 0 {
		names = slices.Concat(names[i+1:], names[:i+1])
	}
	return removeFiles(s.Policy.Dir, names[:max(0, n-s.Policy.Keep)])
}

// listNames returns the names of the regular files that match, sorted.
func listNames(dir string, name *regexp.Regexp) (names []string, err error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("list old backups: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && name.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func removeFiles(dir string, names []string) error {
	for _, n := range names {
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
	if last := findLastFailure(list); last != nil {
		all = append(all, rotation.Attention{Code: rotation.BackupFailed, Args: rotation.Args{At: last.At, Value: last.Error}}.Suggest())
	}
	newest := (&attempts{List: list}).findLastSuccess()
	if newest != nil && now.Sub(newest.At) > maxAge*s.Policy.Every {
		all = append(all, rotation.Attention{Code: rotation.BackupOld, Args: rotation.Args{At: newest.At}}.Suggest())
	}
	return all, nil
}
