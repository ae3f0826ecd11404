package web

import (
	"net/http"
	"strconv"
	"strings"
)

// format is the format of an answer.
type format int

// The formats, in the order of choice among formats that a client prefers equally: a browser
// must always get its page.
const (
	formatHTML format = iota
	formatJSON
	formatText
	formats // the number of formats
)

var mediaTypes = [formats]string{"text/html", "application/json", "text/plain"}

// maxAccept is longer than the header of any client, in bytes. A longer header is ignored.
const maxAccept = 2048

// How closely a media range names a type (RFC 9110 §12.5.1).
const (
	unnamed = iota
	anyType // */*
	anyOfIt // text/*
	exactly // text/html
)

// fullWeight is q=1, in thousandths. 0 is a type that the client refuses.
const fullWeight = 1000

// chooseFormat chooses the format of an answer by the Accept header (RFC 9110 §12.5.1): the
// one of the highest weight. Among equals, a named type precedes one that a wildcard covers.
// usual is the format for a client that names none of ours: without the header, with */* alone
// or with other types only.
func chooseFormat(r *http.Request, usual format) format {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if len(header) > maxAccept {
		return usual
	}
	var weight, closeness [formats]int
	for len(header) > 0 {
		var element string
		element, header = cutQuoted(header, ',')
		name, parameters := cutQuoted(element, ';')
		name = strings.ToLower(strings.TrimSpace(name))
		q := readWeight(parameters)
		for f, media := range mediaTypes {
			if c := closenessOf(name, media); c > closeness[f] {
				weight[f], closeness[f] = q, c
			}
		}
	}
	best := usual
	for f := range formats {
		named, bestNamed := closeness[f] == exactly, closeness[best] == exactly
		if weight[f] > weight[best] || weight[f] == weight[best] && weight[f] > 0 && named && (!bestNamed || f < best) {
			best = f
		}
	}
	return best
}

// closenessOf returns how closely a media range names a media type.
func closenessOf(name, media string) int {
	main, _, _ := strings.Cut(media, "/")
	switch name {
	case media:
		return exactly
	case main + "/*":
		return anyOfIt
	case "*/*":
		return anyType
	}
	return unnamed
}

// readWeight reads the parameter q of a media range, in thousandths. An unreadable weight
// counts as a missing one, which is the full weight, because the client did name the type.
func readWeight(parameters string) int {
	for len(parameters) > 0 {
		var parameter string
		parameter, parameters = cutQuoted(parameters, ';')
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		// Refuse "nan" and exponents, which ParseFloat would accept.
		value = strings.TrimSpace(value)
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || strings.Trim(value, "0123456789.") != "" || q > 1 {
			return fullWeight
		}
		return int(q*fullWeight + 0.5)
	}
	return fullWeight
}

// cutQuoted does the same as strings.Cut, but at the first separator outside a quoted string.
func cutQuoted(s string, separator byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
