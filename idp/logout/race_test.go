package logout_test

import (
	"net/http"
	"sync"
	"testing"

	"vernal/idp/idptest"
)

// A HEAD ends nothing and spends nothing: the GET after it is judged.
func TestLogoutHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	address := w.a.LogoutURL(r)
	if page := w.ada.browser.Head(address); page.Status != http.StatusOK {
		t.Errorf("HEAD: %d", page.Status)
	}
	w.want("ada", "bob")
	answered(t, w.ada.browser.Get(address), w.a, r, ok, "")
	w.want("bob")
}

// Many LogoutRequests of one person at once, half of them the same message:
// each is answered with Success, and nobody else's session ends.
func TestLogoutRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	same := w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name})
	var wg sync.WaitGroup
	for n := range 12 {
		address := same
		if n%2 == 0 {
			address = w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name})
		}
		wg.Go(func() {
			page := w.ada.browser.Get(address)
			if got := page.LogoutResponse(); got == nil || got.Status.StatusCode.Value != ok {
				t.Errorf("%d:\n%s", page.Status, page.Text())
			}
		})
	}
	wg.Wait()
	w.want("bob")
}
