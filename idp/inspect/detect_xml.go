package inspect

import (
	"regexp"
	"strings"
)

// rootElement matches the elements that findXML looks for in a text.
var rootElement = regexp.MustCompile(`<(?:[A-Za-z_][\w.-]*:)?(?:AuthnRequest|LogoutRequest|Response|LogoutResponse|Envelope|EntityDescriptor|EntitiesDescriptor)(?:[\s/>])`)

// maxRoots bounds the elements that are tried in one view.
const maxRoots = 60

// findXML finds the XML messages in a text, including a declaration before them. A truncated
// message ends with the text, or where the next one begins.
func findXML(text string) (messages []FoundMessage) {
	if !strings.Contains(text, "urn:oasis:names:tc:SAML") {
		return nil
	}
	var steps []Step
	if xmlText := removeTreeMarks(text); xmlText != text {
		text, steps = xmlText, []Step{StepTree}
	}
	offset := 0
	for range maxRoots {
		m := rootElement.FindStringIndex(text[offset:])
		if m == nil {
			break
		}
		start, name := offset+m[0], text[offset+m[0]+1:offset+m[1]-1]
		end := findElementEnd(text, start, name)
		doc := text[findPrologStart(text, offset, start):end]
		if strings.Contains(doc, "urn:oasis:names:tc:SAML") {
			messages = append(messages, FoundMessage{XML: strings.TrimSpace(doc), Place: PlaceXML, Steps: steps})
		}
		offset = max(end, start+1)
	}
	return messages
}

// findElementEnd returns the end of the element that begins at start. It counts nested elements of
// the same name. A truncated element ends where the next one begins, or with the text.
func findElementEnd(text string, start int, name string) int {
	body := text[start+1:]
	if tagEnd := strings.IndexByte(body, '>'); tagEnd > 0 && body[tagEnd-1] == '/' {
		return start + 1 + tagEnd + 1
	}
	next := len(text)
	for depth, pos := 1, start+1+len(name); ; {
		i := strings.Index(text[pos:], name)
		if i < 0 {
			return next
		}
		pos += i + len(name)
		textBefore, textAfter := text[:pos-len(name)], strings.TrimLeft(text[pos:], " \t\r\n")
		switch {
		case strings.HasSuffix(textBefore, "</") && strings.HasPrefix(textAfter, ">"):
			if depth--; depth == 0 {
				return len(text) - len(textAfter) + 1
			}
		case strings.HasSuffix(textBefore, "<") && pos < len(text) && strings.IndexByte(" \t\r\n/>", text[pos]) >= 0:
			depth++
			next = min(next, len(textBefore)-1)
		}
	}
}

// prolog matches the text that may precede the root of a document.
var prolog = regexp.MustCompile(`(?s)(?:<\?[^>]*\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>|\s)+$`)

// findPrologStart returns the beginning of the document whose root begins at start. It includes
// forbidden constructs before the root, so that they are reported.
func findPrologStart(text string, offset, start int) int {
	const maxProlog = 8 << 10
	offset = max(offset, start-maxProlog)
	textBefore := text[offset:start]
	if !strings.HasSuffix(strings.TrimRight(textBefore, " \t\r\n"), ">") {
		return start
	}
	if m := prolog.FindStringIndex(textBefore); m != nil {
		return offset + m[0]
	}
	return start
}

// base64Text matches text that may be a message in base64, over one or more lines.
var base64Text = regexp.MustCompile(`(?:[A-Za-z0-9+/_-]|%2[BbFfDd]|%3[Dd]){24,}(?:=|%3[Dd]){0,2}(?:[ \t]*(?:\\r|\\n)*\r?\n?[ \t>|]*(?:[A-Za-z0-9+/_-]|%2[BbFf]|%3[Dd]){4,}(?:=|%3[Dd]){0,2})*`)

// findBase64 finds messages in base64 without a parameter name. A text that contains only base64
// counts as one, whatever it decodes to.
func findBase64(text string) (messages []FoundMessage) {
	for _, block := range base64Text.FindAllString(text, maxTriedFinds) {
		lines := strings.FieldsFunc(block, func(r rune) bool { return strings.ContainsRune(" \t\r\n>|", r) })
		// The following lines may be words, so fewer lines are tried, too.
		for n := len(lines); n > 0 && n > len(lines)-4; n-- {
			value := strings.Join(lines[:n], "")
			s := FoundMessage{Query: "SAMLRequest=" + escapeValue(value), Place: PlaceBase64}
			if n > 1 {
				s.Steps = []Step{StepJoined}
			}
			if doc, _ := decodeLeniently(findMessage(s.Query)); strings.Contains(doc, "urn:oasis:names:tc:SAML") {
				messages = append(messages, s)
				break
			}
		}
	}
	compactText := strings.Join(strings.Fields(text), "")
	if len(messages) == 0 && looksEncoded(normalizeValue(compactText)) && !strings.Contains(strings.TrimSpace(text), " ") {
		messages = append(messages, FoundMessage{Query: "SAMLRequest=" + escapeValue(compactText), Place: PlaceBase64})
	}
	return messages
}
