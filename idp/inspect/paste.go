package inspect

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Sent is one message as found in pasted text.
type Sent struct {
	// Query holds the parameters, still encoded as in a query or a form.
	Query string `json:"query,omitempty"`
	// InURL holds the parameters in the URL that a form was sent to, which the server reads as
	// well.
	InURL string `json:"in_url,omitempty"`
	// XML is the message, if it was pasted as plain XML.
	XML string `json:"xml,omitempty"`
	// Address is the URL that it was sent to, without the query, or "" if unknown.
	Address string `json:"address,omitempty"`
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
	// maxSent bounds the messages that Find collects.
	maxSent = 50
	// maxUnwrapped bounds, in bytes, the texts in which transformations are undone.
	maxUnwrapped = 4 << 20
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
func Find(text string) []Sent {
	f := finds{exact: map[string]int{}, byID: map[string]int{}}
	text, steps := plainText(text)
	if text == "" {
		return nil
	}
	if text[0] == '{' || text[0] == '[' {
		found, isHAR := findJSON(text)
		f.addAll(found, steps)
		if isHAR {
			return f.sortMessages()
		}
	}
	views := []view{{text: text, steps: steps}}
	budget := max(2*maxUnwrapped, 4*len(text))
	for i := 0; i < len(views) && i < maxViews && !f.isFull(); i++ {
		v := views[i]
		f.lookInto(v)
		if len(text) > maxUnwrapped || len(v.steps) >= maxLayers {
			continue
		}
		for _, next := range v.unwrapForms() {
			known := slices.ContainsFunc(views, func(o view) bool { return o.text == next.text })
			if budget -= len(next.text); known || budget < 0 || len(views) >= maxViews {
				continue
			}
			views = append(views, next)
		}
	}
	if !slices.ContainsFunc(f.all, func(x find) bool { return x.readable }) && len(text) <= maxUnwrapped {
		for _, v := range views {
			f.addAll(findBase64(v.text), v.steps)
		}
	}
	if len(f.all) == 0 && text[0] == '<' && !isPage(text) {
		f.addFind(Sent{XML: text, Place: PlaceXML, Steps: steps})
	}
	return f.sortMessages()
}

// finds collects the messages found so far, each once.
type finds struct {
	all []find
	// exact and byID map to a find by its XML or undecodable value, and by its kind and ID.
	exact, byID map[string]int
}

// find is a message with its decoded content.
type find struct {
	Sent
	content
	score int
}

func (f *finds) isFull() bool { return len(f.all) >= maxSent }

// lookInto adds the messages in a view.
func (f *finds) lookInto(v view) {
	if strings.Contains(v.text, "SAMLRe") {
		f.addAll(findForms(v.text), v.steps)
		f.addAll(findQueries(v.text), v.steps)
		f.addAll(findParameters(v.text), v.steps)
	}
	f.addAll(findXML(v.text), v.steps)
}

func (f *finds) addAll(found []Sent, steps []Step) {
	for i, s := range found {
		if i == maxTriedFinds || f.isFull() {
			return
		}
		s.Steps = slices.Concat(steps, s.Steps)
		f.addFind(s)
	}
}

// addFind adds a message unless it is known already. Of two forms of the same message it keeps
// the more complete one: one that decodes, with its signature and its URL. A message from a
// URL is kept as it was sent, broken or not.
func (f *finds) addFind(s Sent) {
	x := find{Sent: s, content: contentOf(s)}
	x.score = x.content.scoreForm(s)
	if !x.readable && s.Place == PlaceParameters && !looksEncoded(x.value) {
		return // a word after the name of a parameter, such as "SAMLRequest: missing"
	}
	at, known := f.exact[x.key]
	if !known && x.id != "" {
		at, known = f.byID[x.id]
		// In an unwrapped text a message can have changed.
		known = known && (x.isClean != f.all[at].isClean || isDerived(x.Sent))
	}
	if !known {
		at = len(f.all)
		f.all = append(f.all, x)
	} else if old := f.all[at]; x.score > old.score && (old.readable || !isOurs(old.Sent)) {
		f.all[at] = x
	}
	f.exact[x.key] = at
	if x.id != "" {
		f.byID[x.id] = at
	}
}

// sortMessages returns the messages, those that decode first. It leaves out fragments of
// another message, and forms of it before a transformation was undone.
func (f *finds) sortMessages() []Sent {
	var odd, broken []find
	whole := slices.DeleteFunc(slices.Clone(f.all), func(x find) bool { return !x.readable || !x.isClean })
	for _, x := range f.all {
		switch {
		case x.readable && x.isClean, slices.ContainsFunc(whole, x.isPieceOf):
		case x.readable:
			odd = append(odd, x)
		case isDerived(x.Sent) && len(whole)+len(odd)+len(broken) > 0:
			// Texts that were unwrapped in a wrong way contain such messages.
		default:
			broken = append(broken, x)
		}
	}
	var found []Sent
	for _, x := range slices.Concat(whole, odd, broken) {
		found = append(found, x.Sent)
	}
	return found
}

// isDerived reports whether a message was found in a text in which a transformation was
// undone.
func isDerived(s Sent) bool {
	return slices.ContainsFunc(s.Steps, func(one Step) bool { return one != StepJoined && one != StepUTF16 && one != StepTree })
}

// idOf matches an ID in XML that does not parse, whatever its quotes were turned into.
var idOf = regexp.MustCompile(`\bID=(?:3D)?(?:["'“”\\]|&[a-z]+;|&#[0-9]+;)*([A-Za-z0-9_.-]{8,})`)

// isPieceOf reports whether a find that does not decode is a fragment of one that does, or the
// same before a transformation was undone.
func (x find) isPieceOf(whole find) bool {
	switch {
	case x.Place == PlaceHAR:
		return false // values in a HAR file are complete
	case x.XML != "":
		m := idOf.FindStringSubmatch(x.XML)
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
func isOurs(s Sent) bool { return yearly.MatchString(s.Address) }

// hasParameter reports whether a text has a message as a parameter.
func hasParameter(text string) bool {
	return namedMessage.MatchString(text)
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

// asForm returns plain XML as a form would encode it.
func asForm(xml string) string {
	return "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(xml)))
}
