package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// A user who ends all their other sessions has one left, even if a sign-in gets its second
// factor, or a session is stepped up, at that moment.
func TestEndOthersRacesSignIn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov").Record.ID
	m := manager(i, false)
	begin := func() (*http.Request, *idp.Session) {
		w := httptest.NewRecorder()
		pending, err := m.StartPending(w, httptest.NewRequest(http.MethodPost, "/", nil), ann, "")
		if err != nil {
			t.Fatal(err)
		}
		return browserOf(w), pending
	}
	signIn := func() (*http.Request, *idp.Session) {
		r, pending := begin()
		w := httptest.NewRecorder()
		s, err := m.CompleteSignIn(w, r, pending, idp.FactorUse{Factor: idp.FactorTOTP, At: m.Clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return browserOf(w), s
	}
	_, here := signIn()
	for range 30 {
		r, pending := begin()
		there, other := signIn()
		done := make(chan error, 2)
		go func() {
			_, err := m.CompleteSignIn(httptest.NewRecorder(), r, pending, idp.FactorUse{Factor: idp.FactorTOTP, At: m.Clock.Now()})
			done <- err
		}()
		go func() {
			_, err := m.StepUp(httptest.NewRecorder(), there, other, idp.FactorTOTP)
			done <- err
		}()
		if _, err := m.EndOwnSessions(t.Context(), here, "", idp.AuditEvent{Kind: "session.end", Outcome: "ok"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, idp.ErrSessionEnded) {
				t.Fatal(err)
			}
		}
		if left, err := m.ListOwnSessions(t.Context(), ann); err != nil || len(left) != 1 || left[0].ID != here.ID {
			t.Fatalf("%d sessions are left (%v), want this one alone", len(left), err)
		}
	}
}

// An ended session ends no others, however late its request arrives.
func TestEndOthersFromEnded(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov").Record.ID
	m := manager(i, false)
	start := func() *idp.Session {
		s, err := m.StartPending(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil), ann, "")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	stolen, own := start(), start()
	if n, err := m.EndOwnSessions(t.Context(), own, "", idp.AuditEvent{Kind: idp.AuditSessionEnd}); err != nil || n != 1 {
		t.Fatalf("%d ended, %v", n, err)
	}
	if _, err := m.EndOwnSessions(t.Context(), stolen, "", idp.AuditEvent{Kind: idp.AuditSessionEnd}); !errors.Is(err, idp.ErrSessionEnded) {
		t.Errorf("from a session that was ended: %v, want idp.ErrSessionEnded", err)
	}
	if _, err := i.Store.Session(t.Context(), own.ID); err != nil {
		t.Errorf("the other session: %v", err)
	}
}
