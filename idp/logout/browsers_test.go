package logout_test

import (
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// A user has two browsers, and the SP takes part in the session of the other one only. A
// message names the same sessions in either browser: the SP's, and without a SessionIndex also
// the browser's own, because its user asks here.
func TestLogoutOfSPVisitedInOtherBrowser(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		request        func(w *deployment) *idptest.LogoutRequest
		status, detail string
		here, there    bool // whether the session ends
	}{
		{"without a SessionIndex", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name}
		}, ok, partialLogout, true, true},
		{"with the UUID", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.name}}
		}, ok, partialLogout, true, true},
		{"with that of the other session", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.index}}
		}, ok, partialLogout, false, true},
		{"with one that is over", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{"_over"}}
		}, requester, unknownPrincipal, false, false},
		{"of another person", func(w *deployment) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.bob.name}
		}, requester, unknownPrincipal, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			here := visitor{User: w.ada.User, browser: w.Browser()}
			w.signIn(&here, w.b) // and not at w.a
			r := tt.request(w)
			page := here.browser.Get(w.a.LogoutURL(r))
			checkLogoutResponse(t, page, w.a, r, tt.status, tt.detail)
			if strings.Contains(page.Text(), "Test "+spB) != tt.here {
				t.Errorf("the page names the other service %v:\n%s", !tt.here, page.Text())
			}
			if ended := here.browser.Session() == ""; ended != tt.here {
				t.Errorf("the browser's cookie is taken back: %v, want %v", ended, tt.here)
			}
			for b, ends := range map[*idptest.Browser]bool{here.browser: tt.here, w.ada.browser: tt.there} {
				if next := b.Get(w.b.URL(&idptest.Request{})); (next.Response() == nil) != ends {
					t.Errorf("a session has ended: %v, want %v", !ends, ends)
				}
			}
		})
	}
}

// SPs of one agency share the NameID, so each may sign out any user that the agency knows. An
// SP of another agency cannot, even if it has learned the name.
func TestOnlySPsOfAgencyShareLogout(t *testing.T) {
	t.Parallel()
	parks := func(p *idp.ServiceProvider) { p.Agency = "Parks" }
	w := newDeployment(t, parks)
	sibling := w.AddProvider("https://sibling.example", parks)
	stranger := w.AddProvider("https://stranger.example")

	r := &idptest.LogoutRequest{NameID: w.ada.name}
	checkLogoutResponse(t, w.ada.browser.Get(stranger.LogoutURL(r)), stranger, r, requester, unknownPrincipal)
	w.wantSignedIn("ada", "bob")
	r = &idptest.LogoutRequest{NameID: w.ada.name}
	page := w.ada.browser.Get(sibling.LogoutURL(r))
	checkLogoutResponse(t, page, sibling, r, ok, "")
	w.wantSignedIn("bob")
	for _, name := range []string{"Test " + spA, "Test " + spB} {
		if !slices.Contains(strings.Split(page.Text(), "\n"), name) {
			t.Errorf("the page does not name %s:\n%s", name, page.Text())
		}
	}
}
