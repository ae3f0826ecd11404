package assurance

import (
	"strings"

	"vernal/idp/suggest"
)

// Nearest is the value of AuthnContextClassRef that somebody probably meant by
// one that is not known; "" if it is like none. Case is looked past, which the
// standard does not.
func Nearest(ref string) string {
	const longest = 200 // of what is compared; no known value comes near
	lower := strings.ToLower(strings.TrimSpace(ref))
	if len(lower) > longest {
		return ""
	}
	best, distance := "", len(lower)/4+1 // so many letters may be wrong, less one
	for uri := range contexts {
		d := suggest.Distance(lower, strings.ToLower(uri))
		if d < distance || d == distance && best != "" && uri < best {
			best, distance = uri, d
		}
	}
	return best
}

// NearestAttribute is Nearest for the name of an attribute.
func NearestAttribute(name string) string {
	if len(name) > 64 {
		return ""
	}
	best, distance := "", len(name)/3+1
	for i := range table {
		if d := suggest.Distance(name, table[i].Name); d < distance {
			best, distance = table[i].Name, d
		}
	}
	return best
}
