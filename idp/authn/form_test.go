package authn_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"vernal/idp/idptest"
)

// element returns the element with an ID, nil without one.
func element(page *idptest.Page, id string) *html.Node {
	for n := range page.Doc.Descendants() {
		if attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

// marked returns the fields of a form that are marked as wrong, both visibly and for screen
// readers, and whether the error summary takes the focus.
func marked(t *testing.T, page *idptest.Page) (fields []string, focused bool) {
	t.Helper()
	for n := range page.Doc.Descendants() {
		if n.Data != "input" || attribute(n, "aria-invalid") == "" {
			continue
		}
		invalid, red := attribute(n, "aria-invalid") == "true", strings.Contains(attribute(n, "class"), "usa-input--error")
		if invalid != red {
			t.Errorf("field %s: invalid %t, red %t", attribute(n, "name"), invalid, red)
		}
		if invalid {
			fields = append(fields, attribute(n, "name"))
		}
	}
	summary := element(page, "problem")
	return fields, summary != nil && attribute(summary, "tabindex") == "-1" && hasAttribute(summary, "autofocus")
}

// dropNonce returns a page without the parts that differ in every answer.
func dropNonce(page []byte) []byte {
	return regexp.MustCompile(`nonce="[^"]*"`).ReplaceAll(page, nil)
}

// TestFormShowsAllErrorsAtOnce checks that each wrong field is marked, and that only the
// summary takes the focus.
func TestFormShowsAllErrorsAtOnce(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	tests := []struct {
		name, email, password string
		want                  []string
	}{
		{"empty", "", "", []string{"email", "password"}},
		{"no email address", "ann", "", []string{"email", "password"}},
		{"no password", ann.Email, "", []string{"password"}},
		{"wrong password", ann.Email, "wrong", []string{"email", "password"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page := i.Browser().Post("/sign-in", url.Values{"email": {tt.email}, "password": {tt.password}})
			checkPage(t, page, http.StatusUnprocessableEntity)
			if got, focused := marked(t, page); !slices.Equal(got, tt.want) || !focused {
				t.Errorf("marked %v, summary focused %t; want %v", got, focused, tt.want)
			}
		})
	}
	b := i.Browser()
	if got, focused := marked(t, b.Get("/sign-in")); got != nil || focused {
		t.Errorf("a form that was not sent is marked: %v, %t", got, focused)
	}
	checkPage(t, b.GivePassword(b.Get("/sign-in"), ann), http.StatusOK)
	page := b.Post("/sign-in/code", url.Values{"code": {"12"}})
	if got, focused := marked(t, page); !slices.Equal(got, []string{"code"}) || !focused || hasAttribute(element(page, "code"), "autofocus") {
		t.Errorf("code page: marked %v, summary focused %t", got, focused)
	}
}

// TestLanguageSwitchKeepsForm checks that the input and its problems are kept in the other
// language, except password and code.
func TestLanguageSwitchKeepsForm(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, b := i.AddUser("ann@example.gov"), i.Browser()
	inSpanish := func(page *idptest.Page, typed ...string) *idptest.Page {
		t.Helper()
		form := page.Form()
		for n := 0; n < len(typed); n += 2 {
			form.Fields.Set(typed[n], typed[n+1])
		}
		form.Fields.Set("language", "es")
		after := b.Post(form.Action, form.Fields)
		checkPage(t, after, http.StatusOK)
		if got := after.Header.Get("Content-Language"); got != "es" {
			t.Errorf("%s is in %q", after.URL, got)
		}
		for n := 0; n < len(typed); n += 2 {
			kept := after.Form().Fields.Get(typed[n]) == typed[n+1]
			if secret := typed[n] == "password" || typed[n] == "code"; kept == secret {
				t.Errorf("field %s: kept %t", typed[n], kept)
			}
		}
		want, _ := marked(t, page)
		if got, _ := marked(t, after); !slices.Equal(got, want) {
			t.Errorf("marked %v, before %v", got, want)
		}
		return after
	}
	page := b.Post("/sign-in", url.Values{"email": {ann.Email}, "password": {"wrong"}})
	inSpanish(page, "email", ann.Email, "password", "another")
	inSpanish(b.Get("/sign-in"), "email", "half@typed", "password", "another")
	if got := b.Get("/sign-in").Header.Get("Content-Language"); got != "es" {
		t.Errorf("the next page is in %q", got)
	}
	checkPage(t, b.GivePassword(b.Get("/sign-in"), ann), http.StatusOK)
	page = inSpanish(b.Post("/sign-in/code", url.Values{"code": {"12"}}), "code", "123456", "remember", "yes")
	checkPage(t, b.GiveCode(page, ann), http.StatusOK)
	if b.Session() == "" {
		t.Error("the sign-in does not go on after the switch")
	}
}
