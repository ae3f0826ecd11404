package assurance

import (
	"slices"

	"vernal/idp"
	"vernal/idp/saml"
)

// Person is what the attributes of one Assertion are made from. It holds what
// the service provider may learn and nothing that it may not: the UUID is the
// person's NameID in the provider's scope.
type Person struct {
	UUID  idp.NameID
	Email string
	// Emails are all addresses; those that are confirmed can be released.
	Emails []idp.Email
	// Locale is the language of the pages that the person was shown.
	Locale string
	// Proofed is nil for somebody without a proofed identity.
	Proofed *idp.Proofed
	// Profile is theirs if attributes are made of it, see ReadsProfile; else it
	// may be nil.
	Profile *idp.Profile
}

// ProofingOf is what a person's record says of their identity. A level that
// nobody knows counts as none.
func ProofingOf(p *idp.Proofed) Proofing {
	switch {
	case p == nil:
		return Unproofed
	case p.Level == idp.IALFacialMatch:
		return ProofedFace
	case p.Level == idp.IALVerified:
		return Proofed
	}
	return Unproofed
}

// Attribute is one Attribute of an AttributeStatement. No Values means an empty
// element.
type Attribute = saml.Attribute

// Release makes the attributes of the Assertion, in the order of Table: those
// that are sent to everyone and the Requirement's. Nothing else can leave: the
// Requirement was made from the same registration and holds only what it and
// the level allow, and what they do not is passed over here too. Of somebody
// without a proofed identity there are no proofed attributes, not even empty
// ones (IALMax asks for them without demanding any).
func Release(r *Requirement, sp *idp.ServiceProvider, p Person) []Attribute {
	if ProofingOf(p.Proofed) == Unproofed {
		p.Proofed, p.Profile = nil, nil
	}
	const always = 3
	n := always + len(r.Attributes)
	out := make([]Attribute, 0, n)
	// One backing array for all values; append moves on to another if an
	// attribute has several, and those cut off before stay good.
	values := make([]string, 0, n)
	next := 0 // of r.Attributes, which are in the order of the table
	for i := range table {
		row := &table[i]
		if !row.Always {
			if next == len(r.Attributes) || r.Attributes[next] != row.Name {
				continue
			}
			next++
			if !r.mayRelease(row, sp) || row.Level == LevelProofed && p.Profile == nil {
				continue
			}
			if p.Proofed == nil && !slices.Contains(sp.Attributes, row.Name) {
				continue // granted with proofed data alone, and there is none
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

// mayRelease reports whether the attribute of the row may leave.
func (r *Requirement) mayRelease(row *Row, sp *idp.ServiceProvider) bool {
	return r.isGranted(row, sp) && r.isLevelEnough(row.Level, sp) && row.value != nil
}

// ReadsProfile reports whether Release makes attributes of the Profile of a
// person of whom the record says proofed. Where it does not, the profile can
// stay sealed.
func (r *Requirement) ReadsProfile(sp *idp.ServiceProvider, proofed *idp.Proofed) bool {
	if ProofingOf(proofed) == Unproofed {
		return false
	}
	return slices.ContainsFunc(r.Attributes, func(name string) bool {
		i := findRow(name)
		return i >= 0 && table[i].Level == LevelProofed && r.mayRelease(&table[i], sp)
	})
}

// ialValue is what attribute ial says: what was reached, not what was asked.
func (r *Requirement) ialValue(p Proofing) string {
	plain, urn := uriIAL1, uriAuthOnly
	switch {
	case !r.IAL.isProofed() || p == Unproofed:
	case r.IAL.isFacialMatch() && p == ProofedFace:
		plain, urn = uriIAL2BioRequired, uriFacialRequired
	default:
		plain, urn = uriIAL2, uriVerified
	}
	if r.urn {
		return urn
	}
	return plain
}
