package session_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/session"
)

// A session ends when it is idle for too long, or when its time is over, whichever comes
// first. A sign-in that waits for its code has only the time for the code.
func TestSessionEndsWhenIdleOrExpired(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	m := &session.Manager{Clock: func() time.Time { return now }, IdleTimeout: 15 * time.Minute, AbsoluteTimeout: 12 * time.Hour}
	tests := []struct {
		name    string
		seen    time.Duration // ago
		expires time.Duration // from now
		pending bool
		want    time.Duration // from now
	}{
		{"idle", 5 * time.Minute, time.Hour, false, 10 * time.Minute},
		{"idle, a moment more", 15*time.Minute - 1, time.Hour, false, 1},
		{"idle, over", 15 * time.Minute, time.Hour, false, 0},
		{"its time is over first", 0, time.Minute, false, time.Minute},
		{"its time is over", 0, 0, false, 0},
		{"a code is waited for", 20 * time.Minute, 5 * time.Minute, true, 5 * time.Minute},
		{"a code was waited for", 0, 0, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &idp.Session{SeenAt: now.Add(-tt.seen), CreatedAt: now.Add(-tt.seen), ExpiresAt: now.Add(tt.expires), Pending: tt.pending}
			if got := m.EndsAt(s); !got.Equal(now.Add(tt.want)) {
				t.Errorf("ends %v from now, want %v", got.Sub(now), tt.want)
			}
			if m.IsLive(s) != (tt.want > 0) {
				t.Errorf("live: %v", m.IsLive(s))
			}
		})
	}
}

func TestTimeForCodeHasDefault(t *testing.T) {
	t.Parallel()
	if got := (&session.Manager{}).TimeForCode(); got != session.PendingLifetime {
		t.Errorf("by default %v", got)
	}
	if got := (&session.Manager{CodeTime: time.Minute}).TimeForCode(); got != time.Minute {
		t.Errorf("as set %v", got)
	}
}

// The session from which a request was answered ties it, too. Another session, or none, does
// not.
func TestRequestBelongsToItsSession(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	m := manager(i, false)
	ask := func(tokens ...string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, token := range tokens {
			r.AddCookie(&http.Cookie{Name: "vernal-session", Value: token})
		}
		return r
	}
	answered := &idp.LoginRequest{Handle: "h", AnsweringSession: idp.HashSessionToken("one")}
	tests := []struct {
		name string
		req  *idp.LoginRequest
		r    *http.Request
		want bool
	}{
		{"its session", answered, ask("one"), true},
		{"another session", answered, ask("two"), false},
		{"no session", answered, ask(), false},
		{"an empty cookie", answered, ask(""), false},
		{"not answered", &idp.LoginRequest{Handle: "h"}, ask("one"), false},
		{"not answered, no session", &idp.LoginRequest{Handle: "h"}, ask(), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := m.IsTied(tt.r, tt.req); got != tt.want {
				t.Errorf("tied: %v", got)
			}
		})
	}
}
