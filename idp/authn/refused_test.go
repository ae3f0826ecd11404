package authn_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"vernal/idp"
	"vernal/idp/idptest"
)

// TestSelfCausedRefusalHasOneWayOn checks the pages for users who waited too long, changed
// browsers or went back. They have one button, to the service provider if it is known,
// otherwise to the account. The report is folded.
func TestSelfCausedRefusalHasOneWayOn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	const start = "https://a.example/login"
	a := i.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.SPInitiatedLoginURL = start })
	ann, b := i.AddUser("ann@example.gov"), i.Browser()
	page := b.Get(a.URL(&idptest.Request{}))
	handle := page.Form().Fields.Get("request")
	b.SignIn(page, ann)
	tests := []struct {
		code string
		page *idptest.Page
		to   string
	}{
		{"request_stale", b.Get("/sign-in?request=none"), "/"},
		{"other_browser", i.Browser().Get("/sign-in?request=" + handle), "/"},
		{"already_used", b.Get("/sign-in?request=" + handle), start},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			checkPage(t, tt.page, http.StatusBadRequest, tt.code)
			var buttons []string
			folded := false
			for n := range tt.page.Doc.Descendants() {
				if n.Data == "a" && strings.Contains(attribute(n, "class"), "usa-button") {
					buttons = append(buttons, attribute(n, "href"))
				}
				if n.Data == "code" && n.FirstChild.Data == tt.code {
					for up := n.Parent; up != nil; up = up.Parent {
						folded = folded || up.Data == "details" && !hasAttribute(up, "open")
					}
				}
			}
			if got := strings.Join(buttons, " "); got != tt.to {
				t.Errorf("buttons lead to %q, want %q", got, tt.to)
			}
			if !folded {
				t.Error("the report is not folded")
			}
		})
	}
}

// attribute returns an element's attribute, "" without it.
func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
