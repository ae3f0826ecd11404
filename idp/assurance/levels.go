// Package assurance decides which factors a sign-in must prove and which attributes it may
// disclose.
//
//	Resolve      RequestedAuthnContext + registration ─► Requirement, or a Refusal
//	FindMissing  Requirement + session               ─► the proof that is still missing
//	Release      Requirement + registration + user   ─► attributes of the Assertion
//
// It is pure: no store, no clock, no logging. One table (contexts) holds the values that it
// knows, another (Table, table.go) the attributes. Both tables and their tests document the
// rules.
//
// The package does not read XML, does not determine which factors a user has, and does not refuse
// users for a missing factor. It returns the factors that would suffice (Missing.Factors), and the
// caller knows whether the user has one.
package assurance

import "vernal/idp"

// IAL is the identity assurance that a request needs. Higher values demand more of the user's
// record.
type IAL int

// The identity assurance levels.
const (
	// IALAuthOnly demands no proofed identity.
	IALAuthOnly IAL = iota
	// IALMax releases proofed data if the user has it, and demands nothing.
	IALMax
	// IALVerified demands a proofed identity.
	IALVerified
	// IALFacialPreferred demands a proofed identity, by facial match unless the user was
	// already proofed without it.
	IALFacialPreferred
	// IALFacialRequired demands a proofed identity by facial match.
	IALFacialRequired
)

// String returns the level as written in a registration; "ialmax" is ial/0.
func (l IAL) String() string {
	return [...]string{"auth-only", "ialmax", "verified", "facial-match-preferred", "facial-match-required"}[l]
}

// isProofed reports whether the level concerns proofed data, which requires at least AAL2.
func (l IAL) isProofed() bool { return l != IALAuthOnly }

func (l IAL) isFacialMatch() bool { return l == IALFacialPreferred || l == IALFacialRequired }

// AAL is the authentication assurance that a request needs. Higher values are stricter.
type AAL int

// The authentication assurance levels.
const (
	// AALDefault demands two factors, of which the second may be a remembered device.
	AALDefault AAL = iota
	// AAL2 demands a second factor used in this session.
	AAL2
	// AALPhishingResistant demands a passkey or PIV/CAC card used in this session.
	AALPhishingResistant
	// AALHSPD12 demands a PIV/CAC card used in this session.
	AALHSPD12
)

// String returns the level as written in a registration.
func (l AAL) String() string {
	return [...]string{idp.AALDefault, idp.AAL2, idp.AALPhishingResistant, idp.AALHSPD12}[l]
}

// Proofing is the state of a user's identity in their record.
type Proofing int

// The states of proofing.
const (
	ProofingNone   Proofing = iota // no active profile
	ProofingDone                     // proofed, without facial match
	ProofingFacialMatch                 // proofed by facial match
)

// The assurance URIs, each defined once. The forms with urn:acr.login.gov and ial name
// identity assurance. loa is the older spelling of ial.
const (
	nsAssurance = "http://idmanagement.gov/ns/assurance/"
	nsReqAttr   = "http://idmanagement.gov/ns/requested_attributes"
	nsACR       = "urn:acr.login.gov:"
	nsClasses   = "urn:oasis:names:tc:SAML:2.0:ac:classes:"

	uriAuthOnly        = nsACR + "auth-only"
	uriVerified        = nsACR + "verified"
	uriFacialRequired  = nsACR + "verified-facial-match-required"
	uriFacialPreferred = nsACR + "verified-facial-match-preferred"

	uriIAL0             = nsAssurance + "ial/0"
	uriIAL1             = nsAssurance + "ial/1"
	uriIAL2             = nsAssurance + "ial/2"
	uriIAL2BioRequired  = nsAssurance + "ial/2?bio=required"
	uriIAL2BioPreferred = nsAssurance + "ial/2?bio=preferred"
	uriIAL2Strict       = nsAssurance + "ial/2?strict=true"
	uriLOA1             = nsAssurance + "loa/1"
	uriLOA3             = nsAssurance + "loa/3"

	uriAAL1         = nsAssurance + "aal/1"
	uriAAL2         = nsAssurance + "aal/2"
	uriAAL2Phishing = nsAssurance + "aal/2?phishing_resistant=true"
	uriAAL2HSPD12   = nsAssurance + "aal/2?hspd12=true"
	uriAAL3         = nsAssurance + "aal/3"
	uriAAL3HSPD12   = nsAssurance + "aal/3?hspd12=true"
	// uriDuo is stated in a Response to a request that names no context.
	uriDuo = "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo"

	uriPassword          = nsClasses + "Password"
	uriPasswordTransport = nsClasses + "PasswordProtectedTransport"
	uriUnspecified       = nsClasses + "unspecified"
)

// kind is the subject of a value of AuthnContextClassRef.
type kind int

const (
	kindIAL     kind = iota + 1 // an identity assurance level
	kindAAL                     // an authentication assurance level
	kindStrict                  // looks like an identity level, has no effect
	kindGeneric                 // a default of libraries
)

// context is one value of AuthnContextClassRef that we know.
type context struct {
	uri  string
	kind kind
	ial  IAL // of kindIAL
	aal  AAL // of kindAAL
	// rank decides between several identity levels in one request: the lowest wins,
	// independent of their order.
	rank int
	// isCompanion is true for a value that requests nothing, and so does not make a request
	// valid alone.
	isCompanion bool
}

// contexts contains all recognized values. They are compared exactly, because URIs of an
// AuthnContext are case-sensitive (saml-core §2.7.2.2).
var contexts = indexByURI(contextList)

var contextList = []context{
	{uri: uriFacialRequired, kind: kindIAL, ial: IALFacialRequired, rank: 1},
	{uri: uriIAL2BioRequired, kind: kindIAL, ial: IALFacialRequired, rank: 2},
	{uri: uriFacialPreferred, kind: kindIAL, ial: IALFacialPreferred, rank: 3},
	{uri: uriIAL2BioPreferred, kind: kindIAL, ial: IALFacialPreferred, rank: 4},
	{uri: uriVerified, kind: kindIAL, ial: IALVerified, rank: 5},
	{uri: uriIAL2, kind: kindIAL, ial: IALVerified, rank: 6},
	{uri: uriLOA3, kind: kindIAL, ial: IALVerified, rank: 7},
	{uri: uriIAL0, kind: kindIAL, ial: IALMax, rank: 8},
	{uri: uriAuthOnly, kind: kindIAL, ial: IALAuthOnly, rank: 9},
	{uri: uriIAL1, kind: kindIAL, ial: IALAuthOnly, rank: 10},
	{uri: uriLOA1, kind: kindIAL, ial: IALAuthOnly, rank: 11},
	{uri: uriIAL2Strict, kind: kindStrict},

	{uri: uriDuo, kind: kindAAL, aal: AALDefault},
	{uri: uriAAL1, kind: kindAAL, aal: AALDefault, isCompanion: true},
	{uri: uriAAL2, kind: kindAAL, aal: AAL2},
	{uri: uriAAL2Phishing, kind: kindAAL, aal: AALPhishingResistant},
	{uri: uriAAL3, kind: kindAAL, aal: AALPhishingResistant},
	{uri: uriAAL2HSPD12, kind: kindAAL, aal: AALHSPD12},
	{uri: uriAAL3HSPD12, kind: kindAAL, aal: AALHSPD12},

	{uri: uriPassword, kind: kindGeneric},
	{uri: uriPasswordTransport, kind: kindGeneric},
	{uri: uriUnspecified, kind: kindGeneric},
}

// ListClassRefs returns the values of AuthnContextClassRef that make a request valid, in the order
// of the table: identity first, then authentication, then the defaults of libraries.
func ListClassRefs() []string {
	var all []string
	for _, c := range contextList {
		if !c.isCompanion {
			all = append(all, c.uri)
		}
	}
	return all
}

func indexByURI(list []context) map[string]*context {
	m := make(map[string]*context, len(list))
	for i := range list {
		m[list[i].uri] = &list[i]
	}
	return m
}

// chooseDefaultAAL returns the level that applies to a registration, and its stated value, when the
// request names no authentication level.
func chooseDefaultAAL(sp *idp.ServiceProvider) (AAL, string) {
	switch sp.AAL {
	case idp.AAL2:
		return AAL2, uriAAL2
	case idp.AALPhishingResistant:
		return AALPhishingResistant, uriAAL3
	case idp.AALHSPD12:
		return AALHSPD12, uriAAL3HSPD12
	}
	return AALDefault, uriDuo
}

// chooseDefaultIAL returns the level that applies to a registration when the request names no
// identity level. Facial match must be requested.
func chooseDefaultIAL(sp *idp.ServiceProvider) IAL {
	if allowsVerified(sp) {
		return IALVerified
	}
	return IALAuthOnly
}

// allowsVerified reports whether the provider may ask for proofed identities.
func allowsVerified(sp *idp.ServiceProvider) bool {
	return sp.IAL == idp.IALVerified || sp.IAL == idp.IALFacialMatch
}

// isAllowedFor reports whether the provider may ask for the value.
func (c *context) isAllowedFor(sp *idp.ServiceProvider) bool {
	switch {
	case c.kind == kindStrict:
		// It has no effect but is echoed. A provider that may not ask for proofing
		// must not learn that the user was proofed.
		return allowsVerified(sp)
	case c.kind != kindIAL || c.ial == IALAuthOnly:
		return true
	case c.ial == IALMax:
		return sp.AllowIALMax
	case c.ial.isFacialMatch():
		return sp.IAL == idp.IALFacialMatch
	}
	return allowsVerified(sp)
}
