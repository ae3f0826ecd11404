package rotation

import (
	"slices"
	"time"
)

// Restoration says when the installation was restored, and when the backup was made. Its zero value
// holds nothing.
type Restoration struct {
	At       time.Time `json:"at,omitzero"`
	BackupAt time.Time `json:"backup_at,omitzero"`
}

// Holds reports whether automatic steps wait because of the restore.
func (r Restoration) Holds() bool { return !r.At.IsZero() }

// explain returns why steps wait after a restore.
func (r Restoration) explain() Reason {
	return newReason(WaitsRestored, Args{At: r.At, FromAt: r.BackupAt})
}

// Restore returns the history of an installation that was restored from a backup of the given time.
// It holds all automatic steps. Uses after the backup are unknown, so the time without use begins
// again for each year.
func (h History) Restore(backupAt, now time.Time) History {
	h.Restoration = Restoration{At: now.UTC(), BackupAt: backupAt.UTC()}
	h.Records = slices.Clone(h.Records)
	for i := range h.Records {
		if r := &h.Records[i]; !r.IsOver() {
			r.QuietReading = h.Clock.RunningTime
		}
	}
	return h
}

// holdSteps makes the automatic steps in due wait for an operator: after a restore, and while the
// clock is not trusted because of drift.
func (p Policy) holdSteps(h History, due []DueStep) []DueStep {
	var reasons []Reason
	if h.Restoration.Holds() {
		reasons = append(reasons, h.Restoration.explain())
	}
	if h.Clock.HasDrifted() {
		reasons = append(reasons, h.Clock.explain())
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
