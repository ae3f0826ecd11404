package inspect

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	xhtml "golang.org/x/net/html"
)

// endsURL reports whether a character ends a URL within a text.
func endsURL(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("'\"<>`|\\“”‘’«»„‹›…", r)
}

// endOfURL and startOfURL return the end and the beginning of a run of URL characters.
func endOfURL(text string, from int) int {
	if i := strings.IndexFunc(text[from:], endsURL); i >= 0 {
		return from + i
	}
	return len(text)
}

func startOfURL(text string, least, at int) int {
	i := strings.LastIndexFunc(text[least:at], endsURL)
	if i < 0 {
		return least
	}
	_, size := utf8.DecodeRuneInString(text[least+i:])
	return least + i + size
}

// schemeStart matches the beginning of a URL.
var schemeStart = regexp.MustCompile(`https?://`)

// namedMessage matches a message as a parameter.
var namedMessage = regexp.MustCompile(`SAMLRe(?:quest|sponse)=`)

// nextNamed returns the position of the next parameter with a message, or -1.
func nextNamed(text string, from int) int {
	if i := namedMessage.FindStringIndex(text[from:]); i != nil {
		return from + i[0]
	}
	return -1
}

// findQueries finds the URLs, queries and forms in a text. It joins one that was broken into
// lines if that makes the message more complete.
func findQueries(text string) (found []Sent) {
	for from := 0; len(found) < maxTriedFinds; {
		at := nextNamed(text, from)
		if at < 0 {
			return found
		}
		start, end := startOfURL(text, from, at), endOfURL(text, at)
		if i := schemeStart.FindStringIndex(text[start:at]); i != nil {
			start += i[0] // text before the URL is not part of it
		}
		if value := strings.IndexByte(text[at:end], '=') + 1; at+value == end && end < len(text) && strings.IndexByte("\"'`\\", text[end]) >= 0 || strings.HasPrefix(text[at+value:end], "[") {
			from = end // a quoted value, which findParameters finds
			continue
		}
		best := fromQuery(trimPunctuation(text[start:end], start == 0 && end == len(text)))
		if start == 0 && strings.TrimSpace(text[:end]) != text {
			// A query that is the whole text is joined, however it was broken.
			best, end = preferJoined(best, text[start:], end, len(text))
		}
		if joined, after := joinLines(text, start, end); after > end {
			best, end = preferJoined(best, joined, end, after)
		}
		if best.Address == "" {
			nearEndpoint(&best, text[max(0, start-2048):start])
		}
		best.Place = PlaceURL
		found = append(found, best)
		from = end
	}
	return found
}

// preferJoined returns the joined text instead, if a message in it is more complete.
func preferJoined(best Sent, joined string, end, after int) (Sent, int) {
	if strings.IndexFunc(joined, func(r rune) bool { return endsURL(r) && !unicode.IsSpace(r) }) >= 0 {
		return best, end
	}
	if other := fromQuery(joined); contentOf(other).scoreForm(other) > contentOf(best).scoreForm(best) {
		other.Steps = []Step{StepJoined}
		return other, after
	}
	return best, end
}

// joinLines continues a run of characters over the following lines, if they look like a long
// line that a mail program or a terminal has broken: full lines without spaces, and a shorter
// last one.
func joinLines(text string, start, end int) (joined string, after int) {
	const full = 40 // bytes; shorter lines are never broken
	var b strings.Builder
	b.WriteString(text[start:end])
	lineStart := strings.LastIndexByte(text[:start], '\n') + 1
	width := end - lineStart
	for range 2000 {
		rest := text[end:]
		next := strings.TrimLeft(rest, " \t\r=")
		if !strings.HasPrefix(next, "\n") || width < full {
			break
		}
		next = strings.TrimLeft(next[1:], " \t>|")
		at := len(text) - len(next)
		to := endOfURL(text, at)
		tail, _, _ := strings.Cut(text[to:], "\n")
		if to == at || strings.TrimSpace(tail) != "" || b.Len()+to-at > 2*maxDecoded || strings.Contains(text[at:to], "SAMLRe") {
			break // another message begins, or the server would not accept that much
		}
		b.WriteString(text[at:to])
		end, after = to, to
		if to-at < width*3/4 {
			break // the last line
		}
		width = max(width, to-at)
	}
	return b.String(), after
}

// trimPunctuation removes punctuation at the end of a sentence or of a link in Markdown.
func trimPunctuation(s string, whole bool) string {
	for s != "" && !whole {
		switch last := s[len(s)-1]; last {
		case '.', ',', ';', ':', '!', '*':
		case ')', ']', '}':
			if strings.Contains(s, string("([{"[strings.IndexByte(")]}", last)])) {
				return s
			}
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}

// fromQuery splits a URL into address and query, and restores ampersands that a page escaped.
// If the query contains another URL, as link scanners write it, the inner one counts.
func fromQuery(text string) Sent {
	text = strings.ReplaceAll(text, "&amp;", "&")
	var s Sent
	message := nextNamed(text, 0)
	if cut := queryStart(text[:max(message, 0)]); cut >= 0 {
		s.Address, text = text[:cut], text[cut+1:]
		if i := strings.LastIndex(s.Address, "://"); i > 0 {
			scheme := strings.TrimRightFunc(s.Address[:i], isLetter)
			s.Address = s.Address[len(scheme):]
		}
		s.Address = strings.TrimLeft(s.Address, "([{*@")
	} else if i := strings.LastIndexAny(text[:max(message, 0)], "([{,;:"); i >= 0 && !strings.Contains(text[:message], "&") {
		text = text[i+1:]
	}
	s.Query, _, _ = strings.Cut(text, "#")
	return s
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

// queryStart returns where the query at the beginning of the text starts: after one of our
// endpoints, or else after the last question mark. It returns -1 if there is none.
func queryStart(text string) int {
	for from := 0; ; {
		i := strings.IndexByte(text[from:], '?')
		if i < 0 {
			return strings.LastIndexByte(text, '?')
		}
		if yearly.MatchString(text[max(0, from+i-64) : from+i]) {
			return from + i
		}
		from += i + 1
	}
}

// endpoints matches the URLs of our endpoints.
var endpoints = regexp.MustCompile(`(?:https?://[^\s"'<>?]+)?/api/saml/(?:auth|logout|remotelogout)[0-9]{4}[a-z]?\b`)

// nearEndpoint sets the URL of a form to the last endpoint before it, as in the head of an
// HTTP request or a curl command.
func nearEndpoint(s *Sent, before string) {
	all := endpoints.FindAllStringIndex(before, -1)
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1]
	method := strings.HasSuffix(strings.TrimRight(before[:last[0]], " \t"), "POST")
	if method || !signs.MatchString(s.Query) {
		s.Address, s.Post = before[last[0]:last[1]], true
	}
}

// findForms finds the forms in an HTML page that send a message.
func findForms(text string) (found []Sent) {
	if !strings.Contains(text, "<") {
		return nil
	}
	z := xhtml.NewTokenizer(strings.NewReader(text))
	form := Sent{Post: true, Place: PlaceForm}
	var pairs []string
	end := func() {
		if s := strings.Join(pairs, "&"); strings.Contains(s, "SAMLRe") && len(found) < maxTriedFinds {
			form.Query = s
			found = append(found, form)
		}
		form, pairs = Sent{Post: true, Place: PlaceForm}, nil
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
				form.Post = !strings.EqualFold(tokenAttribute(t, "method"), "get")
				form.Address, _, _ = strings.Cut(tokenAttribute(t, "action"), "?")
			case "input", "textarea", "button":
				name, val := tokenAttribute(t, "name"), tokenAttribute(t, "value")
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

func tokenAttribute(t xhtml.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// afterName matches the text between a parameter's name and its value: in the lists of
// developer tools, printed maps and dictionaries, logs with key=value, name and value of JSON,
// and the parts of a multipart form.
var afterName = regexp.MustCompile(`^(?:` +
	`["']?\s*,\s*["']?value["']?\s*[:=]+>?\s*|` + // {"name": "SAMLRequest", "value": "…"}
	`"?[^\S\n]*\r?\n(?:[A-Za-z-]+:[^\n]*\r?\n)*\r?\n|` + // Content-Disposition: form-data; name="SAMLRequest"
	`["'\]}]*\s*(?:=>|[:=])[\s\[({]*|` + // SAMLRequest: …, "SAMLRequest" => …, SAMLRequest=[…]
	`["']?\t[\s]*|["']?\s{2,})`) // a table

// maxBetween bounds, in bytes, the text between a name and its value.
const maxBetween = 1 << 10

// anyName matches the names of parameters.
var anyName = regexp.MustCompile(strings.Join(parameterNames, "|"))

// parameter is a name and its value at a position in a text.
type parameter struct {
	name, value string
	from, to    int
}

// findParameters finds parameters that are separate in a text. A parameter between two
// messages belongs to the one next to it.
func findParameters(text string) (found []Sent) {
	var group []parameter
	flush := func() {
		var pairs []string
		for _, p := range group {
			pairs = append(pairs, p.name+"="+escapeValue(p.value))
		}
		if s := (Sent{Place: PlaceParameters, Rebuilt: true, Query: strings.Join(pairs, "&")}); hasParameter(s.Query) {
			nearEndpoint(&s, text[max(0, group[0].from-2048):group[0].from])
			found = append(found, s)
		}
		group = nil
	}
	const gap = 400 // bytes between the parameters of one message
	for from := 0; len(found) < maxTriedFinds; {
		m := anyName.FindStringIndex(text[from:])
		if m == nil {
			break
		}
		at, name := from+m[0], text[from+m[0]:from+m[1]]
		from += m[1]
		if at > 0 && (isBase64(rune(text[at-1])) && text[at-1] != '=' || text[at-1] == '.') {
			continue // the end of another word
		}
		between := afterName.FindString(text[from:min(len(text), from+maxBetween)])
		if between == "" {
			continue
		}
		p := parameter{name: name, from: at}
		p.value, p.to = valueAt(text, from+len(between), name)
		from = max(p.to, from)
		if len(group) > 0 && (at-group[len(group)-1].to > gap || slices.ContainsFunc(group, func(o parameter) bool { return parametersClash(o.name, name) })) {
			flush()
		}
		if p.value != "" {
			group = append(group, p)
		}
	}
	flush()
	return found
}

// parametersClash reports whether two parameters cannot belong to one message.
func parametersClash(a, b string) bool {
	return a == b || strings.HasPrefix(a, "SAMLRe") && strings.HasPrefix(b, "SAMLRe")
}

// valueAt returns the value that begins at a position, and its end.
func valueAt(text string, at int, name string) (string, int) {
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
		if m := afterValue.FindStringIndex(v); m != nil {
			v = v[:m[0]]
		}
		return strings.TrimSpace(v), at + len(v)
	}
	// Base64, percent-encoded or not.
	end := at + len(rest) - len(strings.TrimLeftFunc(rest, func(r rune) bool { return isBase64(r) || r == '%' }))
	if joined, after := joinLines(text, at, end); after > end && looksEncoded(normalValue(joined)) {
		if c, d := contentOf(Sent{Query: name + "=" + escapeValue(text[at:end])}), contentOf(Sent{Query: name + "=" + escapeValue(joined)}); name == "Signature" || d.readable || !c.readable {
			return joined, after
		}
	}
	return text[at:end], end
}

// afterValue matches the end of a RelayState or SigAlg without quotes.
var afterValue = regexp.MustCompile(`[",;&\])}]| Sig| SAMLRe`)

// roots matches the elements that findXML looks for in a text.
var roots = regexp.MustCompile(`<(?:[A-Za-z_][\w.-]*:)?(?:AuthnRequest|LogoutRequest|Response|LogoutResponse|Envelope|EntityDescriptor|EntitiesDescriptor)(?:[\s/>])`)

// maxRoots bounds the elements that are tried in one view.
const maxRoots = 60

// findXML finds the XML messages in a text, including a declaration before them. A truncated
// message ends with the text, or where the next one begins.
func findXML(text string) (found []Sent) {
	if !strings.Contains(text, "urn:oasis:names:tc:SAML") {
		return nil
	}
	var steps []Step
	if clean := withoutTree(text); clean != text {
		text, steps = clean, []Step{StepTree}
	}
	from := 0
	for range maxRoots {
		m := roots.FindStringIndex(text[from:])
		if m == nil {
			break
		}
		start, name := from+m[0], text[from+m[0]+1:from+m[1]-1]
		end := elementEnd(text, start, name)
		doc := text[prologStart(text, from, start):end]
		if strings.Contains(doc, "urn:oasis:names:tc:SAML") {
			found = append(found, Sent{XML: strings.TrimSpace(doc), Place: PlaceXML, Steps: steps})
		}
		from = max(end, start+1)
	}
	return found
}

// elementEnd returns where the element that begins at start ends: at its own end tag, counting
// elements of the same name within. A truncated one ends where the next one begins, or with
// the text.
func elementEnd(text string, start int, name string) int {
	inner := text[start+1:]
	if closing := strings.IndexByte(inner, '>'); closing > 0 && inner[closing-1] == '/' {
		return start + 1 + closing + 1
	}
	next := len(text)
	for depth, at := 1, start+1+len(name); ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return next
		}
		at += i + len(name)
		before, after := text[:at-len(name)], strings.TrimLeft(text[at:], " \t\r\n")
		switch {
		case strings.HasSuffix(before, "</") && strings.HasPrefix(after, ">"):
			if depth--; depth == 0 {
				return len(text) - len(after) + 1
			}
		case strings.HasSuffix(before, "<") && at < len(text) && strings.IndexByte(" \t\r\n/>", text[at]) >= 0:
			depth++
			next = min(next, len(before)-1)
		}
	}
}

// prolog matches the text that may precede the root of a document.
var prolog = regexp.MustCompile(`(?s)(?:<\?[^>]*\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>|\s)+$`)

// prologStart returns where the document begins whose root begins at start. It includes
// constructs that are forbidden before a root, so that they are reported.
func prologStart(text string, from, start int) int {
	const longest = 8 << 10
	from = max(from, start-longest)
	before := text[from:start]
	if !strings.HasSuffix(strings.TrimRight(before, " \t\r\n"), ">") {
		return start
	}
	if m := prolog.FindStringIndex(before); m != nil {
		return from + m[0]
	}
	return start
}

// encodedRE matches text that may be a message in base64, over one or more lines.
var encodedRE = regexp.MustCompile(`(?:[A-Za-z0-9+/_-]|%2[BbFfDd]|%3[Dd]){24,}(?:=|%3[Dd]){0,2}(?:[ \t]*(?:\\r|\\n)*\r?\n?[ \t>|]*(?:[A-Za-z0-9+/_-]|%2[BbFf]|%3[Dd]){4,}(?:=|%3[Dd]){0,2})*`)

// findBase64 finds messages in base64 without a parameter name. A text that consists of base64
// only counts as one, whatever it decodes to.
func findBase64(text string) (found []Sent) {
	for _, one := range encodedRE.FindAllString(text, maxTriedFinds) {
		lines := strings.FieldsFunc(one, func(r rune) bool { return strings.ContainsRune(" \t\r\n>|", r) })
		// The following lines may be words, so fewer of them are tried, too.
		for n := len(lines); n > 0 && n > len(lines)-4; n-- {
			value := strings.Join(lines[:n], "")
			s := Sent{Query: "SAMLRequest=" + escapeValue(value), Place: PlaceBase64}
			if n > 1 {
				s.Steps = []Step{StepJoined}
			}
			if doc, _ := decodeLeniently(messageValue(s.Query)); strings.Contains(doc, "urn:oasis:names:tc:SAML") {
				found = append(found, s)
				break
			}
		}
	}
	whole := strings.Join(strings.Fields(text), "")
	if len(found) == 0 && looksEncoded(normalValue(whole)) && !strings.Contains(strings.TrimSpace(text), " ") {
		found = append(found, Sent{Query: "SAMLRequest=" + escapeValue(whole), Place: PlaceBase64})
	}
	return found
}
