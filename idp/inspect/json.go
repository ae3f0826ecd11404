package inspect

import (
	"encoding/json"
	"html"
	"iter"
	"slices"
	"strings"
)

// maxJSONDepth bounds how deep the JSON may be nested.
const maxJSONDepth = 1000

// findJSON finds the messages in a HAR file, in which browsers save their requests, or else in
// any JSON. It reads the text token by token, because decoded values would take many times its
// size, and objects would lose the order in which messages are numbered. Messages before a
// syntax error or a truncation are found.
func findJSON(text string) (found []FoundMessage, isHAR bool) {
	if found = findHAR(text); len(found) > 0 {
		return found, true
	}
	return findInAnyJSON(text), false
}

// jsonValue is a string in a JSON text, or the end of an object or list.
type jsonValue struct {
	text  string
	isEnd bool
}

// walkJSON reads a text until its end or its first error, and yields each value with its path:
// the names that lead to it, "" for an item of a list. A path is valid until the next one.
func walkJSON(text string) iter.Seq2[[]string, jsonValue] {
	return func(yield func([]string, jsonValue) bool) {
		d := json.NewDecoder(strings.NewReader(text))
		var path []string // one name for each open object and list
		var lists []bool  // whether each is a list
		isName := false   // in an object, names and values alternate
		for more := true; more && len(path) <= maxJSONDepth; {
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

// harRequestPath is the path of a request in a HAR file.
var harRequestPath = []string{"log", "entries", "", "request"}

// findHAR finds the messages that a HAR file has as requests. Those in responses are the same
// messages again.
func findHAR(text string) (found []FoundMessage) {
	var address, body, name, value string // of the current request, and of its current parameter
	var pairs []string
	for path, v := range walkJSON(text) {
		if len(path) < len(harRequestPath) || !slices.Equal(path[:len(harRequestPath)], harRequestPath) {
			continue
		}
		switch at := strings.Join(path[len(harRequestPath):], "/"); {
		case v.isEnd && at == "": // end of the request
			if body == "" {
				body = strings.Join(pairs, "&")
			}
			if s, ok := readHARRequest(address, body); ok {
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

// readHARRequest returns the message of a request in a HAR file, if it has one.
func readHARRequest(address, body string) (s FoundMessage, ok bool) {
	if hasParameter(body) {
		address, query, _ := strings.Cut(address, "?")
		query, _, _ = strings.Cut(query, "#")
		return FoundMessage{Query: body, URLQuery: query, URL: address, Post: true, Place: PlaceHAR}, true
	}
	s = parseQuery(address)
	s.Place = PlaceHAR
	return s, hasParameter(address)
}

// findInAnyJSON finds the messages in the strings of any JSON, and those that an object holds
// under the parameters' names.
func findInAnyJSON(text string) (found []FoundMessage) {
	pairs := map[int][]string{} // parameters of the open objects, by depth
	for path, v := range walkJSON(text) {
		if len(found) >= maxTriedFinds {
			break
		}
		if v.isEnd {
			inside := len(path) + 1
			if query := strings.Join(pairs[inside], "&"); hasParameter(query) {
				found = append(found, FoundMessage{Query: query, Place: PlaceJSON, Rebuilt: true})
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
