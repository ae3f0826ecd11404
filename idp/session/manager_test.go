package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/session"
)

func manager(i *idptest.IdP, secure bool) *session.Manager {
	return &session.Manager{Store: i.Store, Clock: i.Clock.Now, IdleTimeout: 15 * time.Minute, AbsoluteTimeout: 12 * time.Hour, Secure: secure}
}

// browserOf returns a request with the cookies that w set.
func browserOf(w *httptest.ResponseRecorder) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			r.AddCookie(c)
		}
	}
	return r
}

func TestPendingSessionCookieIsRestricted(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	person := i.AddUser("ada@example.gov")
	for _, secure := range []bool{false, true} {
		m := manager(i, secure)
		w := httptest.NewRecorder()
		if _, err := m.StartPending(w, httptest.NewRequest(http.MethodPost, "/", nil), person.Record.ID, ""); err != nil {
			t.Fatal(err)
		}
		c := w.Result().Cookies()[0]
		if c.Secure != secure || (c.Name == "__Host-vernal-signin") != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("secure %v: cookie %v", secure, c)
		}
		if _, err := i.Store.Session(t.Context(), idp.SessionID(c.Value)); !errors.Is(err, idp.ErrNotFound) {
			t.Error("the store finds a session by what the browser holds")
		}
	}
}

// A pending sign-in is not a session, whichever cookie carries it, and a session is not a
// pending sign-in.
func TestPendingIsNoSession(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	person := i.AddUser("ada@example.gov")
	m := manager(i, false)
	w := httptest.NewRecorder()
	pending, err := m.StartPending(w, httptest.NewRequest(http.MethodPost, "/", nil), person.Record.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	r := browserOf(w)
	r.AddCookie(&http.Cookie{Name: "vernal-session", Value: w.Result().Cookies()[0].Value})
	if s, err := m.LookupCurrent(r); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("a pending sign-in passes for a session: %v, %v", s, err)
	}

	w = httptest.NewRecorder()
	if _, err := m.CompleteSignIn(w, r, pending, idp.FactorUse{Factor: idp.FactorTOTP, At: m.Clock.Now()}); err != nil {
		t.Fatal(err)
	}
	r = browserOf(w)
	if _, err := m.LookupCurrent(r); err != nil {
		t.Errorf("no session after the second factor: %v", err)
	}
	token := r.Cookies()[0].Value
	r = httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "vernal-signin", Value: token})
	if s, err := m.LookupPending(r); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("a session passes for a pending sign-in: %v, %v", s, err)
	}
}

func TestEndedPendingSessionCannotComplete(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	person := i.AddUser("ada@example.gov")
	m := manager(i, false)
	w := httptest.NewRecorder()
	pending, err := m.StartPending(w, httptest.NewRequest(http.MethodPost, "/", nil), person.Record.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Accounts.Lock(t.Context(), person.Email, "test", "test"); err != nil {
		t.Fatal(err)
	}
	if err := i.Accounts.Unlock(t.Context(), person.Email, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.CompleteSignIn(httptest.NewRecorder(), browserOf(w), pending, idp.FactorUse{Factor: idp.FactorTOTP, At: m.Clock.Now()}); !errors.Is(err, idp.ErrSessionEnded) {
		t.Errorf("a sign-in that was begun before the lock is completed after it: %v", err)
	}
}

func TestRequestBelongsToItsBrowser(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	m := manager(i, false)
	now := i.Clock.Now()
	tie := func(id string) (*idp.LoginRequest, *http.Request) {
		req := &idp.LoginRequest{Handle: session.NewHandle(now), SP: "https://sp.example", MessageID: id, ReceivedAt: now, ExpiresAt: now.Add(session.RequestLifetime)}
		w := httptest.NewRecorder()
		http.SetCookie(w, m.TieRequest(req))
		if err := i.Store.CreateLoginRequest(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		return req, browserOf(w)
	}
	one, browserOne := tie("_1")
	two, browserTwo := tie("_2")
	if _, err := m.LookupRequest(browserOne, one.Handle); err != nil {
		t.Errorf("own request: %v", err)
	}
	if _, err := m.LookupRequest(browserTwo, one.Handle); !errors.Is(err, session.ErrOtherBrowser) {
		t.Errorf("request of another browser: %v", err)
	}
	// The secret of one request under the name of another.
	swapped := httptest.NewRequest(http.MethodGet, "/", nil)
	swapped.AddCookie(&http.Cookie{Name: "vernal-request-" + string(one.Handle), Value: browserTwo.Cookies()[0].Value})
	if _, err := m.LookupRequest(swapped, one.Handle); !errors.Is(err, session.ErrOtherBrowser) {
		t.Errorf("secret of another request: %v", err)
	}
	i.Clock.Advance(session.RequestLifetime)
	if _, err := m.LookupRequest(browserTwo, two.Handle); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("expired request: %v", err)
	}
}

// A browser keeps its eight newest requests.
func TestTrimKeepsNewestRequests(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	m := manager(i, false)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	var names []string
	for n := range 10 {
		name := "vernal-request-" + string(session.NewHandle(i.Clock.Now().Add(time.Duration(n)*time.Second)))
		names = append(names, name)
		r.AddCookie(&http.Cookie{Name: name, Value: "x"})
	}
	w := httptest.NewRecorder()
	m.TrimRequestCookies(w, r)
	var dropped []string
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			dropped = append(dropped, c.Name)
		}
	}
	if len(dropped) != 2 || dropped[0] != names[0] || dropped[1] != names[1] {
		t.Errorf("dropped %v, want the two oldest of %v", dropped, names)
	}
}
