package inspect

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	xhtml "golang.org/x/net/html"
)

// findForms finds the forms in an HTML page that send a message.
func findForms(text string) (found []FoundMessage) {
	if !strings.Contains(text, "<") {
		return nil
	}
	z := xhtml.NewTokenizer(strings.NewReader(text))
	form := FoundMessage{Post: true, Place: PlaceForm}
	var pairs []string
	end := func() {
		if s := strings.Join(pairs, "&"); strings.Contains(s, "SAMLRe") && len(found) < maxTriedFinds {
			form.Query = s
			found = append(found, form)
		}
		form, pairs = FoundMessage{Post: true, Place: PlaceForm}, nil
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
				form.Post = !strings.EqualFold(readAttribute(t, "method"), "get")
				form.URL, _, _ = strings.Cut(readAttribute(t, "action"), "?")
			case "input", "textarea", "button":
				name, val := readAttribute(t, "name"), readAttribute(t, "value")
				if t.Data == "textarea" && isParameter(name) && z.Next() == xhtml.TextToken {
					val = strings.TrimSpace(z.Token().Data)
				}
				if isParameter(name) {
					pairs = append(pairs, name+"="+url.QueryEscape(val))
				}
			}
		case xhtml.EndTagToken:
			if t := z.Token(); t.Data == "form" {
				end()
			}
		}
	}
}

func readAttribute(t xhtml.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// nameSeparator matches the text between a parameter's name and its value: in the lists of
// developer tools, printed maps and dictionaries, logs with key=value, name and value of JSON,
// and the parts of a multipart form.
var nameSeparator = regexp.MustCompile(`^(?:` +
	`["']?\s*,\s*["']?value["']?\s*[:=]+>?\s*|` + // {"name": "SAMLRequest", "value": "…"}
	`"?[^\S\n]*\r?\n(?:[A-Za-z-]+:[^\n]*\r?\n)*\r?\n|` + // Content-Disposition: form-data; name="SAMLRequest"
	`["'\]}]*\s*(?:=>|[:=])[\s\[({]*|` + // SAMLRequest: …, "SAMLRequest" => …, SAMLRequest=[…]
	`["']?\t[\s]*|["']?\s{2,})`) // a table

// maxSeparator bounds, in bytes, the text between a name and its value.
const maxSeparator = 1 << 10

// parameterName matches the names of parameters.
var parameterName = regexp.MustCompile(strings.Join(parameterNames, "|"))

// parameter is a name and its value at a position in a text.
type parameter struct {
	name, value string
	start, end    int
}

// findParameters finds parameters that are separate in a text. A parameter between two
// messages belongs to the one next to it.
func findParameters(text string) (found []FoundMessage) {
	var group []parameter
	flush := func() {
		var pairs []string
		for _, p := range group {
			pairs = append(pairs, p.name+"="+escapeValue(p.value))
		}
		if s := (FoundMessage{Place: PlaceParameters, Rebuilt: true, Query: strings.Join(pairs, "&")}); hasParameter(s.Query) {
			setPrecedingURL(&s, text[max(0, group[0].start-2048):group[0].start])
			found = append(found, s)
		}
		group = nil
	}
	const gap = 400 // bytes between the parameters of one message
	for from := 0; len(found) < maxTriedFinds; {
		m := parameterName.FindStringIndex(text[from:])
		if m == nil {
			break
		}
		at, name := from+m[0], text[from+m[0]:from+m[1]]
		from += m[1]
		if at > 0 && (isBase64(rune(text[at-1])) && text[at-1] != '=' || text[at-1] == '.') {
			continue // the end of another word
		}
		between := nameSeparator.FindString(text[from:min(len(text), from+maxSeparator)])
		if between == "" {
			continue
		}
		p := parameter{name: name, start: at}
		p.value, p.end = readValue(text, from+len(between), name)
		from = max(p.end, from)
		if len(group) > 0 && (at-group[len(group)-1].end > gap || slices.ContainsFunc(group, func(o parameter) bool { return isConflict(o.name, name) })) {
			flush()
		}
		if p.value != "" {
			group = append(group, p)
		}
	}
	flush()
	return found
}

// isConflict reports whether two parameters cannot belong to one message.
func isConflict(a, b string) bool {
	return a == b || strings.HasPrefix(a, "SAMLRe") && strings.HasPrefix(b, "SAMLRe")
}

// readValue returns the value that begins at a position, and its end.
func readValue(text string, at int, name string) (string, int) {
	rest := text[at:]
	for quote, closing := range map[string]string{`"`: `"`, `'`: `'`, "`": "`", "“": "”", "‘": "’", `\"`: `\"`} {
		if inner, ok := strings.CutPrefix(rest, quote); ok {
			v, _, _ := strings.Cut(inner, closing)
			end := at + len(quote) + len(v)
			if name != "RelayState" {
				v = strings.Join(strings.Fields(v), "")
			}
			return v, end
		}
	}
	switch name {
	case "RelayState", "SigAlg":
		v, _, _ := strings.Cut(rest, "\n")
		if m := valueEnd.FindStringIndex(v); m != nil {
			v = v[:m[0]]
		}
		return strings.TrimSpace(v), at + len(v)
	}
	// Base64, percent-encoded or not.
	end := at + len(rest) - len(strings.TrimLeftFunc(rest, func(r rune) bool { return isBase64(r) || r == '%' }))
	if joined, after := joinLines(text, at, end); after > end && looksEncoded(normalizeValue(joined)) {
		if c, d := decodeContent(FoundMessage{Query: name + "=" + escapeValue(text[at:end])}), decodeContent(FoundMessage{Query: name + "=" + escapeValue(joined)}); name == "Signature" || d.isReadable || !c.isReadable {
			return joined, after
		}
	}
	return text[at:end], end
}

// valueEnd matches the end of a RelayState or SigAlg without quotes.
var valueEnd = regexp.MustCompile(`[",;&\])}]| Sig| SAMLRe`)
