package idp

import "strings"

// Prefixes of a NameIDScope.
const (
	agencyPrefix   = "agency:"
	providerPrefix = "sp:"
)

// AgencyScope returns the scope that the SPs of an agency share.
func AgencyScope(agency string) NameIDScope { return NameIDScope(agencyPrefix + agency) }

// OwnScope returns the first scope of an SP without an agency. "#" inside the EntityID is
// doubled, so that an EntityID that ends in "#2" cannot collide with the second registration
// of another SP.
func OwnScope(id EntityID) NameIDScope {
	return NameIDScope(providerPrefix + strings.ReplaceAll(string(id), "#", "##"))
}

// Agency returns the agency that the scope belongs to; false for the scope of one SP.
func (s NameIDScope) Agency() (string, bool) {
	return strings.CutPrefix(string(s), agencyPrefix)
}

// Owner returns the SP that the scope belongs to, in any of its registrations; false for
// the scope of an agency.
func (s NameIDScope) Owner() (EntityID, bool) {
	rest, ok := strings.CutPrefix(string(s), providerPrefix)
	if !ok {
		return "", false
	}
	var id strings.Builder
	for i := 0; i < len(rest); i++ {
		if rest[i] == '#' {
			if i++; i == len(rest) || rest[i] != '#' {
				break // the rest is the number of the registration
			}
		}
		id.WriteByte(rest[i])
	}
	return EntityID(id.String()), true
}
