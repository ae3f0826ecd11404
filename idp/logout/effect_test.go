package logout_test

import (
	"net/http"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// alive reports whether the browser's session still answers an AuthnRequest without a
// password.
func (w *deployment) alive(v *visitor, p *idptest.Provider) bool {
	w.t.Helper()
	return v.browser.Get(p.URL(&idptest.Request{IsPassive: true})).Response() != nil && len(w.sessionsOf(v)) > 0
}

func (w *deployment) sessionsOf(v *visitor) []*idp.Session {
	w.t.Helper()
	all, err := w.Store.Sessions(w.t.Context(), idp.SessionQuery{User: v.Record.ID})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// send sends a front-channel message by GET or POST and returns the page.
func (w *deployment) send(b *idptest.Browser, p *idptest.Provider, r *idptest.LogoutRequest, method string) *idptest.Page {
	if method == http.MethodPost {
		return b.CrossSitePost(p.LogoutEndpoint(r), p.LogoutForm(r))
	}
	return b.Get(p.LogoutURL(r))
}

// A link scanner fetches the message without cookies before or after the user's browser does.
// The session ends in either order, and Success is true.
func TestLogoutAfterLinkScanner(t *testing.T) {
	t.Parallel()
	for _, first := range []string{http.MethodGet, http.MethodPost} {
		for _, then := range []string{http.MethodGet, http.MethodPost} {
			for _, index := range []bool{false, true} {
				t.Run(first+" then "+then, func(t *testing.T) {
					t.Parallel()
					w := newDeployment(t)
					w.Clock.Advance(time.Second)
					r := &idptest.LogoutRequest{NameID: w.ada.name}
					if index {
						r.SessionIndexes = []string{w.ada.index}
					}
					scanner := w.Browser()
					page := w.send(scanner, w.a, r, first)
					checkLogoutResponse(t, page, w.a, r, ok, "")
					w.wantSignedIn("bob")
					checkLogoutResponse(t, w.send(w.ada.browser, w.a, r, then), w.a, r, ok, "")
					w.wantSignedIn("bob")
				})
			}
		}
	}
}

// A user with two browsers opens the message in the one without a session, in another user's,
// and in their own.
func TestLogoutFromSecondBrowser(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			w.Clock.Advance(time.Second)
			r := &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.index}}
			checkLogoutResponse(t, w.send(w.bob.browser, w.a, r, method), w.a, r, requester, unknownPrincipal)
			w.wantSignedIn("ada", "bob")
			checkLogoutResponse(t, w.send(w.Browser(), w.a, r, method), w.a, r, ok, partialLogout)
			w.wantSignedIn("bob")
			checkLogoutResponse(t, w.send(w.ada.browser, w.a, r, method), w.a, r, ok, "")
			w.wantSignedIn("bob")
			// A newer session is not named, however the message arrives again.
			w.signIn(&w.ada, w.a)
			checkLogoutResponse(t, w.send(w.ada.browser, w.a, r, method), w.a, r, ok, "")
			w.wantSignedIn("ada", "bob")
		})
	}
}

// However often an SP was answered in a session, the first SessionIndex that it was sent names
// the session, on both channels.
func TestLogoutByFirstOfManySessionIndexes(t *testing.T) {
	t.Parallel()
	for _, remote := range []bool{false, true} {
		w := newDeployment(t)
		first := w.ada.index
		for range 21 {
			w.Clock.Advance(time.Second)
			if _, index := w.signIn(&w.ada, w.a); index != first {
				t.Errorf("SessionIndex %q after %q in the same session", index, first)
			}
		}
		r := &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{first}}
		if remote {
			if got := w.a.SendRemoteLogout(r); got.Response == nil || got.Response.Status.StatusCode.Value != ok {
				t.Errorf("%d\n%s", got.Status, got.Body)
			}
		} else {
			checkLogoutResponse(t, w.ada.browser.Get(w.a.LogoutURL(r)), w.a, r, ok, partialLogout)
		}
		w.wantSignedIn("bob")
	}
}
