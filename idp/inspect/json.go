package inspect

import (
	"encoding/json"
	"html"
	"slices"
	"strings"
)

// maxNested bounds how deep the JSON is nested that is gone through.
const maxNested = 1000

// findJSON finds the messages in a HAR file, in which browsers save what they
// sent, or else in any JSON. It goes through the text token by token: as values
// it would take many times its size, and objects would lose the order by which
// messages are numbered. What stands before a fault or a cut is found.
func findJSON(text string) (har, other []Sent) {
	var h harFinder
	walkJSON(text, &h)
	if len(h.found) > 0 {
		return h.found, nil
	}
	a := anyFinder{pairs: map[int][]string{}}
	walkJSON(text, &a)
	return nil, a.found[:min(len(a.found), maxTriedFinds)]
}

// finder is told what a JSON text holds. A path is the names that lead to a
// value, "" for an item of a list; it is valid during the call.
type finder interface {
	text(path []string, value string)
	// end is told that the object or list at the path is over.
	end(path []string)
	// full ends the walk.
	full() bool
}

// walkJSON goes through a text until its end or its first fault.
func walkJSON(text string, f finder) {
	d := json.NewDecoder(strings.NewReader(text))
	var path []string // a name for each object and list that is open
	var lists []bool  // which of them are lists
	isName := false   // in an object names and values take turns
	for !f.full() && len(path) <= maxNested {
		token, err := d.Token()
		if err != nil {
			return
		}
		in := len(path) - 1
		value, isText := token.(string)
		switch {
		case token == json.Delim('{') || token == json.Delim('['):
			path, lists = append(path, ""), append(lists, token == json.Delim('['))
		case token == json.Delim('}') || token == json.Delim(']'):
			path, lists = path[:in], lists[:in]
			f.end(path)
		case isName:
			path[in], isName = value, false
			continue
		case isText && in >= 0:
			f.text(path, value)
		}
		isName = len(lists) > 0 && !lists[len(lists)-1]
	}
}

// inRequest is where a HAR file has what was sent.
var inRequest = []string{"log", "entries", "", "request"}

// harFinder finds the messages that a HAR file has as sent. Those in what was
// answered are the same once more.
type harFinder struct {
	found []Sent
	// What is known of the request that is gone through.
	address, body string
	pairs         []string
	name, value   string // of one parameter
}

func (h *harFinder) full() bool { return len(h.found) == maxTriedFinds }

func (h *harFinder) text(path []string, value string) {
	if len(path) <= len(inRequest) || !slices.Equal(path[:len(inRequest)], inRequest) {
		return
	}
	switch strings.Join(path[len(inRequest):], "/") {
	case "url":
		h.address = value
	case "postData/text":
		h.body = value
	case "postData/params//name":
		h.name = value
	case "postData/params//value":
		h.value = value
	}
}

func (h *harFinder) end(path []string) {
	switch {
	case len(path) == len(inRequest)+3 && isParameter(h.name): // one of the parameters
		h.pairs = append(h.pairs, h.name+"="+escaped(h.value))
		h.name, h.value = "", ""
	case slices.Equal(path, inRequest):
		h.request()
		*h = harFinder{found: h.found}
	}
}

// request takes the message of the request that was gone through.
func (h *harFinder) request() {
	body := h.body
	if body == "" {
		body = strings.Join(h.pairs, "&")
	}
	switch {
	case named(h.address) && !named(body):
		found := fromQuery(h.address)
		found.Place = PlaceHAR
		h.found = append(h.found, found)
	case named(body):
		address, query, _ := strings.Cut(h.address, "?")
		query, _, _ = strings.Cut(query, "#")
		h.found = append(h.found, Sent{Query: body, InURL: query, Address: address, Post: true, Place: PlaceHAR})
	}
}

// anyFinder finds the messages in the texts of any JSON, and those that an
// object has by the parameters' names.
type anyFinder struct {
	found []Sent
	// pairs are the parameters of the objects that are open, by their depth.
	pairs map[int][]string
}

func (a *anyFinder) full() bool { return len(a.found) >= maxTriedFinds }

func (a *anyFinder) text(path []string, value string) {
	name := path[len(path)-1]
	switch {
	case isParameter(name):
		a.pairs[len(path)] = append(a.pairs[len(path)], name+"="+escaped(value))
	case named(value):
		for _, s := range findQueries(html.UnescapeString(value)) {
			s.Place = PlaceJSON
			a.found = append(a.found, s)
		}
	}
}

func (a *anyFinder) end(path []string) {
	inside := len(path) + 1
	if query := strings.Join(a.pairs[inside], "&"); named(query) {
		a.found = append(a.found, Sent{Query: query, Place: PlaceJSON, Rebuilt: true})
	}
	delete(a.pairs, inside)
}
