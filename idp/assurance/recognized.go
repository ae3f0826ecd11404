package assurance

import (
	"slices"
	"strings"
)

// SelectRecognized returns the values that affect the decisions of Resolve: known contexts, and one
// list of known attributes. Only DroppedAttributes and UnknownClassRefs become shorter. Our own
// constants bound the length of the result, so a sender cannot inflate the data that is stored
// during the sign-in.
func SelectRecognized(refs []string) (knownRefs []string) {
	var names []string
	hasList := false
	for _, ref := range refs {
		ref = strings.TrimSpace(ref)
		if listedNames, ok := parseAttributeList(ref); ok {
			hasList = true
			for _, name := range listedNames {
				if IsKnown(name) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		} else if contexts[ref] != nil {
			knownRefs = append(knownRefs, ref)
		}
	}
	if hasList {
		knownRefs = append(knownRefs, RequestAttributes(names...))
	}
	return knownRefs
}
