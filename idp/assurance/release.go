package assurance

import (
	"slices"

	"vernal/idp"
	"vernal/idp/saml"
)

// UserData is the source of the attributes of one Assertion. It contains only data that the
// service provider may learn: the UUID is the user's NameID in the provider's scope.
type UserData struct {
	UUID  idp.NameID
	Email string
	// Emails are all email addresses. Only confirmed ones can be released.
	Emails []idp.Email
	// Locale is the language of the pages shown to the user.
	Locale string
	// Proofed is nil for a user without a proofed identity.
	Proofed *idp.Proofing
	// Profile is the user's Profile if attributes need it (see ReadsProfile). Otherwise it
	// may be nil.
	Profile *idp.Profile
}

// ReadProofing returns the state of a user's identity in their record. An unknown level counts
// as ProofingNone.
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
// sent and those of the Requirement. The Requirement contains only attributes that the registration
// and the level allow, and Release checks that again. A user without a proofed identity gets no
// proofed attributes, not even empty ones (IALMax requests them without demanding any).
func Release(r *Requirement, sp *idp.ServiceProvider, p UserData) []Attribute {
	if ReadProofing(p.Proofed) == ProofingNone {
		p.Proofed, p.Profile = nil, nil
	}
	const alwaysCount = 3
	n := alwaysCount + len(r.Attributes)
	attributes := make([]Attribute, 0, n)
	// All values share one backing array. If append moves to another array, the earlier slices
	// stay valid.
	values := make([]string, 0, n)
	next := 0 // index into r.Attributes, which are in the order of the table
	for i := range table {
		row := &table[i]
		if !row.IsAlwaysSent {
			if next == len(r.Attributes) || r.Attributes[next] != row.Name {
				continue
			}
			next++
			if !r.releases(row, sp, p.Proofed != nil) || row.Level == LevelProofed && p.Profile == nil {
				continue
			}
		}
		valueStart := len(values)
		values = row.value(values, r, p)
		a := Attribute{Name: row.Name, NameFormat: row.NameFormat, FriendlyName: row.Name}
		if len(values) > valueStart {
			a.Values = values[valueStart:len(values):len(values)]
		}
		if row.Name == "email" && sp.EmailAttribute == idp.EmailAttributeClaimURI {
			a.Name, a.NameFormat = claimEmail, NameFormatURI
		}
		attributes = append(attributes, a)
	}
	return attributes
}

// releases reports whether Release discloses the attribute of a requested row about a user with or
// without a proofed identity.
func (r *Requirement) releases(row *Row, sp *idp.ServiceProvider, isProofed bool) bool {
	if !r.mayRelease(row, sp) || row.Level == LevelProofed && !isProofed {
		return false
	}
	return isProofed || slices.Contains(sp.Attributes, row.Name) // others are granted only with proofed data
}

// Disclosure lists the data about a user that an assertion discloses.
type Disclosure struct {
	// Names are the names of the attributes, in the order of Table.
	Names []string
	// IsProofed reports whether some of them belong to the proofed identity.
	IsProofed bool
}

// FindDisclosure returns the personal attributes that Release returns for a user whose record
// contains proofed. It reads no value, so an attribute counts even if its value is empty.
func (r *Requirement) FindDisclosure(sp *idp.ServiceProvider, proofed *idp.Proofing) (d Disclosure) {
	isProofed := ReadProofing(proofed) != ProofingNone
	for _, name := range r.Attributes {
		i := findRow(name)
		if i < 0 || !table[i].IsPersonal || !r.releases(&table[i], sp, isProofed) {
			continue
		}
		if table[i].Level == LevelEligible && !isProofed {
			continue // it is sent without a value
		}
		d.Names = append(d.Names, name)
		d.IsProofed = d.IsProofed || table[i].Level == LevelProofed || table[i].Level == LevelEligible
	}
	return d
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
	uri, urn := uriIAL1, uriAuthOnly
	switch {
	case !r.IAL.isProofed() || p == ProofingNone:
	case r.IAL.isFacialMatch() && p == ProofingFacialMatch:
		uri, urn = uriIAL2BioRequired, uriFacialRequired
	default:
		uri, urn = uriIAL2, uriVerified
	}
	if r.usesURN {
		return urn
	}
	return uri
}
