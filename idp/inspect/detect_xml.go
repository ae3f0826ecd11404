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
func findXML(text string) (found []FoundMessage) {
	if !strings.Contains(text, "urn:oasis:names:tc:SAML") {
		return nil
	}
	var steps []Step
	if clean := removeTreeMarks(text); clean != text {
		text, steps = clean, []Step{StepTree}
	}
	from := 0
	for range maxRoots {
		m := rootElement.FindStringIndex(text[from:])
		if m == nil {
			break
		}
		start, name := from+m[0], text[from+m[0]+1:from+m[1]-1]
		end := findElementEnd(text, start, name)
		doc := text[findPrologStart(text, from, start):end]
		if strings.Contains(doc, "urn:oasis:names:tc:SAML") {
			found = append(found, FoundMessage{XML: strings.TrimSpace(doc), Place: PlaceXML, Steps: steps})
		}
		from = max(end, start+1)
	}
	return found
}

// findElementEnd returns where the element that begins at start ends: at its own end tag, counting
// elements of the same name within. A truncated one ends where the next one begins, or with
// the text.
func findElementEnd(text string, start int, name string) int {
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

// findPrologStart returns the beginning of the document whose root begins at start. It includes
// constructs that are forbidden before a root, so that they are reported.
func findPrologStart(text string, from, start int) int {
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

// base64Text matches text that may be a message in base64, over one or more lines.
var base64Text = regexp.MustCompile(`(?:[A-Za-z0-9+/_-]|%2[BbFfDd]|%3[Dd]){24,}(?:=|%3[Dd]){0,2}(?:[ \t]*(?:\\r|\\n)*\r?\n?[ \t>|]*(?:[A-Za-z0-9+/_-]|%2[BbFf]|%3[Dd]){4,}(?:=|%3[Dd]){0,2})*`)

// findBase64 finds messages in base64 without a parameter name. A text that contains only base64
// counts as one, whatever it decodes to.
func findBase64(text string) (found []FoundMessage) {
	for _, one := range base64Text.FindAllString(text, maxTriedFinds) {
		lines := strings.FieldsFunc(one, func(r rune) bool { return strings.ContainsRune(" \t\r\n>|", r) })
		// The following lines may be words, so fewer of them are tried, too.
		for n := len(lines); n > 0 && n > len(lines)-4; n-- {
			value := strings.Join(lines[:n], "")
			s := FoundMessage{Query: "SAMLRequest=" + escapeValue(value), Place: PlaceBase64}
			if n > 1 {
				s.Steps = []Step{StepJoined}
			}
			if doc, _ := decodeLeniently(findMessage(s.Query)); strings.Contains(doc, "urn:oasis:names:tc:SAML") {
				found = append(found, s)
				break
			}
		}
	}
	whole := strings.Join(strings.Fields(text), "")
	if len(found) == 0 && looksEncoded(normalizeValue(whole)) && !strings.Contains(strings.TrimSpace(text), " ") {
		found = append(found, FoundMessage{Query: "SAMLRequest=" + escapeValue(whole), Place: PlaceBase64})
	}
	return found
}
