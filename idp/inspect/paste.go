package inspect

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// FoundMessage is one message as it was found in a pasted text.
type FoundMessage struct {
	// Query contains the encoded parameters of a query or form.
	Query string `json:"query,omitempty"`
	// URLQuery contains the parameters in the URL that a form was sent to. The server reads both.
	URLQuery string `json:"in_url,omitempty"`
	// XML is the message, if it was pasted as plain XML.
	XML string `json:"xml,omitempty"`
	// URL is the URL that it was sent to, without the query, or "" if unknown.
	URL string `json:"address,omitempty"`
	// Post is set for a form, whose signature is in the message.
	Post bool `json:"post,omitempty"`
	// Place is the kind of text that the message was found in, and Steps lists the
	// transformations that were undone, in order.
	Place Place  `json:"place,omitempty"`
	Steps []Step `json:"steps,omitempty"`
	// Rebuilt is set if the parameters were found decoded. Their original encoding, which the
	// signature of a query covers, is lost.
	Rebuilt bool `json:"rebuilt,omitempty"`
}

// Place is the kind of text that a message was found in.
type Place string

const (
	PlaceHAR        Place = "har"
	PlaceJSON       Place = "json"
	PlaceURL        Place = "url"        // a URL, or its query
	PlaceForm       Place = "form"       // an HTML form
	PlaceParameters Place = "parameters" // parameters in a list, a table or a log line
	PlaceXML        Place = "xml"
	PlaceBase64     Place = "base64"
)

// Bounds on one paste.
const (
	// maxMessages bounds the messages that Find collects.
	maxMessages = 50
	// maxUnwrapBytes bounds, in bytes, the texts in which transformations are undone.
	maxUnwrapBytes = 4 << 20
	// maxLayers bounds the nesting of transformations, and maxViews their total number.
	maxLayers = 6
	maxViews  = 40
	// maxTriedFinds bounds the messages that are decoded in one view, because the same
	// message may occur there many times.
	maxTriedFinds = 200
)

// Find returns the messages in a text, in order of appearance: URLs, queries, forms,
// parameters in lists and logs, XML, HAR files and other JSON, and base64, with any text
// around them. It undoes the transformations of mail programs, logs, browsers, shells and link
// scanners. Messages that occur unchanged come first, and messages that do not decode come last.
//
// It runs in the process that reads the text, because a HAR file also contains cookies and
// passwords. Only the messages may be sent to the server.
func Find(text string) []FoundMessage {
	f := candidates{indexByKey: map[string]int{}, indexByID: map[string]int{}}
	text, steps := decodeText(text)
	if text == "" {
		return nil
	}
	if text[0] == '{' || text[0] == '[' {
		messages, isHAR := findJSON(text)
		f.addMessages(messages, steps)
		if isHAR {
			return f.sortMessages()
		}
	}
	views := []view{{text: text, steps: steps}}
	budget := max(2*maxUnwrapBytes, 4*len(text))
	for i := 0; i < len(views) && i < maxViews && !f.isFull(); i++ {
		v := views[i]
		f.searchView(v)
		if len(text) > maxUnwrapBytes || len(v.steps) >= maxLayers {
			continue
		}
		for _, next := range v.listUnwrapped() {
			isKnown := slices.ContainsFunc(views, func(o view) bool { return o.text == next.text })
			if budget -= len(next.text); isKnown || budget < 0 || len(views) >= maxViews {
				continue
			}
			views = append(views, next)
		}
	}
	if !slices.ContainsFunc(f.items, func(x candidate) bool { return x.isReadable }) && len(text) <= maxUnwrapBytes {
		for _, v := range views {
			f.addMessages(findBase64(v.text), v.steps)
		}
	}
	if len(f.items) == 0 && text[0] == '<' && !isPage(text) {
		f.addMessage(FoundMessage{XML: text, Place: PlaceXML, Steps: steps})
	}
	return f.sortMessages()
}

// candidates collects the messages found so far, each once.
type candidates struct {
	items []candidate
	// indexByKey and indexByID map to an index in items. The keys are a content.key and a
	// content.id.
	indexByKey, indexByID map[string]int
}

// candidate is a message with its decoded content.
type candidate struct {
	FoundMessage
	content
	score int
}

func (f *candidates) isFull() bool { return len(f.items) >= maxMessages }

// searchView adds the messages in a view.
func (f *candidates) searchView(v view) {
	if strings.Contains(v.text, "SAMLRe") {
		f.addMessages(findForms(v.text), v.steps)
		f.addMessages(findQueries(v.text), v.steps)
		f.addMessages(findParameters(v.text), v.steps)
	}
	f.addMessages(findXML(v.text), v.steps)
}

func (f *candidates) addMessages(messages []FoundMessage, steps []Step) {
	for i, s := range messages {
		if i == maxTriedFinds || f.isFull() {
			return
		}
		s.Steps = slices.Concat(steps, s.Steps)
		f.addMessage(s)
	}
}

// addMessage adds a message unless it is already known. Of two forms of the same message it keeps
// the more complete one: one that decodes, with its signature and its URL. It keeps a message from
// one of our URLs as it was sent, even if it is broken.
func (f *candidates) addMessage(s FoundMessage) {
	x := candidate{FoundMessage: s, content: decodeContent(s)}
	x.score = x.content.scoreForm(s)
	if !x.isReadable && s.Place == PlaceParameters && !looksEncoded(x.value) {
		return // a word after the name of a parameter, such as "SAMLRequest: missing"
	}
	index, isKnown := f.indexByKey[x.key]
	if !isKnown && x.id != "" {
		index, isKnown = f.indexByID[x.id]
		// Undoing a transformation can change a message.
		isKnown = isKnown && (x.isClean != f.items[index].isClean || isDerived(x.FoundMessage))
	}
	if !isKnown {
		index = len(f.items)
		f.items = append(f.items, x)
	} else if old := f.items[index]; x.score > old.score && (old.isReadable || !isOurs(old.FoundMessage)) {
		f.items[index] = x
	}
	f.indexByKey[x.key] = index
	if x.id != "" {
		f.indexByID[x.id] = index
	}
}

// sortMessages returns the messages, beginning with those that decode. It leaves out fragments of
// another message, and forms of it before a transformation was undone.
func (f *candidates) sortMessages() []FoundMessage {
	var uncleanItems, brokenItems []candidate
	cleanItems := slices.DeleteFunc(slices.Clone(f.items), func(x candidate) bool { return !x.isReadable || !x.isClean })
	for _, x := range f.items {
		switch {
		case x.isReadable && x.isClean, slices.ContainsFunc(cleanItems, x.isFragmentOf):
		case x.isReadable:
			uncleanItems = append(uncleanItems, x)
		case isDerived(x.FoundMessage) && len(cleanItems)+len(uncleanItems)+len(brokenItems) > 0:
			// The wrong transformation was undone in this text.
		default:
			brokenItems = append(brokenItems, x)
		}
	}
	var messages []FoundMessage
	for _, x := range slices.Concat(cleanItems, uncleanItems, brokenItems) {
		messages = append(messages, x.FoundMessage)
	}
	return messages
}

// isDerived reports whether a message was found in a text in which a transformation was
// undone.
func isDerived(s FoundMessage) bool {
	return slices.ContainsFunc(s.Steps, func(step Step) bool { return step != StepJoined && step != StepUTF16 && step != StepTree })
}

// idAttribute matches an ID in XML that does not parse, also with escaped quotes.
var idAttribute = regexp.MustCompile(`\bID=(?:3D)?(?:["'“”\\]|&[a-z]+;|&#[0-9]+;)*([A-Za-z0-9_.-]{8,})`)

// isFragmentOf reports whether a message that does not decode is a fragment of another one that
// does, or the same message before a transformation was undone.
func (x candidate) isFragmentOf(other candidate) bool {
	switch {
	case x.Place == PlaceHAR:
		return false // values in a HAR file are complete
	case x.XML != "":
		m := idAttribute.FindStringSubmatch(x.XML)
		return m == nil && len(other.Steps) > 0 || m != nil && strings.Contains(other.key, m[1][:min(len(m[1]), 16)])
	}
	value := strings.TrimLeft(strings.ReplaceAll(x.value, "=", ""), "+") // a plus sign was a space
	value = value[:len(value)-len(strings.TrimLeftFunc(value, isBase64))]
	otherValue := strings.ReplaceAll(other.value, "=", "")
	valueStart, _, _ := strings.Cut(strings.TrimLeft(x.value, "+="), "=")
	// In mail, =3D is an equals sign, and one at the end of a line breaks it.
	for _, v := range []string{value, strings.TrimPrefix(value, "3D"), valueStart, strings.TrimPrefix(valueStart, "3D")} {
		if strings.HasPrefix(otherValue, v) || otherValue != "" && strings.HasPrefix(v, otherValue) {
			return true
		}
	}
	return other.XML != "" && strings.Contains(other.XML, value)
}

// isOurs reports whether a message was sent to one of our endpoints.
func isOurs(s FoundMessage) bool { return yearEndpoint.MatchString(s.URL) }

// hasParameter reports whether a text contains a parameter with a message.
func hasParameter(text string) bool {
	return messageParameter.MatchString(text)
}

// isParameter reports whether a name is a parameter of a binding.
func isParameter(name string) bool { return slices.Contains(parameterNames, name) }

// parameterNames lists the parameters of a binding.
var parameterNames = []string{"SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature"}

// escapeValue returns a value as it appears in a query. Tools show it with or without escapes. A
// percent sign is always an escape, because base64 contains none.
func escapeValue(value string) string {
	if _, err := url.QueryUnescape(value); err == nil && strings.Contains(value, "%") {
		return value
	}
	return url.QueryEscape(value)
}

// encodeForm encodes XML as the parameter of a form.
func encodeForm(xml string) string {
	return "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(xml)))
}
