package templates

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// parseHTML parses a page like a browser.
func parseHTML(t *testing.T, page []byte) *html.Node {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// find returns the elements called name, in document order.
func find(doc *html.Node, name string) []*html.Node {
	var found []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func words(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// isAdmin reports whether the sample is a page of the admin listener, which concerns many
// service providers and is not part of the flow of one.
func isAdmin(name string) bool { return isWall(name) || strings.HasPrefix(name, "board-") }

// isAccount reports whether a page is one of the account, which names service providers and belongs
// to none.
func isAccount(html string) bool {
	return strings.Contains(html, `class="vernal-parts"`) || strings.Contains(html, "vernal-account")
}

// isWall reports whether the sample is a wallboard, which embeds its stylesheet and has no
// font of its own.
func isWall(name string) bool { return strings.HasPrefix(name, "wall-") }
