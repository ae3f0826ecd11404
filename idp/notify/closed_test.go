package notify_test

import (
	"slices"
	"testing"
	"time"

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
