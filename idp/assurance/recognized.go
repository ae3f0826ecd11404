package assurance

import (
	"slices"
	"strings"
)

// SelectRecognized returns the values that Resolve acts on: known contexts, and one list of the
// attributes that exist. Resolve makes the same decisions from them. Only its Dropped and Unknown
// are shorter. Our own constants bound their length, so a sender cannot inflate the data kept until
// the sign-in is over.
func SelectRecognized(refs []string) (kept []string) {
	var names []string
	lists := false
	for _, ref := range refs {
		ref = strings.TrimSpace(ref)
		if asked, ok := parseAttributeList(ref); ok {
			lists = true
			for _, name := range asked {
				if IsKnown(name) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		} else if contexts[ref] != nil {
			kept = append(kept, ref)
		}
	}
	if lists {
		kept = append(kept, RequestAttributes(names...))
	}
	return kept
}
