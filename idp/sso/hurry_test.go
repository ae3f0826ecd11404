package sso_test

import (
	"net/http"
	"strings"
	"testing"

	"vernal/idp/idptest"
)

// A person who clicks twice sends the form with the code twice. The second one
// leaves before the cookies of the first answer have come, and its answer is the
// one that they see: it must lead on, and not say that they were too slow.
func TestFormSentTwice(t *testing.T) {
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
