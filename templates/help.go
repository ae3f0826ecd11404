package templates

import (
	htmltemplate "html/template"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// helpTags are the allowed elements of a help text. Others are removed, and their text stays,
// except for hiddenTags.
var helpTags = []atom.Atom{atom.P, atom.Br, atom.Ol, atom.Ul, atom.Li, atom.A, atom.Strong, atom.Em, atom.B}

// hiddenTags are elements whose content is not readable text.
var hiddenTags = []atom.Atom{atom.Script, atom.Style, atom.Template, atom.Noscript, atom.Iframe, atom.Object, atom.Svg, atom.Math,
	atom.Textarea, atom.Title, atom.Xmp, atom.Noembed, atom.Noframes, atom.Plaintext, atom.Select}

// renderHelp renders the help text of a service provider for its sign-in page, in the language
// of the page or else in English. It returns "" without a text.
//
// The text is parsed as browsers parse it and rebuilt from the result: the allowed elements
// without attributes, links to the web and to email addresses, and text. None of its markup is
// copied, so only allowed elements remain. Placeholders are filled after that, in text
// and not in URLs.
func renderHelp(lang Lang, texts map[string]string, spName, brand string) htmltemplate.HTML {
	text, textLang := texts[string(lang)], lang
	if text == "" {
		text, textLang = texts[string(fallback)], fallback
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	w := helpWriter{fill: strings.NewReplacer("%{sp_name}", spName, "%{app_name}", brand, "%{sp_create_link}", "")}
	w.out.WriteString(`<div lang="` + html.EscapeString(string(textLang)) + `">`)
	if !strings.Contains(text, "<") {
		w.writeLines(text)
	} else {
		body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
		nodes, err := html.ParseFragment(strings.NewReader(text), body)
		if err != nil {
			return "" // reading a string cannot fail, and html returns no errors of its own
		}
		for _, n := range nodes {
			w.writeNode(n)
		}
	}
	w.out.WriteString("</div>")
	return htmltemplate.HTML(w.out.String())
}

type helpWriter struct {
	out  strings.Builder
	fill *strings.Replacer
}

// writeLines writes plain text, one paragraph per line.
func (w *helpWriter) writeLines(text string) {
	for line := range strings.Lines(html.UnescapeString(text)) {
		if line = strings.TrimSpace(line); line != "" {
			w.out.WriteString("<p>" + html.EscapeString(w.fill.Replace(line)) + "</p>")
		}
	}
}

func (w *helpWriter) writeNode(n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		w.out.WriteString(html.EscapeString(w.fill.Replace(n.Data)))
		return
	case n.Type != html.ElementNode || n.Namespace != "" || slices.Contains(hiddenTags, n.DataAtom):
		return
	}
	startTag, name := w.openTag(n)
	w.out.WriteString(startTag)
	if n.DataAtom == atom.Br {
		return
	}
	for c := range n.ChildNodes() {
		w.writeNode(c)
	}
	if startTag != "" {
		w.out.WriteString("</" + name + ">")
	}
}

// openTag returns the start tag of an element; "" for a removed one.
func (w *helpWriter) openTag(n *html.Node) (tag, name string) {
	if !slices.Contains(helpTags, n.DataAtom) {
		return "", ""
	}
	name = n.DataAtom.String()
	if n.DataAtom != atom.A {
		return "<" + name + ">", name
	}
	var href string
	var opensTab bool
	for _, a := range n.Attr {
		switch a.Key {
		case "href":
			href = strings.TrimSpace(a.Val)
		case "target":
			opensTab = a.Val == "_blank"
		}
	}
	u, err := url.Parse(href)
	if err != nil || !(u.Scheme == "https" || u.Scheme == "http") || u.Host == "" {
		if err != nil || u.Scheme != "mailto" || u.Opaque == "" {
			return "", ""
		}
	}
	tag = `<a class="usa-link" href="` + html.EscapeString(u.String()) + `"`
	if opensTab {
		tag += ` target="_blank" rel="noopener noreferrer"`
	}
	return tag + ">", name
}
