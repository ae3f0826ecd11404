package inspect

import (
	"encoding/json"
	"html"
	"iter"
	"slices"
	"strings"
)

// maxJSONDepth bounds the nesting of the JSON.
const maxJSONDepth = 1000

// findJSON finds the messages in a HAR file, in which browsers save their requests, or else in
// any JSON. It reads the text token by token, because decoded values would take many times its
// size, and objects would lose the order in which messages are numbered. It also finds messages
// before a syntax error or a truncation.
func findJSON(text string) (messages []FoundMessage, isHAR bool) {
	if messages = findHAR(text); len(messages) > 0 {
		return messages, true
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
		for wantsMore := true; wantsMore && len(path) <= maxJSONDepth; {
			token, err := d.Token()
			if err != nil {
				return
			}
			depth := len(path) - 1
			value, isText := token.(string)
			switch {
			case token == json.Delim('{') || token == json.Delim('['):
				path, lists = append(path, ""), append(lists, token == json.Delim('['))
			case token == json.Delim('}') || token == json.Delim(']'):
				path, lists = path[:depth], lists[:depth]
				wantsMore = yield(path, jsonValue{isEnd: true})
			case isName:
				path[depth], isName = value, false
				continue
			case isText && depth >= 0:
				wantsMore = yield(path, jsonValue{text: value})
			}
			isName = len(lists) > 0 && !lists[len(lists)-1]
		}
	}
}

// harRequestPath is the path of a request in a HAR file.
var harRequestPath = []string{"log", "entries", "", "request"}

// findHAR finds the messages in the requests of a HAR file. The responses contain the same
// messages.
func findHAR(text string) (messages []FoundMessage) {
	var rawURL, body, name, value string // of the current request, and of its current parameter
	var pairs []string
	for path, v := range walkJSON(text) {
		if len(path) < len(harRequestPath) || !slices.Equal(path[:len(harRequestPath)], harRequestPath) {
			continue
		}
		switch key := strings.Join(path[len(harRequestPath):], "/"); {
		case v.isEnd && key == "": // end of the request
			if body == "" {
				body = strings.Join(pairs, "&")
			}
			if s, ok := readHARRequest(rawURL, body); ok {
				messages = append(messages, s)
			}
			if len(messages) == maxTriedFinds {
				return messages
			}
			rawURL, body, name, value, pairs = "", "", "", "", nil
		case v.isEnd && key == "postData/params/" && isParameter(name):
			pairs = append(pairs, name+"="+escapeValue(value))
			name, value = "", ""
		case key == "url":
			rawURL = v.text
		case key == "postData/text":
			body = v.text
		case key == "postData/params//name":
			name = v.text
		case key == "postData/params//value":
			value = v.text
		}
	}
	return messages
}

// readHARRequest returns the message of a request in a HAR file, if it has one.
func readHARRequest(rawURL, body string) (s FoundMessage, ok bool) {
	if hasParameter(body) {
		rawURL, query, _ := strings.Cut(rawURL, "?")
		query, _, _ = strings.Cut(query, "#")
		return FoundMessage{Query: body, URLQuery: query, URL: rawURL, Post: true, Place: PlaceHAR}, true
	}
	s = parseQuery(rawURL)
	s.Place = PlaceHAR
	return s, hasParameter(rawURL)
}

// findInAnyJSON finds the messages in the strings of any JSON, and in objects whose names are those
// of the parameters.
func findInAnyJSON(text string) (messages []FoundMessage) {
	pairs := map[int][]string{} // parameters of the open objects, by depth
	for path, v := range walkJSON(text) {
		if len(messages) >= maxTriedFinds {
			break
		}
		if v.isEnd {
			depth := len(path) + 1
			if query := strings.Join(pairs[depth], "&"); hasParameter(query) {
				messages = append(messages, FoundMessage{Query: query, Place: PlaceJSON, Rebuilt: true})
			}
			delete(pairs, depth)
			continue
		}
		if name := path[len(path)-1]; isParameter(name) {
			pairs[len(path)] = append(pairs[len(path)], name+"="+escapeValue(v.text))
		} else if hasParameter(v.text) {
			for _, s := range findQueries(html.UnescapeString(v.text)) {
				s.Place = PlaceJSON
				messages = append(messages, s)
			}
		}
	}
	return messages[:min(len(messages), maxTriedFinds)]
}
