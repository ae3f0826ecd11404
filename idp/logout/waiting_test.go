package logout_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// held is a store that pauses just before a LogoutRequest is decided, when the browser's
// session was read and no session has ended.
type held struct {
	idp.OwnedStore
	once sync.Once
	// arrived is closed when the answer is about to be written. The write waits until release
	// is closed.
	arrived, release chan struct{}
}

func (h *held) RecordLogout(ctx context.Context, l *idp.Logout) (*idp.LogoutOutcome, error) {
	h.once.Do(func() {
		close(h.arrived)
		<-h.release
	})
	return h.OwnedStore.RecordLogout(ctx, l)
}

// A step-up in another tab gives the session a new ID and a new cookie while a LogoutRequest
// that came with the old ones is on its way to the store. The SP is answered Success, so the
// replacement of the old session must end, too. A session in another browser, in which that SP
// takes no part, stays.
func TestLogoutMeetsStepUp(t *testing.T) {
	t.Parallel()
	store := &held{arrived: make(chan struct{}), release: make(chan struct{})}
	release := sync.OnceFunc(func() { close(store.release) })
	i := idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }})
	t.Cleanup(release)
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	ada, browser, otherBrowser := i.AddUser("ada@example.gov"), i.Browser(), i.Browser()

	// A remembered browser signs in with less than aal/2.
	browser.GiveCode(browser.GivePassword(browser.Get("/sign-in"), ada), ada, "remember")
	browser.Post("/account/sign-out", nil)
	r := &idptest.Request{}
	assertion, err := a.Check(r, browser.GivePassword(browser.Get(a.URL(r)), ada).Response())
	if err != nil {
		t.Fatal(err)
	}
	r = &idptest.Request{}
	if otherBrowser.SignIn(otherBrowser.Get(b.URL(r)), ada).Response() == nil {
		t.Fatal("not signed in in the other browser")
	}
	more := &idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/2"}}
	stepUp := browser.Get(a.URL(more))

	out := &idptest.LogoutRequest{NameID: assertion.Subject.NameID.Value}
	address, old := a.LogoutURL(out), browser.Session()
	answer := make(chan *idptest.Page, 1)
	go func() { answer <- browser.Get(address) }()
	select {
	case <-store.arrived:
	case page := <-answer:
		t.Fatalf("answered without a record: %d\n%s", page.Status, page.Text())
	}
	stepped := browser.GiveCode(stepUp, ada)
	release()
	page := <-answer
	if stepped.Response() == nil || old == "" {
		t.Fatalf("no step-up: %d %s\n%s", stepped.Status, stepped.URL, stepped.Text())
	}
	checkLogoutResponse(t, page, a, out, ok, "")
	if left, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: ada.Record.ID}); err != nil || len(left) != 1 {
		t.Errorf("sessions left: %d, %v; want that of the other browser", len(left), err)
	}
	if next := otherBrowser.Get(b.URL(&idptest.Request{})); next.Response() == nil {
		t.Error("the session in the other browser has ended")
	}
}

// A waiting request can be continued within the hour and while its SP is registered. A browser
// that comes for another browser's request learns only that it is gone.
func TestWaitingLogoutExpiresAfterAnHour(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		meanwhile func(w *deployment)
		to        string // "" for the URL of the redirect
		code      string // "" for an answer
	}{
		{"a minute less than an hour", func(w *deployment) { w.Clock.Advance(59 * time.Minute) }, "", ""},
		{"an hour", func(w *deployment) { w.Clock.Advance(time.Hour) }, "", "request_stale"},
		{"the provider was removed", func(w *deployment) {
			if err := w.Registry.Remove(w.t.Context(), spA, "test"); err != nil {
				w.t.Fatal(err)
			}
		}, "", "sp_unknown"},
		{"never stored", func(*deployment) {}, "/account/sign-out/continue?request=guessed", "request_stale"},
		{"no handle", func(*deployment) {}, "/account/sign-out/continue", "request_stale"},
		{"a long handle", func(*deployment) {}, "/account/sign-out/continue?request=" + strings.Repeat("h", 70000), "request_stale"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			r := &idptest.LogoutRequest{NameID: w.ada.name}
			resp, to := w.ada.browser.CrossSitePostOnly(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
			resp.Body.Close()
			tt.meanwhile(w)
			if tt.to != "" {
				to = tt.to
			}
			page := w.ada.browser.Get(to)
			if tt.code == "" {
				checkLogoutResponse(t, page, w.a, r, ok, "")
				return
			}
			if page.Status != http.StatusBadRequest || page.Response() != nil || !strings.Contains(page.Text(), tt.code) {
				t.Errorf("%d, want 400 and %q:\n%s", page.Status, tt.code, page.Text())
			}
			w.wantSignedIn("ada", "bob")
		})
	}
}

// A message that waits for a browser and also arrives on the back channel is answered there
// first. Then the browser gets its answer. It is one message, so neither answer ends a newer
// session.
func TestRemoteLogoutOfMessageThatWaits(t *testing.T) {
	t.Parallel()
	for _, soap := range []bool{false, true} {
		w := newDeployment(t)
		r := &idptest.LogoutRequest{NameID: w.ada.name, Destination: "-"}
		resp, to := w.ada.browser.CrossSitePostOnly(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
		resp.Body.Close()
		w.Clock.Advance(time.Second)
		fresh := visitor{User: w.ada.User, browser: w.Browser()}
		w.signIn(&fresh, w.a)
		send := w.a.SendRemoteLogout
		if soap {
			send = w.a.SendSOAPLogout
		}
		for range 2 {
			got := send(r)
			if got.Status != http.StatusOK || got.Response == nil || got.Response.Status.StatusCode.Value != ok || got.Response.Status.StatusCode.StatusCode != nil {
				t.Errorf("%d\n%s", got.Status, got.Body)
			}
			w.wantSignedIn("ada", "bob")
		}
		r.Remote = false
		checkLogoutResponse(t, w.ada.browser.Get(to), w.a, r, ok, "")
		w.wantSignedIn("ada", "bob")
		if !w.alive(&fresh, w.a) {
			t.Error("the session that began since has ended")
		}
	}
}
