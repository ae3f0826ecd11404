package notify_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"vernal/idp/notify"
	"vernal/idp/rotator"
)

// Operators are notified at once of a year that is closed because its key is
// missing, and once a day.
func TestNotifiesOfClosedYear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-02-15")
	w.tick(w.server())
	ok(t, w.rotation.Dir.Destroy("2027"))
	old := w.rotation
	w.rotation = &rotator.Service{
		Store: w.store, Dir: old.Dir, Ring: w.years, Policy: old.Policy, BaseURL: baseURL, Clock: w.clock,
		Log: slog.New(slog.DiscardHandler), NewSigner: newSigner, Uses: old.Uses,
	}
	ok(t, w.rotation.Start(t.Context()))
	w.tick(w.server())
	w.tick(w.server())
	got := slices.DeleteFunc(w.hook.notices(), func(n notify.Notice) bool { return n.Kind != notify.NeedsAttention })
	if len(got) != 1 || got[0].Year != "2027" {
		t.Errorf("%+v, want one of 2027", got)
	}
}

// Operators are notified of a clock that is not trusted, once a day.
func TestNotifiesOfUntrustedClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-02-15")
	w.day(w.server())
	w.turn(w.clock().Add(26 * time.Hour))
	ok(t, w.rotation.Tick(t.Context(), time.Minute))
	w.tick(w.server())
	w.tick(w.server())
	got := slices.DeleteFunc(w.hook.notices(), func(n notify.Notice) bool { return n.Kind != notify.NeedsAttention })
	if len(got) != 1 || got[0].Year != "" {
		t.Errorf("%+v, want one of no year", got)
	}
}
