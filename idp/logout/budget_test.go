package logout_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vernal/idp/idptest"
)

// Anyone who saw a message can repeat it while it is fresh. A sender that repeats it too often
// is asked to wait and blocks neither other networks nor other messages of the SP. The stored
// data does not grow.
func TestWaitingLogoutsAreBounded(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	r := &idptest.LogoutRequest{NameID: w.ada.name, RelayState: strings.Repeat("r", 2048)}
	for n := range 31 {
		r.SessionIndexes = append(r.SessionIndexes, fmt.Sprint(n)+strings.Repeat("i", 250))
	}
	address, form := w.a.LogoutEndpoint(r), w.a.LogoutForm(r)
	send := func(from string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.RemoteAddr = from
		rec := httptest.NewRecorder()
		w.Handler.ServeHTTP(rec, req)
		return rec
	}
	taken, last := 0, (*httptest.ResponseRecorder)(nil)
	for taken < 2000 {
		if last = send("[2001:db8::1]:443"); last.Code != http.StatusSeeOther {
			break
		}
		taken++
	}
	if taken < 500 || taken == 2000 || last.Code != http.StatusServiceUnavailable || last.Header().Get("Retry-After") == "" {
		t.Errorf("%d were taken, and then status %d", taken, last.Code)
	}
	before := w.Changes()
	if got := send("[2001:db8::2]:443").Code; got != http.StatusServiceUnavailable || w.Changes() != before {
		t.Errorf("the same /64: status %d, %d changes", got, w.Changes()-before)
	}
	if got := send("[2001:db8:0:1::1]:443").Code; got != http.StatusSeeOther {
		t.Errorf("another network: status %d", got)
	}
	// The user's own browser, at another network, is signed out.
	out := &idptest.LogoutRequest{NameID: w.ada.name}
	checkLogoutResponse(t, w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(out), w.a.LogoutForm(out)), w.a, out, ok, "")

	w.Clock.Advance(time.Minute)
	if got := send("[2001:db8::1]:443").Code; got != http.StatusSeeOther {
		t.Errorf("a minute later: status %d", got)
	}
}
