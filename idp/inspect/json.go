package inspect

import (
	"encoding/json"
	"html"
	"iter"
	"slices"
	"strings"
)

// maxNested bounds how deep the JSON is nested that is gone through.
const maxNested = 1000

// findJSON finds the messages in a HAR file, in which browsers save what they
// sent, or else in any JSON. It goes through the text token by token: as values
// it would take many times its size, and objects would lose the order by which
// messages are numbered. What stands before a fault or a cut is found.
func findJSON(text string) (found []Sent, isHAR bool) {
	if found = findHAR(text); len(found) > 0 {
		return found, true
	}
	return findInAnyJSON(text), false
}

// jsonValue is what a JSON text holds: a text, or the end of an object or list.
type jsonValue struct {
	text  string
	isEnd bool
}

// walkJSON goes through a text until its end or its first fault, and yields each value
// with its path: the names that lead to it, "" for an item of a list. A path is valid
// until the next one.
func walkJSON(text string) iter.Seq2[[]string, jsonValue] {
	return func(yield func([]string, jsonValue) bool) {
		d := json.NewDecoder(strings.NewReader(text))
		var path []string // a name for each object and list that is open
		var lists []bool  // which of them are lists
		isName := false   // in an object names and values take turns
		for more := true; more && len(path) <= maxNested; {
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
				more = yield(path, jsonValue{isEnd: true})
			case isName:
				path[in], isName = value, false
				continue
			case isText && in >= 0:
				more = yield(path, jsonValue{text: value})
			}
			isName = len(lists) > 0 && !lists[len(lists)-1]
		}
	}
}

// inRequest is where a HAR file has what was sent.
var inRequest = []string{"log", "entries", "", "request"}

// findHAR finds the messages that a HAR file has as sent. Those in what was
// answered are the same once more.
func findHAR(text string) (found []Sent) {
	var address, body, name, value string // of the request that is gone through, and of one parameter
	var pairs []string
	for path, v := range walkJSON(text) {
		if len(path) < len(inRequest) || !slices.Equal(path[:len(inRequest)], inRequest) {
			continue
		}
		switch at := strings.Join(path[len(inRequest):], "/"); {
		case v.isEnd && at == "": // of the request
			if body == "" {
				body = strings.Join(pairs, "&")
			}
			if s, ok := sentByHAR(address, body); ok {
				found = append(found, s)
			}
			if len(found) == maxTriedFinds {
				return found
			}
			address, body, name, value, pairs = "", "", "", "", nil
		case v.isEnd && at == "postData/params/" && isParameter(name):
			pairs = append(pairs, name+"="+escapeValue(value))
			name, value = "", ""
		case at == "url":
			address = v.text
		case at == "postData/text":
			body = v.text
		case at == "postData/params//name":
			name = v.text
		case at == "postData/params//value":
			value = v.text
		}
	}
	return found
}

// sentByHAR is the message of a request in a HAR file, if it has one.
func sentByHAR(address, body string) (s Sent, ok bool) {
	if hasParameter(body) {
		address, query, _ := strings.Cut(address, "?")
		query, _, _ = strings.Cut(query, "#")
		return Sent{Query: body, InURL: query, Address: address, Post: true, Place: PlaceHAR}, true
	}
	s = fromQuery(address)
	s.Place = PlaceHAR
	return s, hasParameter(address)
}

// findInAnyJSON finds the messages in the texts of any JSON, and those that an
// object has by the parameters' names.
func findInAnyJSON(text string) (found []Sent) {
	pairs := map[int][]string{} // the parameters of the objects that are open, by their depth
	for path, v := range walkJSON(text) {
		if len(found) >= maxTriedFinds {
			break
		}
		if v.isEnd {
			inside := len(path) + 1
			if query := strings.Join(pairs[inside], "&"); hasParameter(query) {
				found = append(found, Sent{Query: query, Place: PlaceJSON, Rebuilt: true})
			}
			delete(pairs, inside)
			continue
		}
		if name := path[len(path)-1]; isParameter(name) {
			pairs[len(path)] = append(pairs[len(path)], name+"="+escapeValue(v.text))
		} else if hasParameter(v.text) {
			for _, s := range findQueries(html.UnescapeString(v.text)) {
				s.Place = PlaceJSON
				found = append(found, s)
			}
		}
	}
	return found[:min(len(found), maxTriedFinds)]
}
