package yearaccess_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// TestPreviewCookieFollowsScheme checks that over https the cookie of a link arrives with a
// form that another site posts, and can be set by no other host. Over http it is limited to
// our own pages.
func TestPreviewCookieFollowsScheme(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		w.AddProvider(spA)
		_, token := w.link(spA, w.next)
		resp, err := w.Client.Transport.RoundTrip(mustRequest(t, w.URL+"/developers/preview?link="+url.QueryEscape(token)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		c, sameSite := resp.Cookies()[0], http.SameSiteLaxMode
		if w.tls {
			sameSite = http.SameSiteNoneMode
		}
		if want := w.cookie(spA, w.next, token); c.Name != want.Name || c.Value != token || c.MaxAge != 3600 {
			t.Errorf("cookie %v, want %v for an hour", c, want)
		}
		if c.SameSite != sameSite || c.Secure != w.tls || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %v", c)
		}
	})
}

func mustRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLinkOpensAtReception checks that a link opens the year at once to the browser that
// opened the link, by either binding. Over http the browser does not send the cookie when
// another site posts, so there only the field opens the year.
func TestLinkOpensAtReception(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		a, user := w.AddProvider(spA), w.AddUser("ada@example.gov")
		_, token := w.link(spA, w.next)
		browser := w.enter(token)
		if page := browser.SignIn(browser.Get(a.URL(w.request())), user); page.Response() == nil {
			t.Errorf("GET: %d\n%s", page.Status, page.Text())
		}
		page := w.bring(browser, a, http.MethodPost)
		if w.tls && page.Response() == nil {
			t.Errorf("POST: %d\n%s", page.Status, page.Text())
		} else if !w.tls {
			w.isInvisible("POST over http", page)
			a.Edit(w.openByField)
			if page := w.bring(browser, a, http.MethodPost); page.Response() == nil {
				t.Errorf("POST by the field: %d\n%s", page.Status, page.Text())
			}
		}
	})
}

// TestLinkOpensToUnsignedRequests checks that a link lets in a sender whose requests need no
// signature, by either binding: the cookie identifies the browser.
func TestLinkOpensToUnsignedRequests(t *testing.T) {
	t.Parallel()
	w := newServer(t, true)
	loose := w.AddProvider("https://loose.example", unsigned)
	_, token := w.link("https://loose.example", w.next)
	browser := w.enter(token)
	for name, page := range map[string]*idptest.Page{
		"GET":  browser.Get(loose.URL(&idptest.Request{Year: w.next, Unsigned: true})),
		"POST": browser.CrossSitePost(w.auth(w.next), loose.Form(&idptest.Request{Year: w.next, Unsigned: true})),
	} {
		if _, ok := page.Form().Fields["password"]; !ok {
			t.Errorf("%s: no sign-in page, but %d\n%s", name, page.Status, page.Text())
		}
	}
}

// TestEmbeddedRequestsBringNoPreview checks that the cookie counts only where the browser
// navigates. A page of another site that loads our URLs as images, scripts or frames gets
// the answer of a stranger, so it cannot find out that its visitor previews a year.
func TestEmbeddedRequestsBringNoPreview(t *testing.T) {
	t.Parallel()
	w := newServer(t, true)
	a := w.AddProvider(spA)
	_, token := w.link(spA, w.next)
	cookie := w.cookie(spA, w.next, token)
	logout := &idptest.LogoutRequest{NameID: "x", Year: w.next}
	for _, dest := range []string{"image", "script", "style", "iframe", "frame", "object", "embed", "empty", "audio", "fencedframe", "report"} {
		as := func(r *http.Request) {
			r.AddCookie(cookie)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "no-cors")
			r.Header.Set("Sec-Fetch-Dest", dest)
		}
		w.invisible("GET as "+dest, w.send(http.MethodGet, a.URL(w.request()), nil, as), http.MethodGet)
		w.invisible("POST as "+dest, w.send(http.MethodPost, w.auth(w.next), a.Form(w.request()), as), http.MethodPost)
		w.invisible("logout as "+dest, w.send(http.MethodGet, a.LogoutURL(logout), nil, as), http.MethodGet)
		if got := w.send(http.MethodGet, w.URL+"/developers/preview?link="+url.QueryEscape(token), nil, as); got.cookies != 0 {
			t.Errorf("a link as %s sets a cookie", dest)
		}
		page := w.send(http.MethodGet, w.URL+"/developers/preview", nil, as)
		if page.status != http.StatusOK || strings.Contains(page.text, token) {
			t.Errorf("the page of previews as %s shows the token: %d", dest, page.status)
		}
	}
	as := func(r *http.Request) {
		r.AddCookie(cookie)
		r.Header.Set("Sec-Fetch-Dest", "document")
	}
	if got := w.send(http.MethodGet, a.URL(w.request()), nil, as); got.status != http.StatusSeeOther {
		t.Errorf("a navigation gets %d", got.status)
	}
	if page := w.send(http.MethodGet, w.URL+"/developers/preview", nil, as); !strings.Contains(page.text, token) {
		t.Errorf("the page of previews does not show it: %d\n%s", page.status, page.text)
	}
}

// TestPreviewIsNoSession checks that a preview grants no session: the user still signs in,
// and the browser does not send the session cookie when another site posts.
func TestPreviewIsNoSession(t *testing.T) {
	t.Parallel()
	w := newServer(t, true)
	a, user := w.AddProvider(spA), w.AddUser("ada@example.gov")
	_, token := w.link(spA, w.next)
	browser := w.enter(token)
	browser.SignIn(browser.Get(a.URL(new(idptest.Request))), user)
	var other *http.Response
	for name, form := range map[string]url.Values{
		"sign-in": a.Form(w.request()), "passive": a.Form(&idptest.Request{Year: w.next, IsPassive: true}),
	} {
		other, _ = browser.CrossSitePostOnly(w.auth(w.next), form)
		_ = other.Body.Close()
		if other.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %s, want the redirect that fetches the session", name, other.Status)
		}
	}
	for _, c := range other.Request.Cookies() {
		if !strings.Contains(c.Name, "preview") {
			t.Errorf("the post of another site brings %s", c.Name)
		}
	}
	a.Edit(func(p *idp.ServiceProvider) { p.Active = false })
	w.isInvisible("inactive", w.bring(browser, a, http.MethodPost))
}
