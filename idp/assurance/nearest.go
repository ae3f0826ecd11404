package assurance

import (
	"maps"
	"slices"
	"strings"

	"vernal/idp/suggest"
)

// FindNearest returns the known value of AuthnContextClassRef most similar to an unknown one; ""
// if no value is similar. Unlike the standard, it ignores case.
func FindNearest(ref string) string {
	ref = strings.TrimSpace(ref)
	return suggest.Nearest(ref, slices.Sorted(maps.Keys(contexts)), len(ref)/4)
}

// FindNearestAttribute does the same as Nearest for the name of an attribute.
func FindNearestAttribute(name string) string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return suggest.Nearest(name, names, len(name)/3)
}
