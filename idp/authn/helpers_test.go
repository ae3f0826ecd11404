package authn_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// checkPage fails unless the page has the status and all the words.
func checkPage(t *testing.T, page *idptest.Page, status int, words ...string) {
	t.Helper()
	if page.Status != status {
		t.Fatalf("%s: status %d, want %d:\n%s", page.URL, page.Status, status, page.Text())
	}
	for _, w := range words {
		if !strings.Contains(page.Text(), w) {
			t.Errorf("%s does not say %q:\n%s", page.URL, w, page.Text())
		}
	}
}

// text returns an English text of the pages, so that tests name a key and not its words. For a
// text with placeholders, it returns the longest part between two.
func text(key string) string {
	texts := make(map[string]string)
	b, err := os.ReadFile("../../templates/catalogue/en.json")
	if err == nil {
		err = json.Unmarshal(b, &texts)
	}
	if err != nil || texts[key] == "" {
		panic(fmt.Sprintf("no text %q: %v", key, err))
	}
	parts := regexp.MustCompile(`\{\d\}`).Split(texts[key], -1)
	return strings.TrimSpace(slices.MaxFunc(parts, func(a, b string) int { return cmp.Compare(len(a), len(b)) }))
}

// signIn returns a browser in which the user has signed in, and its session.
func signIn(t *testing.T, i *idptest.IdP, p *idptest.User) (*idptest.Browser, *idp.Session) {
	t.Helper()
	b := i.Browser()
	checkPage(t, b.SignIn(b.Get("/sign-in"), p), http.StatusOK, text("account.sign_out"), p.Email)
	sessions, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: p.Record.ID})
	if err != nil {
		t.Fatal(err)
	}
	return b, sessions[len(sessions)-1]
}

// giveOnlyPassword returns a browser in which the user has given only the password.
func giveOnlyPassword(t *testing.T, i *idptest.IdP, p *idptest.User) *idptest.Browser {
	t.Helper()
	b := i.Browser()
	checkPage(t, b.Post("/sign-in", url.Values{"email": {p.Email}, "password": {p.Password}}), http.StatusOK, "Enter your code")
	return b
}
