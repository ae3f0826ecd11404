package session_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/session"
)

// A restored store does not know whether a request that a browser holds was answered after the
// backup, so the request is refused. One from after the restore is not.
func TestHeldRequestEndsWithRestore(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	m := manager(i, false)
	m.Sealer = i.Sealer
	look := func(received time.Time) error {
		t.Helper()
		req := &idp.LoginRequest{
			Handle: session.NewHandle(received), SP: "https://sp.example", MessageID: "_1", Year: "2031",
			ReceivedAt: received, ExpiresAt: i.Clock.Now().Add(time.Hour),
		}
		w := httptest.NewRecorder()
		if err := m.HoldRequest(w, req); err != nil {
			t.Fatal(err)
		}
		_, err := m.LookupRequest(browserOf(w), req.Handle)
		return err
	}
	now := i.Clock.Now()
	if err := look(now); err != nil {
		t.Fatalf("before a restore: %v", err)
	}
	if _, err := i.Store.Restore(t.Context(), idp.Restore{At: now}); err != nil {
		t.Fatal(err)
	}
	for _, received := range []time.Time{now, now.Add(-time.Minute)} {
		if err := look(received); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("received %v before the restore: %v", now.Sub(received), err)
		}
	}
	if err := look(now.Add(time.Second)); err != nil {
		t.Errorf("received after the restore: %v", err)
	}
}
