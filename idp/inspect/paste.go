package inspect

import (
	"encoding/base64"
	"html"
	"net/url"
	"regexp"
	"strings"

	xhtml "golang.org/x/net/html"
)

// Sent is one message as it stood in what people pasted.
type Sent struct {
	// Query holds the parameters, still encoded, as a query or a form does.
	Query string `json:"query,omitempty"`
	// XML is the message, where it was pasted as plain XML.
	XML string `json:"xml,omitempty"`
	// Address is where it was sent to, without the query; "" if unknown.
	Address string `json:"address,omitempty"`
	// Post is set of a form, whose signature stands in the message.
	Post bool `json:"post,omitempty"`
}

// maxSent bounds the messages that are looked for in one paste.
const maxSent = 50

var (
	// inText is a query or address with a message somewhere in a text.
	inText = regexp.MustCompile("[^\\s'\"<>`]*SAMLRe(?:quest|sponse)=[^\\s'\"<>`]*")
	// asList is a form as the developer tools of browsers list it.
	asList = regexp.MustCompile(`(?m)^[ \t]*"?(SAMLRequest|SAMLResponse|RelayState|SigAlg|Signature)"?:[ \t]*"?([^\s"]+)"?,?[ \t]*\r?$`)
)

// Find looks for the messages in a text, in the order in which they stand there:
// XML, an HTML page with the form, a HAR file or other JSON, addresses, queries
// and forms in whatever surrounds them, base64 by itself. It is for the process
// that has the text: a HAR file holds cookies and passwords too, and what is
// inspected is the message alone.
func Find(text string) []Sent {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\uFEFF"))
	switch {
	case text == "":
		return nil
	case text[0] == '<':
		if forms := findForms(text); len(forms) > 0 {
			return forms
		}
		if !strings.Contains(text, "urn:oasis:names:tc:SAML") && named(text) {
			return findQueries(html.UnescapeString(text)) // some element of a page
		}
		return []Sent{{XML: text}}
	case text[0] == '{' || text[0] == '[':
		if found := findJSON(text); len(found) > 0 {
			return found
		}
	}
	switch {
	case named(text):
		return findQueries(text)
	case asList.MatchString(text):
		return []Sent{findList(text)}
	}
	return []Sent{{Query: "SAMLRequest=" + escaped(strings.Join(strings.Fields(text), ""))}}
}

// named reports whether a text has a message as a parameter.
func named(text string) bool {
	return strings.Contains(text, "SAMLRequest=") || strings.Contains(text, "SAMLResponse=")
}

// findQueries finds the addresses and forms in a text. One alone may be broken
// into lines, and is taken whole.
func findQueries(text string) []Sent {
	all := inText.FindAllString(text, maxSent)
	starts := len(all) > 0 && strings.HasPrefix(text, all[0])
	if starts && len(all) == 1 && !strings.ContainsAny(text, "'\"<>`") {
		return []Sent{fromQuery(text)}
	}
	found := make([]Sent, len(all))
	for i, one := range all {
		found[i] = fromQuery(one)
	}
	return found
}

// fromQuery parts an address from its query. An ampersand that a page escaped is
// one.
func fromQuery(text string) Sent {
	text = strings.ReplaceAll(text, "&amp;", "&")
	var s Sent
	if address, query, ok := strings.Cut(text, "?"); ok {
		s.Address, text = address, query
	}
	s.Query, _, _ = strings.Cut(text, "#")
	return s
}

// findList reads a form that developer tools list, a parameter on each line.
func findList(text string) Sent {
	var pairs []string
	for _, m := range asList.FindAllStringSubmatch(text, maxSent) {
		pairs = append(pairs, m[1]+"="+escaped(m[2]))
	}
	return Sent{Query: strings.Join(pairs, "&")}
}

// findForms finds the forms in an HTML page that send a message.
func findForms(text string) (found []Sent) {
	if !strings.Contains(text, "SAMLRe") {
		return nil
	}
	z := xhtml.NewTokenizer(strings.NewReader(text))
	var form Sent
	var pairs []string
	end := func() {
		if s := strings.Join(pairs, "&"); strings.Contains(s, "SAMLRe") && len(found) < maxSent {
			form.Query = s
			found = append(found, form)
		}
		form, pairs = Sent{Post: true}, nil
	}
	for {
		switch z.Next() {
		case xhtml.ErrorToken:
			end()
			return found
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			t := z.Token()
			switch t.Data {
			case "form":
				end()
				form.Post = strings.EqualFold(attribute(t, "method"), "post")
				form.Address, _, _ = strings.Cut(attribute(t, "action"), "?")
			case "input", "textarea":
				if name := attribute(t, "name"); isParameter(name) {
					pairs = append(pairs, name+"="+url.QueryEscape(attribute(t, "value")))
				}
			}
		case xhtml.EndTagToken:
			if t := z.Token(); t.Data == "form" {
				end()
			}
		}
	}
}

// isParameter reports whether a name is one of those that a binding gives a
// message and what goes with it.
func isParameter(name string) bool {
	switch name {
	case "SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature":
		return true
	}
	return false
}

func attribute(t xhtml.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// escaped is a value as it stands in a query. Tools show it escaped or not, and
// base64 has no percent sign that could be meant as one.
func escaped(value string) string {
	if _, err := url.QueryUnescape(value); err == nil && strings.Contains(value, "%") {
		return value
	}
	return url.QueryEscape(value)
}

// asForm makes plain XML what a form would hold.
func asForm(xml string) string {
	return "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(xml)))
}
