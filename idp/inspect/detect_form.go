package inspect

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	xhtml "golang.org/x/net/html"
)

// findForms finds the forms in an HTML page that send a message.
func findForms(text string) (messages []FoundMessage) {
	if !strings.Contains(text, "<") {
		return nil
	}
	tokenizer := xhtml.NewTokenizer(strings.NewReader(text))
	form := FoundMessage{Post: true, Place: PlaceForm}
	var pairs []string
	endForm := func() {
		if s := strings.Join(pairs, "&"); strings.Contains(s, "SAMLRe") && len(messages) < maxTriedFinds {
			form.Query = s
			messages = append(messages, form)
		}
		form, pairs = FoundMessage{Post: true, Place: PlaceForm}, nil
	}
	for {
		switch tokenizer.Next() {
		case xhtml.ErrorToken:
			endForm()
			return messages
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			token := tokenizer.Token()
			switch token.Data {
			case "form":
				endForm()
				form.Post = !strings.EqualFold(readAttribute(token, "method"), "get")
				form.URL, _, _ = strings.Cut(readAttribute(token, "action"), "?")
			case "input", "textarea", "button":
				name, value := readAttribute(token, "name"), readAttribute(token, "value")
				if token.Data == "textarea" && isParameter(name) && tokenizer.Next() == xhtml.TextToken {
					value = strings.TrimSpace(tokenizer.Token().Data)
				}
				if isParameter(name) {
					pairs = append(pairs, name+"="+url.QueryEscape(value))
				}
			}
		case xhtml.EndTagToken:
			if token := tokenizer.Token(); token.Data == "form" {
				endForm()
			}
		}
	}
}

func readAttribute(token xhtml.Token, name string) string {
	for _, a := range token.Attr {
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

// parameter is a parameter at a position in a text.
type parameter struct {
	name, value string
	start, end  int
}

// findParameters finds parameters that are scattered in a text, and groups those of one message.
func findParameters(text string) (messages []FoundMessage) {
	var group []parameter
	flush := func() {
		var pairs []string
		for _, p := range group {
			pairs = append(pairs, p.name+"="+escapeValue(p.value))
		}
		if s := (FoundMessage{Place: PlaceParameters, Rebuilt: true, Query: strings.Join(pairs, "&")}); hasParameter(s.Query) {
			setPrecedingURL(&s, text[max(0, group[0].start-2048):group[0].start])
			messages = append(messages, s)
		}
		group = nil
	}
	const maxGap = 400 // bytes between the parameters of one message
	for offset := 0; len(messages) < maxTriedFinds; {
		m := parameterName.FindStringIndex(text[offset:])
		if m == nil {
			break
		}
		pos, name := offset+m[0], text[offset+m[0]:offset+m[1]]
		offset += m[1]
		if pos > 0 && (isBase64(rune(text[pos-1])) && text[pos-1] != '=' || text[pos-1] == '.') {
			continue // the end of another word
		}
		separator := nameSeparator.FindString(text[offset:min(len(text), offset+maxSeparator)])
		if separator == "" {
			continue
		}
		p := parameter{name: name, start: pos}
		p.value, p.end = readValue(text, offset+len(separator), name)
		offset = max(p.end, offset)
		if len(group) > 0 && (pos-group[len(group)-1].end > maxGap || slices.ContainsFunc(group, func(o parameter) bool { return isConflict(o.name, name) })) {
			flush()
		}
		if p.value != "" {
			group = append(group, p)
		}
	}
	flush()
	return messages
}

// isConflict reports whether two parameters cannot belong to one message.
func isConflict(a, b string) bool {
	return a == b || strings.HasPrefix(a, "SAMLRe") && strings.HasPrefix(b, "SAMLRe")
}

// readValue returns the value that begins at a position, and its end.
func readValue(text string, pos int, name string) (string, int) {
	rest := text[pos:]
	for quote, closingQuote := range map[string]string{`"`: `"`, `'`: `'`, "`": "`", "“": "”", "‘": "’", `\"`: `\"`} {
		if quotedText, ok := strings.CutPrefix(rest, quote); ok {
			v, _, _ := strings.Cut(quotedText, closingQuote)
			end := pos + len(quote) + len(v)
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
		return strings.TrimSpace(v), pos + len(v)
	}
	// Base64, percent-encoded or not.
	end := pos + len(rest) - len(strings.TrimLeftFunc(rest, func(r rune) bool { return isBase64(r) || r == '%' }))
	if joinedText, joinedEnd := joinLines(text, pos, end); joinedEnd > end && looksEncoded(normalizeValue(joinedText)) {
		if c, d := decodeContent(FoundMessage{Query: name + "=" + escapeValue(text[pos:end])}), decodeContent(FoundMessage{Query: name + "=" + escapeValue(joinedText)}); name == "Signature" || d.isReadable || !c.isReadable {
			return joinedText, joinedEnd
		}
	}
	return text[pos:end], end
}

// valueEnd matches the end of a RelayState or SigAlg without quotes.
var valueEnd = regexp.MustCompile(`[",;&\])}]| Sig| SAMLRe`)
