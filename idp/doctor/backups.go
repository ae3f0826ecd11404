package doctor

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/backup"
)

// backupAge is the greatest age of the newest backup. With automatic backups it is twice their
// interval, if that is longer.
const backupAge = 7 * day

func listBackupChecks() []Check {
	return []Check{{
		Name: "backups", Codes: []Code{BackupMissing, BackupFailed, BackupOld, BackupOldMasterKey}, Run: (*Service).checkBackups,
	}}
}

// checkBackups judges the recorded attempts. Without a service provider its findings are only
// information: an operator can quickly create such an installation again.
func (s *Service) checkBackups(ctx context.Context, _ Options) ([]Finding, error) {
	records, err := backup.Records(ctx, s.Installation.Store)
	if err != nil {
		return nil, err
	}
	isEmpty, err := s.isEmpty(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.Rekey.State(ctx)
	if err != nil {
		return nil, err
	}
	canOpen := func(r backup.Record) bool {
		return slices.ContainsFunc(r.MasterKeys, func(id string) bool {
			return id != "" && slices.Contains([]string{keys.Configured, keys.FromID, keys.ToID}, id)
		})
	}
	findings := judgeBackups(records, s.Clock.Now(), max(backupAge, 2*s.Settings.BackupEvery), canOpen)
	for i := range findings {
		f := &findings[i]
		if isEmpty {
			f.Level = Information
		}
		f.Suggestions = []idp.Suggestion{idp.Suggest(idp.DoBackup, "")}
	}
	return findings, nil
}

// judgeBackups judges the attempts, oldest first. canOpen reports whether a master key in force
// opens a backup.
func judgeBackups(records []backup.Record, now time.Time, age time.Duration, canOpen func(backup.Record) bool) (findings []Finding) {
	add := func(code Code, level Level, args Args) {
		findings = append(findings, Finding{Code: code, Level: level, Args: args})
	}
	backups := slices.DeleteFunc(slices.Clone(records), func(r backup.Record) bool { return r.Error != "" })
	if last := len(records) - 1; last >= 0 && records[last].Error != "" {
		r := records[last]
		add(BackupFailed, Problem, Args{Path: r.File, Date: r.At, Value: formatError(errors.New(r.Error))})
	}
	if len(backups) == 0 {
		add(BackupMissing, Problem, Args{})
		return findings
	}
	newestBackup := backups[len(backups)-1]
	if now.Sub(newestBackup.At) > age {
		add(BackupOld, Problem, Args{Path: newestBackup.File, Date: newestBackup.At, Days: int(now.Sub(newestBackup.At) / day)})
	}
	// Only older backups that are still in their place count.
	olderBackups := slices.DeleteFunc(backups[:len(backups)-1], func(r backup.Record) bool {
		_, err := os.Stat(r.File)
		return canOpen(r) || err != nil
	})
	switch {
	case !canOpen(newestBackup):
		add(BackupOldMasterKey, Problem, Args{Path: newestBackup.File, Count: len(olderBackups) + 1})
	case len(olderBackups) > 0:
		add(BackupOldMasterKey, Information, Args{Path: olderBackups[len(olderBackups)-1].File, Count: len(olderBackups)})
	}
	return findings
}
