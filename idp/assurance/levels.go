// Package assurance decides what a sign-in must prove and what it may tell.
//
//	Resolve    RequestedAuthnContext + registration ─► Requirement, or a Refusal
//	Met        Requirement + session               ─► what is still missing
//	Release    Requirement + registration + person ─► attributes of the Assertion
//
// It is pure: no store, no clock of its own, no logging. The values that it
// knows are one table (contexts), the attributes another (Table, table.go); reading the
// two and their tests teaches the rules.
//
// The package does not read XML, does not find out what a person can prove, and
// does not refuse somebody for a factor they lack: it says which factors would
// do (Missing.Factors), and the caller knows whether the person has one.
package assurance

import "vernal/idp"

// IAL is the identity assurance that a request needs. Higher values demand
// more of the person's record.
type IAL int

// The identity assurance levels.
const (
	// AuthOnly: no proofed identity.
	AuthOnly IAL = iota
	// IALMax: proofed data if the person has it, nothing demanded.
	IALMax
	// Verified: a proofed identity.
	Verified
	// FacialPreferred: a proofed identity, by facial match unless the person
	// was proofed without it already.
	FacialPreferred
	// FacialRequired: a proofed identity by facial match.
	FacialRequired
)

// String is the level in the words of a registration; "ialmax" is ial/0.
func (l IAL) String() string {
	return [...]string{"auth-only", "ialmax", "verified", "facial-match-preferred", "facial-match-required"}[l]
}

// isProofed reports whether the level is about proofed data, which makes AAL2
// the least that is accepted.
func (l IAL) isProofed() bool { return l != AuthOnly }

func (l IAL) isFacialMatch() bool { return l == FacialPreferred || l == FacialRequired }

// AAL is the authentication assurance that a request needs; higher is stricter.
type AAL int

// The authentication assurance levels.
const (
	// AALDefault: two factors, of which the second may be a device that was
	// remembered.
	AALDefault AAL = iota
	// AAL2: a second factor used in this session.
	AAL2
	// AALPhishingResistant: a passkey or PIV/CAC card used in this session.
	AALPhishingResistant
	// AALHSPD12: a PIV/CAC card used in this session.
	AALHSPD12
)

// String is the level in the words of a registration.
func (l AAL) String() string {
	return [...]string{idp.AALDefault, idp.AAL2, idp.AALPhishingResistant, idp.AALHSPD12}[l]
}

// Proofing is what a person's record says of their identity.
type Proofing int

// The states of proofing.
const (
	Unproofed   Proofing = iota // no active profile
	Proofed                     // proofed, without facial match
	ProofedFace                 // proofed by facial match
)

// The URIs of assurance, each once. The forms with urn:acr.login.gov and ial
// name identity assurance, loa is the older spelling of ial.
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
	// uriDuo is what a Response states where nothing was asked.
	uriDuo = "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo"

	uriPassword          = nsClasses + "Password"
	uriPasswordTransport = nsClasses + "PasswordProtectedTransport"
	uriUnspecified       = nsClasses + "unspecified"
)

// kind is what a value of AuthnContextClassRef speaks about.
type kind int

const (
	kindIAL     kind = iota + 1 // an identity assurance level
	kindAAL                     // an authentication assurance level
	kindStrict                  // looks like an identity level, has no effect
	kindGeneric                 // what libraries send without having been told
)

// context is one value of AuthnContextClassRef that we know.
type context struct {
	uri  string
	kind kind
	ial  IAL // of kindIAL
	aal  AAL // of kindAAL
	// rank decides between several identity levels in one request: the lowest
	// wins, whatever their order.
	rank int
	// companion is true of a value that asks for nothing, and so makes no
	// request valid alone.
	companion bool
}

// contexts are all values that are recognised. They are compared as they
// stand: URIs of an AuthnContext are case-sensitive (saml-core §2.7.2.2).
var contexts = indexByURI(contextList)

var contextList = []context{
	{uri: uriFacialRequired, kind: kindIAL, ial: FacialRequired, rank: 1},
	{uri: uriIAL2BioRequired, kind: kindIAL, ial: FacialRequired, rank: 2},
	{uri: uriFacialPreferred, kind: kindIAL, ial: FacialPreferred, rank: 3},
	{uri: uriIAL2BioPreferred, kind: kindIAL, ial: FacialPreferred, rank: 4},
	{uri: uriVerified, kind: kindIAL, ial: Verified, rank: 5},
	{uri: uriIAL2, kind: kindIAL, ial: Verified, rank: 6},
	{uri: uriLOA3, kind: kindIAL, ial: Verified, rank: 7},
	{uri: uriIAL0, kind: kindIAL, ial: IALMax, rank: 8},
	{uri: uriAuthOnly, kind: kindIAL, ial: AuthOnly, rank: 9},
	{uri: uriIAL1, kind: kindIAL, ial: AuthOnly, rank: 10},
	{uri: uriLOA1, kind: kindIAL, ial: AuthOnly, rank: 11},
	{uri: uriIAL2Strict, kind: kindStrict},

	{uri: uriDuo, kind: kindAAL, aal: AALDefault},
	{uri: uriAAL1, kind: kindAAL, aal: AALDefault, companion: true},
	{uri: uriAAL2, kind: kindAAL, aal: AAL2},
	{uri: uriAAL2Phishing, kind: kindAAL, aal: AALPhishingResistant},
	{uri: uriAAL3, kind: kindAAL, aal: AALPhishingResistant},
	{uri: uriAAL2HSPD12, kind: kindAAL, aal: AALHSPD12},
	{uri: uriAAL3HSPD12, kind: kindAAL, aal: AALHSPD12},

	{uri: uriPassword, kind: kindGeneric},
	{uri: uriPasswordTransport, kind: kindGeneric},
	{uri: uriUnspecified, kind: kindGeneric},
}

// ClassRefs are the values of AuthnContextClassRef that make a request valid, in
// the order of the table: identity first, then authentication, then those that
// libraries send by default.
func ClassRefs() []string {
	var all []string
	for _, c := range contextList {
		if !c.companion {
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

// defaultAAL is what applies, and what is stated, for a registration when the
// request names no authentication level.
func defaultAAL(sp *idp.ServiceProvider) (AAL, string) {
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

// defaultIAL is what applies for a registration when the request names no
// identity level. Facial match has to be asked for.
func defaultIAL(sp *idp.ServiceProvider) IAL {
	if allowsVerified(sp) {
		return Verified
	}
	return AuthOnly
}

// allowsVerified reports whether the provider may ask for proofed identities.
func allowsVerified(sp *idp.ServiceProvider) bool {
	return sp.IAL == idp.IALVerified || sp.IAL == idp.IALFacialMatch
}

// isAllowedFor reports whether the provider may ask for the value.
func (c *context) isAllowedFor(sp *idp.ServiceProvider) bool {
	switch {
	case c.kind == kindStrict:
		// It has no effect, but it is echoed: a provider that may not ask
		// for proofing must not be told that there was any.
		return allowsVerified(sp)
	case c.kind != kindIAL || c.ial == AuthOnly:
		return true
	case c.ial == IALMax:
		return sp.AllowIALMax
	case c.ial.isFacialMatch():
		return sp.IAL == idp.IALFacialMatch
	}
	return allowsVerified(sp)
}
