package yearaccess_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
)

// bring brings a request to the next year, by GET or from another site by POST, and
// ends where the browser does.
func (w *server) bring(b *idptest.Browser, p *idptest.Provider, method string) *idptest.Page {
	w.t.Helper()
	if method == http.MethodPost {
		return b.CrossSitePost(w.auth(w.next), p.Form(w.request()))
	}
	return b.Get(p.URL(w.request()))
}

func (w *server) isInvisible(name string, page *idptest.Page) {
	w.t.Helper()
	path := w.neverMadeURL(page.URL.Path)
	never := w.Browser().Get(w.URL + path)
	if !strings.HasPrefix(path, "/api/saml/") {
		never = w.Browser().Get(w.URL + "/no-such-page") // a later step of the sign-in
	}
	if strings.HasPrefix(page.Header.Get("Content-Type"), "text/plain") { // the client asked for no HTML
		never = w.Browser().CrossSitePost(path, url.Values{})
	}
	if page.Status != http.StatusNotFound || w.neverMadeURL(string(page.Body)) != string(never.Body) {
		w.t.Errorf("%s: %d, want the 404 of a year that was never made:\n%s", name, page.Status, page.Text())
	}
}

// TestAccessIsDecidedAtEachStep checks that a permission revoked while the user signs in
// opens nothing any more, by either binding.
func TestAccessIsDecidedAtEachStep(t *testing.T) {
	t.Parallel()
	leave := func(w *server, b *idptest.Browser, _ sharelink.Link) {
		form := b.Get(w.URL + "/developers/preview").Form()
		b.Post(form.Action, form.Fields)
	}
	for _, tt := range []struct {
		name   string
		field  bool
		change func(*server, *idptest.Browser, sharelink.Link)
		want   int // the status of what follows; 0: a Response
	}{
		{"nothing", false, func(*server, *idptest.Browser, sharelink.Link) {}, 0},
		{"the link is revoked", false, func(w *server, _ *idptest.Browser, l sharelink.Link) { w.revoke(l) }, http.StatusNotFound},
		{"the link expires", false, func(w *server, _ *idptest.Browser, l sharelink.Link) { w.Clock.Advance(l.ExpiresAt.Sub(w.Clock.Now())) }, http.StatusNotFound},
		{"the browser leaves", false, leave, http.StatusNotFound},
		{"the field is removed", true, func(w *server, _ *idptest.Browser, _ sharelink.Link) {
			w.edit(func(p *idp.ServiceProvider) { p.Preview = "" })
		}, http.StatusNotFound},
		{"the field names another year", true, func(w *server, _ *idptest.Browser, _ sharelink.Link) {
			w.edit(func(p *idp.ServiceProvider) { p.Preview = "2001" })
		}, http.StatusNotFound},
		{"the year is published, and the link revoked", false, func(w *server, _ *idptest.Browser, l sharelink.Link) {
			w.step(rotation.StepPublish)
			w.revoke(l)
		}, 0},
		{"the year is revoked", false, func(w *server, _ *idptest.Browser, _ sharelink.Link) {
			w.step(rotation.StepPublish)
			w.Retire(w.next)
		}, http.StatusGone},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(tt.name+", "+method, func(t *testing.T) {
				t.Parallel()
				w := newServer(t, true)
				a, user := w.AddProvider(spA), w.AddUser("ada@example.gov")
				l, token := w.link(spA, w.next)
				browser := w.Browser()
				if tt.field {
					a.Edit(w.openByField)
				} else {
					browser = w.enter(token)
				}
				waiting := w.bring(browser, a, method)
				if _, ok := waiting.Form().Fields["password"]; !ok {
					t.Fatalf("no sign-in page, but %d:\n%s", waiting.Status, waiting.Text())
				}
				tt.change(w, browser, l)
				page := browser.SignIn(waiting, user)
				switch {
				case tt.want == 0 && page.Response() == nil:
					t.Errorf("no Response, but %d:\n%s", page.Status, page.Text())
				case tt.want != 0 && (page.Response() != nil || page.Status != tt.want):
					t.Errorf("status %d, want %d:\n%s", page.Status, tt.want, page.Text())
				case tt.want == http.StatusNotFound:
					w.isInvisible("after the sign-in", page)
				}
			})
		}
	}
}

// TestLinkRevokedBeforeContinue checks that a link revoked between a POST and the GET that
// follows opens nothing there: neither the sign-in nor the logout goes on.
func TestLinkRevokedBeforeContinue(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sign-in", "sign-in without a session", "logout"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newServer(t, true)
			a, user := w.AddProvider(spA), w.AddUser("ada@example.gov")
			l, token := w.link(spA, w.next)
			browser := w.enter(token)
			address, form := w.auth(w.next), a.Form(w.request())
			live := new(idptest.Request)
			var page *idptest.Page
			if name != "sign-in without a session" {
				page = browser.SignIn(browser.Get(a.URL(live)), user)
			}
			if name == "logout" {
				assertion, err := a.Check(live, page.Response())
				if err != nil {
					t.Fatal(err)
				}
				r := &idptest.LogoutRequest{NameID: assertion.Subject.NameID.Value, Year: w.next}
				address, form = a.LogoutEndpoint(r), a.LogoutForm(r)
			}
			resp, to := browser.CrossSitePostOnly(address, form)
			_ = resp.Body.Close()
			if to == "" {
				t.Fatalf("%s, want a redirect", resp.Status)
			}
			w.revoke(l)
			w.isInvisible("continue", browser.Get(to))
			if page := browser.Get(a.URL(new(idptest.Request))); name == "logout" && page.Response() == nil {
				t.Errorf("the session has ended: %d\n%s", page.Status, page.Text())
			}
		})
	}
}

// recorded is the store of a server in which something happens once an answer is
// recorded, before it is signed.
type recorded struct {
	idp.OwnedStore
	then func()
}

func (s *recorded) RecordIssuance(ctx context.Context, i *idp.Issuance) (idp.IssuedIDs, error) {
	issued, err := s.OwnedStore.RecordIssuance(ctx, i)
	s.then()
	return issued, err
}

func (s *recorded) RecordLogout(ctx context.Context, l *idp.Logout) (*idp.LogoutOutcome, error) {
	out, err := s.OwnedStore.RecordLogout(ctx, l)
	s.then()
	return out, err
}

// TestLinkRevokedBeforeSignature checks that a link revoked once the answer is recorded
// prevents its signature. The page still looks like that of a year that was never made and
// does not name the service provider.
func TestLinkRevokedBeforeSignature(t *testing.T) {
	t.Parallel()
	store := &recorded{then: func() {}}
	w := newServer(t, true, func(o *idptest.Options) {
		o.WrapStore = func(s idp.OwnedStore) idp.OwnedStore {
			store.OwnedStore = s
			return store
		}
	})
	a := w.AddProvider(spA, func(p *idp.ServiceProvider) { p.SignLogoutResponse = true })
	user := w.AddUser("ada@example.gov")
	for _, name := range []string{"sign-in", "logout"} {
		store.then = func() {}
		l, token := w.link(spA, w.next)
		browser := w.enter(token)
		live := new(idptest.Request)
		assertion, err := a.Check(live, browser.SignIn(browser.Get(a.URL(live)), user).Response())
		if err != nil {
			t.Fatal(err)
		}
		store.then = func() { w.revoke(l) }
		if name == "sign-in" {
			w.isInvisible(name, browser.Get(a.URL(w.request())))
		} else {
			w.isInvisible(name, browser.Get(a.LogoutURL(&idptest.LogoutRequest{NameID: assertion.Subject.NameID.Value, Year: w.next})))
		}
	}
}

// edit changes the registration of spA.
func (w *server) edit(change func(*idp.ServiceProvider)) {
	w.t.Helper()
	_, err := w.Registry.Edit(w.t.Context(), spA, func(p *idp.ServiceProvider) error {
		change(p)
		return nil
	}, sp.Options{AllowInsecureURL: true}, "test")
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestEndedYearIsGoneForPreviews checks that a year that is over is gone for every request,
// whatever opened it before.
func TestEndedYearIsGoneForPreviews(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		a := w.AddProvider(spA, w.openByField)
		_, token := w.link(spA, w.next)
		cookie := with(w.cookie(spA, w.next, token))
		w.step(rotation.StepPublish)
		w.Retire(w.next)
		r := &idptest.LogoutRequest{NameID: "x", Year: w.next}
		back := &idptest.LogoutRequest{NameID: "x", Year: w.next, Remote: true}
		for name, got := range map[string]answer{
			"auth by GET":    w.send(http.MethodGet, a.URL(w.request()), nil, cookie),
			"auth by POST":   w.send(http.MethodPost, w.auth(w.next), a.Form(w.request()), cookie),
			"logout by GET":  w.send(http.MethodGet, a.LogoutURL(r), nil, cookie),
			"logout by POST": w.send(http.MethodPost, a.LogoutEndpoint(r), a.LogoutForm(r), cookie),
			"back channel":   w.send(http.MethodPost, a.LogoutEndpoint(back), a.LogoutForm(back), cookie),
			"metadata":       w.send(http.MethodGet, w.URL+"/api/saml/metadata"+string(w.next)+"?preview="+url.QueryEscape(token), nil, cookie),
			"the link":       w.send(http.MethodGet, w.URL+"/developers/preview?link="+url.QueryEscape(token), nil, cookie),
		} {
			if got.status != http.StatusGone || got.cookies != 0 {
				t.Errorf("%s: %d, %d cookies", name, got.status, got.cookies)
			}
		}
	})
}
