package assurance

import (
	"maps"
	"slices"
	"strings"

	"vernal/idp/suggest"
)

// Nearest is the value of AuthnContextClassRef that somebody probably meant by
// one that is not known; "" if it is like none. Case is looked past, which the
// standard does not.
func Nearest(ref string) string {
	ref = strings.TrimSpace(ref)
	return suggest.Nearest(ref, slices.Sorted(maps.Keys(contexts)), len(ref)/4)
}

// NearestAttribute is Nearest for the name of an attribute.
func NearestAttribute(name string) string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return suggest.Nearest(name, names, len(name)/3)
}
