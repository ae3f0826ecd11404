package inspect

import (
	"encoding/base64"
	"encoding/json"
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
		if !strings.Contains(text, "urn:oasis:names:tc:SAML") && inText.MatchString(text) {
			return findQueries(html.UnescapeString(text)) // some element of a page
		}
		return []Sent{{XML: text}}
	case text[0] == '{' || text[0] == '[':
		if found := findJSON(text); len(found) > 0 {
			return found
		}
	}
	named := strings.Contains(text, "SAMLRequest=") || strings.Contains(text, "SAMLResponse=")
	switch {
	case named:
		return findQueries(text)
	case asList.MatchString(text):
		return []Sent{findList(text)}
	}
	return []Sent{{Query: "SAMLRequest=" + escaped(strings.Join(strings.Fields(text), ""))}}
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
				name := attribute(t, "name")
				if strings.HasPrefix(name, "SAMLRe") || name == "RelayState" || name == "SigAlg" || name == "Signature" {
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

func attribute(t xhtml.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// archive is what of a HAR file, in which browsers save what they sent, holds
// messages.
type archive struct {
	Log struct {
		Entries []struct {
			Request struct {
				URL      string `json:"url"`
				PostData struct {
					Text   string `json:"text"`
					Params []struct{ Name, Value string }
				} `json:"postData"`
			} `json:"request"`
		} `json:"entries"`
	} `json:"log"`
}

// findJSON finds the messages in a HAR file, or else in the strings of any JSON.
func findJSON(text string) (found []Sent) {
	var har archive
	if json.Unmarshal([]byte(text), &har) == nil {
		for _, e := range har.Log.Entries {
			query := e.Request.PostData.Text
			if query == "" {
				query = joined(e.Request.PostData.Params)
			}
			switch {
			case len(found) == maxSent:
				return found
			case inText.MatchString(e.Request.URL):
				found = append(found, fromQuery(e.Request.URL))
			case inText.MatchString(query):
				address, _, _ := strings.Cut(e.Request.URL, "?")
				found = append(found, Sent{Query: query, Address: address, Post: true})
			}
		}
	}
	if len(found) > 0 {
		return found
	}
	var document any
	if json.Unmarshal([]byte(text), &document) == nil {
		walkJSON(document, &found)
	}
	return found
}

func joined(params []struct{ Name, Value string }) string {
	var pairs []string
	for _, p := range params {
		pairs = append(pairs, p.Name+"="+escaped(p.Value))
	}
	return strings.Join(pairs, "&")
}

// walkJSON goes through a JSON value; objects are gone through by the messages'
// names alone and then in no order, as JSON has none.
func walkJSON(v any, found *[]Sent) {
	if len(*found) >= maxSent {
		return
	}
	switch v := v.(type) {
	case string:
		if inText.MatchString(v) {
			*found = append(*found, findQueries(html.UnescapeString(v))...)
		}
	case []any:
		for _, inner := range v {
			walkJSON(inner, found)
		}
	case map[string]any:
		for _, name := range []string{"SAMLRequest", "SAMLResponse"} {
			if value, ok := v[name].(string); ok {
				*found = append(*found, Find(name+"="+escaped(value))...)
				return
			}
		}
		for _, inner := range v {
			walkJSON(inner, found)
		}
	}
}

// escaped is a value as it stands in a query.
func escaped(value string) string {
	if strings.Contains(value, "%") {
		return value
	}
	return url.QueryEscape(value)
}

// asForm makes plain XML what a form would hold.
func asForm(xml string) string {
	return "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(xml)))
}
