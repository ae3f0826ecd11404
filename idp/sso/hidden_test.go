package sso_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// perAnswer is what differs from one answer to the next whatever was asked.
var perAnswer = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{16}|nonce[-="][^' "]+|(?m)^Date: .*$`)

// A year that is not published and one that was never made answer with the same
// bytes, whatever is sent and whatever opens the one to others.
func TestHiddenYearsLookAlike(t *testing.T) {
	t.Parallel()
	w := newPreviewWorld(t)
	never := idp.Year("2199")
	a := w.AddProvider(spA)
	answers := func(y idp.Year, path string) map[string]string {
		other := w.next
		address := w.URL + "/api/saml/" + fmt.Sprintf(path, y)
		form := a.Form(&idptest.Request{ID: "_same", Year: other})
		form.Set("locale", "fr")
		got := map[string]string{}
		for name, query := range map[string]string{
			"nothing":           "",
			"a locale":          "?SAMLRequest=PGEvPg==&locale=fr",
			"a locale, encoded": "?SAMLRequest=PGEvPg==&%6Cocale=fr",
			"a message":         strings.TrimPrefix(a.URL(&idptest.Request{ID: "_same", Year: other}), w.URL+"/api/saml/auth"+string(other)),
			"twice":             "?SAMLRequest=x&SAMLRequest=y",
			"too long":          "?SAMLRequest=" + strings.Repeat("A", 200<<10),
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
				got[method+" "+name] = answer(t, w.IdP, method, address+query, nil)
			}
		}
		got["POST a logout"] = answer(t, w.IdP, http.MethodPost, address, a.LogoutForm(&idptest.LogoutRequest{ID: "_same", Year: other, NameID: "x"}))
		got["POST a locale"] = answer(t, w.IdP, http.MethodPost, address, url.Values{"SAMLRequest": {"PGEvPg=="}, "locale": {"fr"}})
		got["POST a message"] = answer(t, w.IdP, http.MethodPost, address, form)
		got["POST nothing"] = answer(t, w.IdP, http.MethodPost, address, url.Values{})
		return got
	}
	same := func(t *testing.T) {
		t.Helper()
		for _, path := range []string{"auth%s", "logout%s", "remotelogout%s", "metadata%s", "certificate%s.pem"} {
			made, missing := answers(w.next, path), answers(never, path)
			for name := range made {
				// The path is in the page's language switcher.
				x, y := strings.ReplaceAll(made[name], string(w.next), "YEAR"), strings.ReplaceAll(missing[name], string(never), "YEAR")
				if x != y {
					t.Errorf("%s %s: created\n%s\n\nnever made\n%s", path, name, x, y)
				}
			}
		}
	}
	t.Run("no preview", same)
	w.AddProvider("https://field.example", w.field)
	t.Run("a preview by a field", same)
	w.link(spB, w.next)
	t.Run("a preview by a link", same)
}

// answer is all of an answer but what differs each time.
func answer(t *testing.T, i *idptest.IdP, method, address string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "text/html")
	resp, err := i.Client.Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_ = resp.Header.Write(&b)
	return perAnswer.ReplaceAllString(fmt.Sprintf("%d\n%s\n%s", resp.StatusCode, &b, body), "-")
}
