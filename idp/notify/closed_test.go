package notify_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp/backup"
	"vernal/idp/notify"
)

// TestNotifiesOfClosedYear checks that operators are notified at once, and then once a day,
// of a year that is closed because its key is missing.
func TestNotifiesOfClosedYear(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-15")
	w.tick(w.server())
	ok(t, w.Rotation.Dir.Destroy("2027"))
	w.Installation = w.Server()
	ok(t, w.Rotation.Start(t.Context()))
	w.tick(w.server())
	w.tick(w.server())
	got := slices.DeleteFunc(w.hook.notices(), func(n notify.Notice) bool { return n.Kind != notify.NeedsAttention })
	if len(got) != 1 || got[0].Year != "2027" {
		t.Errorf("%+v, want one of 2027", got)
	}
}

// TestNotifiesOfUntrustedClock checks that operators are notified once a day of a clock that
// is not trusted.
func TestNotifiesOfUntrustedClock(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-15")
	w.day(w.server())
	w.Clock.Set(w.Clock.Now().Add(26 * time.Hour))
	ok(t, w.Rotation.Tick(t.Context(), time.Minute))
	w.tick(w.server())
	w.tick(w.server())
	got := slices.DeleteFunc(w.hook.notices(), func(n notify.Notice) bool { return n.Kind != notify.NeedsAttention })
	if len(got) != 1 || got[0].Year != "" {
		t.Errorf("%+v, want one of no year", got)
	}
}

// TestNotifiesOfFailedBackup checks that operators are notified of a backup that failed, and of
// an old one, once a day each.
func TestNotifiesOfFailedBackup(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-15")
	w.tick(w.server())
	w.Backups.Policy = backup.Policy{Every: time.Hour, Dir: filepath.Join(t.TempDir(), "missing"), Keep: 1}
	ok(t, w.Backups.Finish(t.Context(), backup.Record{File: "good"}))
	w.Clock.Advance(3 * time.Hour)
	if err := w.Backups.Tick(t.Context()); err == nil {
		t.Fatal("a backup was written into a missing folder")
	}
	w.tick(w.server())
	w.tick(w.server())
	var got []string
	for _, n := range w.hook.notices() {
		if n.Kind == notify.NeedsAttention {
			got = append(got, strings.Split(n.ID, "/")[2])
		}
	}
	if want := []string{"backup_failed", "backup_old"}; !slices.Equal(got, want) {
		t.Errorf("notices of %v, want %v", got, want)
	}
}
