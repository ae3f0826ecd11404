package sso_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"vernal/idp/idptest"
)

// A double click sends the form with the code twice. The second form leaves before the cookies
// of the first answer arrive, and the user sees the answer to the second one. It must lead on,
// and not say that the user was too slow.
func TestDoubleClickOnCodeLeadsOn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{}
	form := browser.GivePassword(browser.Get(a.URL(r)), person).Form()
	form.Fields.Set("code", person.Code())
	cookies := browser.Cookies()
	send := func() *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.URL+form.Action, strings.NewReader(form.Fields.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, c := range cookies {
			req.AddCookie(c)
		}
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	first, second := send(), send()
	browser.KeepCookies(first)
	browser.KeepCookies(second)
	if second.StatusCode != http.StatusSeeOther {
		t.Fatalf("the second form is answered with %s", second.Status)
	}
	accept(t, a, r, browser.Get(second.Header.Get("Location")))
}

// An attacker who read a correct code over the user's shoulder sends it at the same time as
// the user, many times at once. The code opens one session.
func TestOneCodeOneSession(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	person := i.AddUser("ada@example.gov")
	var forms []idptest.Form
	var browsers []*idptest.Browser
	for range 4 {
		b := i.Browser()
		browsers = append(browsers, b)
		forms = append(forms, b.GivePassword(b.Get("/sign-in"), person).Form())
	}
	code := person.Code()
	var wg sync.WaitGroup
	for n, b := range browsers {
		forms[n].Fields.Set("code", code)
		wg.Go(func() { b.Post(forms[n].Action, forms[n].Fields) })
	}
	wg.Wait()
	opened := 0
	for _, b := range browsers {
		if b.Session() != "" {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("one code opened %d sessions", opened)
	}
}

// Our forms are refused when they are posted from another site or a sibling domain, whichever
// of the two headers a browser sends.
func TestForeignFormPostsAreRefused(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	for _, path := range []string{
		"/sign-in", "/sign-in/code", "/sign-in/step-up", "/account/sign-out", "/account/stay", "/account/sessions/end",
		"/account/sessions/end-others", "/account/devices/forget", "/account/devices/forget-all", "/language", "/developers/preview",
		"/api/saml/../../account/sign-out", "/api/saml/%2e%2e/%2e%2e/account/sign-out",
	} {
		for _, header := range [][2]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
		} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("a=b"))
			r.Header.Set(header[0], header[1])
			w := httptest.NewRecorder()
			i.Handler.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
				t.Errorf("POST %s with %s %s: %d", path, header[0], header[1], w.Code)
			}
		}
	}
}
