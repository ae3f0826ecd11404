package logout_test

import (
	"net/http"
	"sync"
	"testing"

	"vernal/idp/idptest"
)

// A HEAD ends and spends nothing. The GET after it is judged.
func TestLogoutHEADEndsNothing(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	address := w.a.LogoutURL(r)
	if page := w.ada.browser.Head(address); page.Status != http.StatusOK {
		t.Errorf("HEAD: %d", page.Status)
	}
	w.wantSignedIn("ada", "bob")
	checkLogoutResponse(t, w.ada.browser.Get(address), w.a, r, ok, "")
	w.wantSignedIn("bob")

	r = &idptest.LogoutRequest{NameID: w.bob.name}
	resp, to := w.bob.browser.CrossSitePostOnly(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
	resp.Body.Close()
	if page := w.bob.browser.Head(to); page.Status != http.StatusOK {
		t.Errorf("HEAD where a POST leads: %d", page.Status)
	}
	w.wantSignedIn("bob")
	checkLogoutResponse(t, w.bob.browser.Get(to), w.a, r, ok, "")
	w.wantSignedIn()
	if w.bob.browser.Session() != "" {
		t.Error("the browser keeps the cookie of a session that has ended")
	}
}

// Many LogoutRequests of one user arrive at once, with both bindings, and some are the same
// message. Each is answered with Success, and no other user's session ends.
func TestConcurrentLogoutsSucceed(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	same := w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name})
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			var page *idptest.Page
			switch r := (&idptest.LogoutRequest{NameID: w.ada.name}); n % 3 {
			case 0:
				page = w.ada.browser.Get(w.a.LogoutURL(r))
			case 1:
				page = w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
			default:
				page = w.ada.browser.Get(same)
			}
			if got := page.LogoutResponse(); got == nil || got.Status.StatusCode.Value != ok {
				t.Errorf("%d:\n%s", page.Status, page.Text())
			}
		})
	}
	wg.Wait()
	w.wantSignedIn("bob")
}
