package idp

import "strings"

// Prefixes of a NameIDScope.
const (
	agencyPrefix = "agency:"
	ownPrefix    = "sp:"
)

// AgencyScope is the scope that the providers of an agency share.
func AgencyScope(agency string) NameIDScope { return NameIDScope(agencyPrefix + agency) }

// OwnScope is the first scope of a provider that stands alone. "#" inside the
// EntityID is doubled, so that one that ends in "#2" is never taken for the
// second life of another one.
func OwnScope(id EntityID) NameIDScope {
	return NameIDScope(ownPrefix + strings.ReplaceAll(string(id), "#", "##"))
}

// Agency is the agency whose scope it is; false for a provider's own.
func (s NameIDScope) Agency() (string, bool) {
	return strings.CutPrefix(string(s), agencyPrefix)
}

// Owner is the provider whose own scope it is, in whichever life; false for an
// agency's.
func (s NameIDScope) Owner() (EntityID, bool) {
	rest, ok := strings.CutPrefix(string(s), ownPrefix)
	if !ok {
		return "", false
	}
	var id strings.Builder
	for i := 0; i < len(rest); i++ {
		if rest[i] == '#' {
			if i++; i == len(rest) || rest[i] != '#' {
				break // what follows is the number of the life
			}
		}
		id.WriteByte(rest[i])
	}
	return EntityID(id.String()), true
}
