package logout_test

import (
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// An SP that was not visited in the session of this browser, but in another one
// of the same person's: without a SessionIndex it signs the person out here, as
// they have asked for there; with the other session's it is not this one that is
// meant. The other browser's session stays in either case.
func TestLogoutOfSPVisitedElsewhere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		request        func(w *world) *idptest.LogoutRequest
		status, detail string
		left           []string
	}{
		{"without a SessionIndex", func(w *world) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name}
		}, ok, "", []string{"ada", "bob"}},
		{"with that of the other session", func(w *world) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.index}}
		}, requester, unknownPrincipal, []string{"ada", "ada", "bob"}},
		{"of another person", func(w *world) *idptest.LogoutRequest {
			return &idptest.LogoutRequest{NameID: w.bob.name}
		}, requester, unknownPrincipal, []string{"ada", "ada", "bob"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			here := visitor{Person: w.ada.Person, browser: w.Browser()}
			w.signIn(&here, w.b) // and not at w.a
			r := tt.request(w)
			page := here.browser.Get(w.a.LogoutURL(r))
			answered(t, page, w.a, r, tt.status, tt.detail)
			if ended := tt.status == ok; strings.Contains(page.Text(), "Test "+spB) != ended {
				t.Errorf("the page names the other service %v:\n%s", !ended, page.Text())
			}
			w.want(tt.left...)
			if next := w.ada.browser.Get(w.a.URL(&idptest.Request{})); next.Response() == nil {
				t.Error("the session in the other browser has ended")
			}
		})
	}
}

// SPs of one agency share the NameID, so each may sign out whom the agency knows;
// one of another agency cannot, whatever name it has heard.
func TestLogoutWithinAgency(t *testing.T) {
	t.Parallel()
	parks := func(p *idp.ServiceProvider) { p.Agency = "Parks" }
	w := newWorld(t, parks)
	sibling := w.AddProvider("https://sibling.example", parks)
	stranger := w.AddProvider("https://stranger.example")

	r := &idptest.LogoutRequest{NameID: w.ada.name}
	answered(t, w.ada.browser.Get(stranger.LogoutURL(r)), stranger, r, requester, unknownPrincipal)
	w.want("ada", "bob")
	r = &idptest.LogoutRequest{NameID: w.ada.name}
	page := w.ada.browser.Get(sibling.LogoutURL(r))
	answered(t, page, sibling, r, ok, "")
	w.want("bob")
	for _, name := range []string{"Test " + spA, "Test " + spB} {
		if !slices.Contains(strings.Split(page.Text(), "\n"), name) {
			t.Errorf("the page does not name %s:\n%s", name, page.Text())
		}
	}
}
