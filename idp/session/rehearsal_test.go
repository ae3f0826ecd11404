package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// A rehearsal's session is valid only under its own cookie, for its own time, and a user's
// session is not valid there.
func TestRehearsalSessionIsSeparate(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	m := manager(i, false)
	with := func(name, value string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: name, Value: value})
		return r
	}
	c, id, err := m.MintRehearsal(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := m.LookupRehearsal(with(c.Name, c.Value)); err != nil || s.ID != id || s.User != idp.RehearsalUser {
		t.Errorf("session %+v, %v", s, err)
	}
	for _, name := range []string{"vernal-session", "vernal-signin"} {
		r := with(name, c.Value)
		if _, err := m.LookupCurrent(r); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("as %s it is a session: %v", name, err)
		}
		if _, err := m.LookupPending(r); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("as %s it is a sign-in: %v", name, err)
		}
	}

	person := i.AddUser("ada@example.gov")
	w := httptest.NewRecorder()
	pending, err := m.StartPending(w, httptest.NewRequest(http.MethodPost, "/", nil), person.Record.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	begun := w.Result().Cookies()[0].Value
	w = httptest.NewRecorder()
	if _, err := m.LookupRehearsal(with(c.Name, begun)); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("a person's sign-in is a rehearsal: %v", err)
	}
	if _, err := m.CompleteSignIn(w, httptest.NewRequest(http.MethodPost, "/", nil), pending, idp.FactorUse{Factor: idp.FactorTOTP, At: m.Clock.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.LookupRehearsal(with(c.Name, w.Result().Cookies()[0].Value)); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("a person's session is a rehearsal: %v", err)
	}
	i.Clock.Advance(time.Minute)
	if _, err := m.LookupRehearsal(with(c.Name, c.Value)); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("it outlives its time: %v", err)
	}
}
