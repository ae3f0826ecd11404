package assurance

import (
	"slices"

	"vernal/idp"
	"vernal/idp/saml"
)

// UserData is the source of the attributes of one Assertion. It holds only data that the service
// provider may learn: the UUID is the user's NameID in the provider's scope.
type UserData struct {
	UUID  idp.NameID
	Email string
	// Emails are all email addresses. Only confirmed ones can be released.
	Emails []idp.Email
	// Locale is the language of the pages shown to the user.
	Locale string
	// Proofed is nil for a user without a proofed identity.
	Proofed *idp.Proofing
	// Profile is the user's Profile if attributes need it; see ReadsProfile. Otherwise it
	// may be nil.
	Profile *idp.Profile
}

// ReadProofing returns the state of a user's identity in their record. An unknown level counts as
// none.
func ReadProofing(p *idp.Proofing) Proofing {
	switch {
	case p == nil:
		return ProofingNone
	case p.Level == idp.IALFacialMatch:
		return ProofingFacialMatch
	case p.Level == idp.IALVerified:
		return ProofingDone
	}
	return ProofingNone
}

// Attribute is one Attribute of an AttributeStatement. No Values means an empty
// element.
type Attribute = saml.Attribute

// Release returns the attributes of the Assertion, in the order of Table: those that are always
// sent and those of the Requirement. It cannot release others, because the Requirement was made
// from the same registration and holds only attributes that the registration and the level allow.
// Release checks that again. A user without a proofed identity gets no proofed attributes, not even
// empty ones (IALMax requests them without demanding any).
func Release(r *Requirement, sp *idp.ServiceProvider, p UserData) []Attribute {
	if ReadProofing(p.Proofed) == ProofingNone {
		p.Proofed, p.Profile = nil, nil
	}
	const always = 3
	n := always + len(r.Attributes)
	out := make([]Attribute, 0, n)
	// All values share one backing array. append moves to another array if an attribute
	// has several values, and the slices cut before stay valid.
	values := make([]string, 0, n)
	next := 0 // index into r.Attributes, which are in the order of the table
	for i := range table {
		row := &table[i]
		if !row.IsAlwaysSent {
			if next == len(r.Attributes) || r.Attributes[next] != row.Name {
				continue
			}
			next++
			if !r.mayRelease(row, sp) || row.Level == LevelProofed && p.Profile == nil {
				continue
			}
			if p.Proofed == nil && !slices.Contains(sp.Attributes, row.Name) {
				continue // granted only with proofed data, which this user lacks
			}
		}
		from := len(values)
		values = row.value(values, r, p)
		a := Attribute{Name: row.Name, NameFormat: row.NameFormat, FriendlyName: row.Name}
		if len(values) > from {
			a.Values = values[from:len(values):len(values)]
		}
		if row.Name == "email" && sp.EmailAttribute == idp.EmailAttributeClaimURI {
			a.Name, a.NameFormat = claimEmail, NameFormatURI
		}
		out = append(out, a)
	}
	return out
}

// mayRelease reports whether the attribute of the row may be released.
func (r *Requirement) mayRelease(row *Row, sp *idp.ServiceProvider) bool {
	return r.isGranted(row, sp) && r.isLevelEnough(row.Level, sp) && row.value != nil
}

// ReadsProfile reports whether Release needs the Profile of a user whose record contains
// proofed. If not, the profile can stay sealed.
func (r *Requirement) ReadsProfile(sp *idp.ServiceProvider, proofed *idp.Proofing) bool {
	if ReadProofing(proofed) == ProofingNone {
		return false
	}
	return slices.ContainsFunc(r.Attributes, func(name string) bool {
		i := findRow(name)
		return i >= 0 && table[i].Level == LevelProofed && r.mayRelease(&table[i], sp)
	})
}

// chooseIALValue returns the value of attribute ial: the level reached, not the level requested.
func (r *Requirement) chooseIALValue(p Proofing) string {
	plain, urn := uriIAL1, uriAuthOnly
	switch {
	case !r.IAL.isProofed() || p == ProofingNone:
	case r.IAL.isFacialMatch() && p == ProofingFacialMatch:
		plain, urn = uriIAL2BioRequired, uriFacialRequired
	default:
		plain, urn = uriIAL2, uriVerified
	}
	if r.usesURN {
		return urn
	}
	return plain
}
