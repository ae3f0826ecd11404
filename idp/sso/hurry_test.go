package sso_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"vernal/idp/idptest"
)

// A person who clicks twice sends the form with the code twice. The second one
// leaves before the cookies of the first answer have come, and its answer is the
// one that they see: it must lead on, and not say that they were too slow.
func TestDoubleClickOnCodeLeadsOn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person, browser := i.AddPerson("ada@example.gov"), i.Browser()
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
	browser.Keep(first)
	browser.Keep(second)
	if second.StatusCode != http.StatusSeeOther {
		t.Fatalf("the second form is answered with %s", second.Status)
	}
	accept(t, a, r, browser.Get(second.Header.Get("Location")))
}

// Whoever looks over a shoulder has a right code, and sends it at the same time
// as its owner, in many ways at once: it opens one session.
func TestOneCodeOneSession(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	person := i.AddPerson("ada@example.gov")
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

// Forms of ours that another site posts, or that come from a sibling's domain, are
// refused, whichever of the two headers a browser has.
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
