package assurance

import (
	"maps"
	"slices"
	"strings"

	"vernal/idp/suggest"
)

// Nearest returns the known value of AuthnContextClassRef most similar to an unknown one; ""
// if no value is similar. Unlike the standard, it ignores case.
func Nearest(ref string) string {
	ref = strings.TrimSpace(ref)
	return suggest.Nearest(ref, slices.Sorted(maps.Keys(contexts)), len(ref)/4)
}

// NearestAttribute does the same as Nearest for the name of an attribute.
func NearestAttribute(name string) string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return suggest.Nearest(name, names, len(name)/3)
}
