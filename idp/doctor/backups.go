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
// information: an operator can make such an installation again in a minute.
func (s *Service) checkBackups(ctx context.Context, _ Options) ([]Finding, error) {
	records, err := backup.Records(ctx, s.Installation.Store)
	if err != nil {
		return nil, err
	}
	empty, err := s.isEmpty(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.Rekey.State(ctx)
	if err != nil {
		return nil, err
	}
	opens := func(r backup.Record) bool {
		return slices.ContainsFunc(r.MasterKeys, func(id string) bool {
			return id != "" && slices.Contains([]string{keys.Configured, keys.FromID, keys.ToID}, id)
		})
	}
	findings := judgeBackups(records, s.Clock.Now(), max(backupAge, 2*s.Settings.BackupEvery), opens)
	for i := range findings {
		f := &findings[i]
		if empty {
			f.Level = Information
		}
		f.Suggestions = []idp.Suggestion{idp.Suggest(idp.DoBackup, "")}
	}
	return findings, nil
}

// judgeBackups judges the attempts, oldest first. opens reports whether a master key in force
// opens a backup.
func judgeBackups(records []backup.Record, now time.Time, age time.Duration, opens func(backup.Record) bool) (findings []Finding) {
	add := func(code Code, level Level, args Args) {
		findings = append(findings, Finding{Code: code, Level: level, Args: args})
	}
	made := slices.DeleteFunc(slices.Clone(records), func(r backup.Record) bool { return r.Error != "" })
	if last := len(records) - 1; last >= 0 && records[last].Error != "" {
		r := records[last]
		add(BackupFailed, Problem, Args{Path: r.File, Date: r.At, Value: formatError(errors.New(r.Error))})
	}
	if len(made) == 0 {
		add(BackupMissing, Problem, Args{})
		return findings
	}
	newest := made[len(made)-1]
	if now.Sub(newest.At) > age {
		add(BackupOld, Problem, Args{Path: newest.File, Date: newest.At, Days: int(now.Sub(newest.At) / day)})
	}
	// Only older backups that are still in their place count.
	older := slices.DeleteFunc(made[:len(made)-1], func(r backup.Record) bool {
		_, err := os.Stat(r.File)
		return opens(r) || err != nil
	})
	switch {
	case !opens(newest):
		add(BackupOldMasterKey, Problem, Args{Path: newest.File, Count: len(older) + 1})
	case len(older) > 0:
		add(BackupOldMasterKey, Information, Args{Path: older[len(older)-1].File, Count: len(older)})
	}
	return findings
}
