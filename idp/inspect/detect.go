package inspect

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// endsURL reports whether a character ends a URL within a text.
func endsURL(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("'\"<>`|\\“”‘’«»„‹›…", r)
}

// findURLEnd and startOfURL return the end and the beginning of a run of URL characters.
func findURLEnd(text string, from int) int {
	if i := strings.IndexFunc(text[from:], endsURL); i >= 0 {
		return from + i
	}
	return len(text)
}

func findURLStart(text string, least, at int) int {
	i := strings.LastIndexFunc(text[least:at], endsURL)
	if i < 0 {
		return least
	}
	_, size := utf8.DecodeRuneInString(text[least+i:])
	return least + i + size
}

// schemeStart matches the beginning of a URL.
var schemeStart = regexp.MustCompile(`https?://`)

// messageParameter matches a message as a parameter.
var messageParameter = regexp.MustCompile(`SAMLRe(?:quest|sponse)=`)

// findMessageParameter returns the position of the next parameter with a message, or -1.
func findMessageParameter(text string, from int) int {
	if i := messageParameter.FindStringIndex(text[from:]); i != nil {
		return from + i[0]
	}
	return -1
}

// findQueries finds the URLs, queries and forms in a text. It joins one that was broken into
// lines if that makes the message more complete.
func findQueries(text string) (found []FoundMessage) {
	for from := 0; len(found) < maxTriedFinds; {
		at := findMessageParameter(text, from)
		if at < 0 {
			return found
		}
		start, end := findURLStart(text, from, at), findURLEnd(text, at)
		if i := schemeStart.FindStringIndex(text[start:at]); i != nil {
			start += i[0] // text before the URL is not part of it
		}
		if value := strings.IndexByte(text[at:end], '=') + 1; at+value == end && end < len(text) && strings.IndexByte("\"'`\\", text[end]) >= 0 || strings.HasPrefix(text[at+value:end], "[") {
			from = end // a quoted value, which findParameters finds
			continue
		}
		best := parseQuery(trimPunctuation(text[start:end], start == 0 && end == len(text)))
		if start == 0 && strings.TrimSpace(text[:end]) != text {
			// A query that is the whole text is joined, however it was broken.
			best, end = preferJoined(best, text[start:], end, len(text))
		}
		if joined, after := joinLines(text, start, end); after > end {
			best, end = preferJoined(best, joined, end, after)
		}
		if best.URL == "" {
			setPrecedingURL(&best, text[max(0, start-2048):start])
		}
		best.Place = PlaceURL
		found = append(found, best)
		from = end
	}
	return found
}

// preferJoined returns the joined text instead, if a message in it is more complete.
func preferJoined(best FoundMessage, joined string, end, after int) (FoundMessage, int) {
	if strings.IndexFunc(joined, func(r rune) bool { return endsURL(r) && !unicode.IsSpace(r) }) >= 0 {
		return best, end
	}
	if other := parseQuery(joined); decodeContent(other).scoreForm(other) > decodeContent(best).scoreForm(best) {
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
		to := findURLEnd(text, at)
		tail, _, _ := strings.Cut(text[to:], "\n")
		if to == at || strings.TrimSpace(tail) != "" || b.Len()+to-at > 2*maxInflated || strings.Contains(text[at:to], "SAMLRe") {
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

// parseQuery splits a URL at its query, and restores ampersands that a page escaped.
// If the query contains another URL, as link scanners write it, the inner one counts.
func parseQuery(text string) FoundMessage {
	text = strings.ReplaceAll(text, "&amp;", "&")
	var s FoundMessage
	message := findMessageParameter(text, 0)
	if cut := findQueryStart(text[:max(message, 0)]); cut >= 0 {
		s.URL, text = text[:cut], text[cut+1:]
		if i := strings.LastIndex(s.URL, "://"); i > 0 {
			scheme := strings.TrimRightFunc(s.URL[:i], isLetter)
			s.URL = s.URL[len(scheme):]
		}
		s.URL = strings.TrimLeft(s.URL, "([{*@")
	} else if i := strings.LastIndexAny(text[:max(message, 0)], "([{,;:"); i >= 0 && !strings.Contains(text[:message], "&") {
		text = text[i+1:]
	}
	s.Query, _, _ = strings.Cut(text, "#")
	return s
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

// findQueryStart returns where the query at the beginning of the text starts: after one of our
// endpointURL, or else after the last question mark. It returns -1 without one.
func findQueryStart(text string) int {
	for from := 0; ; {
		i := strings.IndexByte(text[from:], '?')
		if i < 0 {
			return strings.LastIndexByte(text, '?')
		}
		if yearEndpoint.MatchString(text[max(0, from+i-64) : from+i]) {
			return from + i
		}
		from += i + 1
	}
}

// endpointURL matches the URLs of our endpoints.
var endpointURL = regexp.MustCompile(`(?:https?://[^\s"'<>?]+)?/api/saml/(?:auth|logout|remotelogout)[0-9]{4}[a-z]?\b`)

// setPrecedingURL sets the URL of a form to the last endpoint before it, as in the head of an
// HTTP request or a curl command.
func setPrecedingURL(s *FoundMessage, before string) {
	all := endpointURL.FindAllStringIndex(before, -1)
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1]
	method := strings.HasSuffix(strings.TrimRight(before[:last[0]], " \t"), "POST")
	if method || !signatureParameter.MatchString(s.Query) {
		s.URL, s.Post = before[last[0]:last[1]], true
	}
}
