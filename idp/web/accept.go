package web

import (
	"net/http"
	"strconv"
	"strings"
)

// format is the format of a response.
type format int

// The formats, in the order of choice among formats that a client prefers equally: a browser
// must always get its page.
const (
	formatHTML format = iota
	formatJSON
	formatText
	formatCount // the number of formats
)

var mediaTypes = [formatCount]string{"text/html", "application/json", "text/plain"}

// maxAccept is longer than the header of any client, in bytes. A longer header is ignored.
const maxAccept = 2048

// How closely a media range names a type (RFC 9110 §12.5.1).
const (
	closenessNone  = iota
	closenessAny   // */*
	closenessMain  // text/*
	closenessExact // text/html
)

// fullWeight is q=1, in thousandths. The client refuses a type of weight 0.
const fullWeight = 1000

// chooseFormat chooses the format of a response by the Accept header (RFC 9110 §12.5.1): the
// one of the highest weight. Among equals, a named type precedes one that a wildcard covers.
// fallback is the format for a client that names none of ours: without the header, with */* alone
// or with other types only.
func chooseFormat(r *http.Request, fallback format) format {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if len(header) > maxAccept {
		return fallback
	}
	var weight, closeness [formatCount]int
	for len(header) > 0 {
		var element string
		element, header = cutUnquoted(header, ',')
		name, parameters := cutUnquoted(element, ';')
		name = strings.ToLower(strings.TrimSpace(name))
		q := readWeight(parameters)
		for f, media := range mediaTypes {
			if c := measureCloseness(name, media); c > closeness[f] {
				weight[f], closeness[f] = q, c
			}
		}
	}
	best := fallback
	for f := range formatCount {
		isNamed, isBestNamed := closeness[f] == closenessExact, closeness[best] == closenessExact
		if weight[f] > weight[best] || weight[f] == weight[best] && weight[f] > 0 && isNamed && (!isBestNamed || f < best) {
			best = f
		}
	}
	return best
}

// measureCloseness returns how closely a media range names a media type.
func measureCloseness(name, media string) int {
	main, _, _ := strings.Cut(media, "/")
	switch name {
	case media:
		return closenessExact
	case main + "/*":
		return closenessMain
	case "*/*":
		return closenessAny
	}
	return closenessNone
}

// readWeight reads the parameter q of a media range, in thousandths. An unreadable weight
// counts as a missing one, which is the full weight, because the client did name the type.
func readWeight(parameters string) int {
	for len(parameters) > 0 {
		var parameter string
		parameter, parameters = cutUnquoted(parameters, ';')
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

// cutUnquoted does the same as strings.Cut, but at the first separator outside a quoted string.
func cutUnquoted(s string, separator byte) (before, after string) {
	isQuoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case isQuoted && s[i] == '\\':
			i++
		case s[i] == '"':
			isQuoted = !isQuoted
		case s[i] == separator && !isQuoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
