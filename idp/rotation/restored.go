package rotation

import (
	"slices"
	"time"
)

// Restored says when the installation was restored, and when the backup was made. Its zero value
// holds nothing.
type Restored struct {
	At       time.Time `json:"at,omitzero"`
	BackupAt time.Time `json:"backup_at,omitzero"`
}

// Holds reports whether automatic steps wait because of the restore.
func (r Restored) Holds() bool { return !r.At.IsZero() }

// reason returns why steps wait after a restore.
func (r Restored) reason() Reason {
	return newReason(WaitsRestored, Args{Date: r.At, From: r.BackupAt})
}

// Restore returns the history of an installation that was restored from a backup of the given time.
// It holds all automatic steps. Uses after the backup are unknown, so the time without use begins
// again for each year.
func (h History) Restore(backupAt, now time.Time) History {
	h.Restored = Restored{At: now.UTC(), BackupAt: backupAt.UTC()}
	h.Records = slices.Clone(h.Records)
	for i := range h.Records {
		if r := &h.Records[i]; !r.IsOver() {
			r.QuietFrom = h.Clock.Running
		}
	}
	return h
}

// hold makes the automatic steps in due wait for an operator: after a restore, and while the
// clock is not trusted because of drift.
func (p Policy) hold(h History, due []Due) []Due {
	var reasons []Reason
	if h.Restored.Holds() {
		reasons = append(reasons, h.Restored.reason())
	}
	if h.Clock.HasDrifted() {
		reasons = append(reasons, h.Clock.reason())
	}
	if len(reasons) == 0 {
		return due
	}
	for i, d := range due {
		if !p.IsByHand(d) {
			due[i].ReadyAt, due[i].Waits = time.Time{}, append(slices.Clip(due[i].Waits), reasons...)
		}
	}
	return due
}
