package signup_test

import (
	"encoding/base32"
	"net/http"
	"strings"

	"golang.org/x/net/html"

	"vernal/idp/idptest"
)

// secret returns the secret that a set-up page shows as text, and checks that its link contains it.
func (d *deployment) secret(page *idptest.Page) []byte {
	d.t.Helper()
	text, link := "", ""
	var walk func(*html.Node, bool)
	walk = func(n *html.Node, inSecret bool) {
		for _, a := range n.Attr {
			inSecret = inSecret || a.Key == "class" && a.Val == "vernal-secret"
			if a.Key == "href" && strings.HasPrefix(a.Val, "otpauth:") {
				link = a.Val
			}
		}
		if inSecret && n.Type == html.TextNode {
			text += strings.TrimSpace(n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, inSecret)
		}
	}
	walk(page.Doc, false)
	if text == "" || !strings.Contains(link, "secret="+text) {
		d.t.Fatalf("secret %q, link %q: %d %s\n%s", text, link, page.Status, page.URL, page.Text())
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	ok(d.t, err)
	return secret
}

// codes returns the recovery codes on a page.
func codes(page *idptest.Page) (all []string) {
	var walk func(*html.Node, bool)
	walk = func(n *html.Node, inCodes bool) {
		for _, a := range n.Attr {
			inCodes = inCodes || a.Key == "id" && a.Val == "codes"
		}
		if inCodes && n.Type == html.TextNode && strings.TrimSpace(n.Data) != "" {
			all = append(all, strings.TrimSpace(n.Data))
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, inCodes)
		}
	}
	walk(page.Doc, false)
	return all
}

// links returns the URLs that a page links to.
func links(page *idptest.Page) (all []string) {
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && n.Data == "a" {
			for _, a := range n.Attr {
				if a.Key == "href" {
					all = append(all, a.Val)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(page.Doc)
	return all
}

func cookieNames(cookies []*http.Cookie) (names []string) {
	for _, c := range cookies {
		names = append(names, c.Name)
	}
	return names
}
