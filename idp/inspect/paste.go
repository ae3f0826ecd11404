package inspect

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// FoundMessage is one message as found in pasted text.
type FoundMessage struct {
	// Query holds the parameters, still encoded as in a query or a form.
	Query string `json:"query,omitempty"`
	// URLQuery holds the parameters in the URL that a form was sent to, which the server reads as
	// well.
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
	// maxLayers bounds the nesting of transformations, and maxViews their total
	// number.
	maxLayers = 6
	maxViews  = 40
	// maxTriedFinds bounds the finds that are decoded in one view, because the same
	// message may occur there many times.
	maxTriedFinds = 200
)

// Find returns the messages in a text, in order of appearance: URLs, queries, forms,
// parameters in lists and logs, XML, HAR files and other JSON, and base64, with any text
// around them. It undoes the transformations of mail programs, logs, browsers, shells and link
// scanners. Messages that occur unchanged come first, and those that do not decode last.
//
// It runs in the process that has the text: a HAR file also holds cookies and passwords, and
// only the message must be inspected.
func Find(text string) []FoundMessage {
	f := candidates{indexByKey: map[string]int{}, indexByID: map[string]int{}}
	text, steps := decodeText(text)
	if text == "" {
		return nil
	}
	if text[0] == '{' || text[0] == '[' {
		found, isHAR := findJSON(text)
		f.addMessages(found, steps)
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
			known := slices.ContainsFunc(views, func(o view) bool { return o.text == next.text })
			if budget -= len(next.text); known || budget < 0 || len(views) >= maxViews {
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
	// indexByKey and byID map to a find by its XML or undecodable value, and by its kind and ID.
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

func (f *candidates) addMessages(found []FoundMessage, steps []Step) {
	for i, s := range found {
		if i == maxTriedFinds || f.isFull() {
			return
		}
		s.Steps = slices.Concat(steps, s.Steps)
		f.addMessage(s)
	}
}

// addMessage adds a message unless it is known already. Of two forms of the same message it keeps
// the more complete one: one that decodes, with its signature and its URL. A message from a
// URL is kept as it was sent, broken or not.
func (f *candidates) addMessage(s FoundMessage) {
	x := candidate{FoundMessage: s, content: decodeContent(s)}
	x.score = x.content.scoreForm(s)
	if !x.isReadable && s.Place == PlaceParameters && !looksEncoded(x.value) {
		return // a word after the name of a parameter, such as "SAMLRequest: missing"
	}
	at, known := f.indexByKey[x.key]
	if !known && x.id != "" {
		at, known = f.indexByID[x.id]
		// In an unwrapped text a message can have changed.
		known = known && (x.isClean != f.items[at].isClean || isDerived(x.FoundMessage))
	}
	if !known {
		at = len(f.items)
		f.items = append(f.items, x)
	} else if old := f.items[at]; x.score > old.score && (old.isReadable || !isOurs(old.FoundMessage)) {
		f.items[at] = x
	}
	f.indexByKey[x.key] = at
	if x.id != "" {
		f.indexByID[x.id] = at
	}
}

// sortMessages returns the messages, those that decode first. It leaves out fragments of
// another message, and forms of it before a transformation was undone.
func (f *candidates) sortMessages() []FoundMessage {
	var odd, broken []candidate
	whole := slices.DeleteFunc(slices.Clone(f.items), func(x candidate) bool { return !x.isReadable || !x.isClean })
	for _, x := range f.items {
		switch {
		case x.isReadable && x.isClean, slices.ContainsFunc(whole, x.isFragmentOf):
		case x.isReadable:
			odd = append(odd, x)
		case isDerived(x.FoundMessage) && len(whole)+len(odd)+len(broken) > 0:
			// Texts that were unwrapped in a wrong way contain such messages.
		default:
			broken = append(broken, x)
		}
	}
	var found []FoundMessage
	for _, x := range slices.Concat(whole, odd, broken) {
		found = append(found, x.FoundMessage)
	}
	return found
}

// isDerived reports whether a message was found in a text in which a transformation was
// undone.
func isDerived(s FoundMessage) bool {
	return slices.ContainsFunc(s.Steps, func(one Step) bool { return one != StepJoined && one != StepUTF16 && one != StepTree })
}

// idAttribute matches an ID in XML that does not parse, whatever its quotes were turned into.
var idAttribute = regexp.MustCompile(`\bID=(?:3D)?(?:["'“”\\]|&[a-z]+;|&#[0-9]+;)*([A-Za-z0-9_.-]{8,})`)

// isFragmentOf reports whether a find that does not decode is a fragment of one that does, or the
// same before a transformation was undone.
func (x candidate) isFragmentOf(whole candidate) bool {
	switch {
	case x.Place == PlaceHAR:
		return false // values in a HAR file are complete
	case x.XML != "":
		m := idAttribute.FindStringSubmatch(x.XML)
		return m == nil && len(whole.Steps) > 0 || m != nil && strings.Contains(whole.key, m[1][:min(len(m[1]), 16)])
	}
	value := strings.TrimLeft(strings.ReplaceAll(x.value, "=", ""), "+") // a plus sign was a space
	value = value[:len(value)-len(strings.TrimLeftFunc(value, isBase64))]
	is := strings.ReplaceAll(whole.value, "=", "")
	before, _, _ := strings.Cut(strings.TrimLeft(x.value, "+="), "=")
	// In mail, =3D is an equals sign, and one at the end of a line breaks it.
	for _, v := range []string{value, strings.TrimPrefix(value, "3D"), before, strings.TrimPrefix(before, "3D")} {
		if strings.HasPrefix(is, v) || is != "" && strings.HasPrefix(v, is) {
			return true
		}
	}
	return whole.XML != "" && strings.Contains(whole.XML, value)
}

// isOurs reports whether a message was sent to one of our endpoints.
func isOurs(s FoundMessage) bool { return yearEndpoint.MatchString(s.URL) }

// hasParameter reports whether a text has a message as a parameter.
func hasParameter(text string) bool {
	return messageParameter.MatchString(text)
}

// isParameter reports whether a name is a parameter of a binding.
func isParameter(name string) bool { return slices.Contains(parameterNames, name) }

// parameterNames lists the parameters of a binding.
var parameterNames = []string{"SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature"}

// escapeValue returns a value as it appears in a query. Tools show it escaped or not, and
// base64 contains no percent sign that could be mistaken for an escape.
func escapeValue(value string) string {
	if _, err := url.QueryUnescape(value); err == nil && strings.Contains(value, "%") {
		return value
	}
	return url.QueryEscape(value)
}

// encodeForm returns plain XML as a form would encode it.
func encodeForm(xml string) string {
	return "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(xml)))
}
