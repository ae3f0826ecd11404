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

// findURLEnd returns the end of a run of URL characters.
func findURLEnd(text string, offset int) int {
	if i := strings.IndexFunc(text[offset:], endsURL); i >= 0 {
		return offset + i
	}
	return len(text)
}

// findURLStart returns the beginning of a run of URL characters.
func findURLStart(text string, minStart, pos int) int {
	i := strings.LastIndexFunc(text[minStart:pos], endsURL)
	if i < 0 {
		return minStart
	}
	_, size := utf8.DecodeRuneInString(text[minStart+i:])
	return minStart + i + size
}

// schemeStart matches the beginning of a URL.
var schemeStart = regexp.MustCompile(`https?://`)

// messageParameter matches the name of a parameter that contains a message.
var messageParameter = regexp.MustCompile(`SAMLRe(?:quest|sponse)=`)

// findMessageParameter returns the position of the next parameter with a message, or -1.
func findMessageParameter(text string, offset int) int {
	if i := messageParameter.FindStringIndex(text[offset:]); i != nil {
		return offset + i[0]
	}
	return -1
}

// findQueries finds the URLs, queries and forms in a text. It joins the lines of a broken one if
// that makes the message more complete.
func findQueries(text string) (messages []FoundMessage) {
	for offset := 0; len(messages) < maxTriedFinds; {
		pos := findMessageParameter(text, offset)
		if pos < 0 {
			return messages
		}
		start, end := findURLStart(text, offset, pos), findURLEnd(text, pos)
		if i := schemeStart.FindStringIndex(text[start:pos]); i != nil {
			start += i[0] // skip text before the URL
		}
		if value := strings.IndexByte(text[pos:end], '=') + 1; pos+value == end && end < len(text) && strings.IndexByte("\"'`\\", text[end]) >= 0 || strings.HasPrefix(text[pos+value:end], "[") {
			offset = end // findParameters finds quoted values
			continue
		}
		message := parseQuery(trimPunctuation(text[start:end], start == 0 && end == len(text)))
		if start == 0 && strings.TrimSpace(text[:end]) != text {
			// A query that fills the whole text is joined at every line break.
			message, end = preferJoined(message, text[start:], end, len(text))
		}
		if joinedText, joinedEnd := joinLines(text, start, end); joinedEnd > end {
			message, end = preferJoined(message, joinedText, end, joinedEnd)
		}
		if message.URL == "" {
			setPrecedingURL(&message, text[max(0, start-2048):start])
		}
		message.Place = PlaceURL
		messages = append(messages, message)
		offset = end
	}
	return messages
}

// preferJoined returns the message in the joined text if it is more complete.
func preferJoined(message FoundMessage, joinedText string, end, joinedEnd int) (FoundMessage, int) {
	if strings.IndexFunc(joinedText, func(r rune) bool { return endsURL(r) && !unicode.IsSpace(r) }) >= 0 {
		return message, end
	}
	if joinedMessage := parseQuery(joinedText); decodeContent(joinedMessage).scoreForm(joinedMessage) > decodeContent(message).scoreForm(message) {
		joinedMessage.Steps = []Step{StepJoined}
		return joinedMessage, joinedEnd
	}
	return message, end
}

// joinLines joins a run of characters with the following lines if a mail program or a terminal
// seems to have broken one long line: full lines without spaces, then a shorter one.
func joinLines(text string, start, end int) (joinedText string, joinedEnd int) {
	const minWidth = 40 // in bytes, because shorter lines are never broken
	var b strings.Builder
	b.WriteString(text[start:end])
	lineStart := strings.LastIndexByte(text[:start], '\n') + 1
	width := end - lineStart
	for range 2000 {
		rest := text[end:]
		next := strings.TrimLeft(rest, " \t\r=")
		if !strings.HasPrefix(next, "\n") || width < minWidth {
			break
		}
		next = strings.TrimLeft(next[1:], " \t>|")
		pos := len(text) - len(next)
		lineEnd := findURLEnd(text, pos)
		tail, _, _ := strings.Cut(text[lineEnd:], "\n")
		if lineEnd == pos || strings.TrimSpace(tail) != "" || b.Len()+lineEnd-pos > 2*maxInflated || strings.Contains(text[pos:lineEnd], "SAMLRe") {
			break // another message begins, or the value is too long for the server
		}
		b.WriteString(text[pos:lineEnd])
		end, joinedEnd = lineEnd, lineEnd
		if lineEnd-pos < width*3/4 {
			break // the last line
		}
		width = max(width, lineEnd-pos)
	}
	return b.String(), joinedEnd
}

// trimPunctuation removes punctuation at the end of a sentence or of a link in Markdown.
func trimPunctuation(s string, isWhole bool) string {
	for s != "" && !isWhole {
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

// parseQuery splits a URL at its query, and restores ampersands that a page escaped. Link scanners
// put a URL into the query of another one. Then it returns the inner URL.
func parseQuery(text string) FoundMessage {
	text = strings.ReplaceAll(text, "&amp;", "&")
	var s FoundMessage
	messageStart := findMessageParameter(text, 0)
	if queryStart := findQueryStart(text[:max(messageStart, 0)]); queryStart >= 0 {
		s.URL, text = text[:queryStart], text[queryStart+1:]
		if i := strings.LastIndex(s.URL, "://"); i > 0 {
			scheme := strings.TrimRightFunc(s.URL[:i], isLetter)
			s.URL = s.URL[len(scheme):]
		}
		s.URL = strings.TrimLeft(s.URL, "([{*@")
	} else if i := strings.LastIndexAny(text[:max(messageStart, 0)], "([{,;:"); i >= 0 && !strings.Contains(text[:messageStart], "&") {
		text = text[i+1:]
	}
	s.Query, _, _ = strings.Cut(text, "#")
	return s
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

// findQueryStart returns the position of the question mark before the query: the one after the
// first of our endpoints, or else the last one, or -1.
func findQueryStart(text string) int {
	for offset := 0; ; {
		i := strings.IndexByte(text[offset:], '?')
		if i < 0 {
			return strings.LastIndexByte(text, '?')
		}
		if yearEndpoint.MatchString(text[max(0, offset+i-64) : offset+i]) {
			return offset + i
		}
		offset += i + 1
	}
}

// endpointURL matches the URLs of our endpoints.
var endpointURL = regexp.MustCompile(`(?:https?://[^\s"'<>?]+)?/api/saml/(?:auth|logout|remotelogout)[0-9]{4}[a-z]?\b`)

// setPrecedingURL sets the URL of a form to the last endpoint before it, for example in the head
// of an HTTP request or in a curl command.
func setPrecedingURL(s *FoundMessage, textBefore string) {
	matches := endpointURL.FindAllStringIndex(textBefore, -1)
	if len(matches) == 0 {
		return
	}
	last := matches[len(matches)-1]
	isPost := strings.HasSuffix(strings.TrimRight(textBefore[:last[0]], " \t"), "POST")
	if isPost || !signatureParameter.MatchString(s.Query) {
		s.URL, s.Post = textBefore[last[0]:last[1]], true
	}
}
