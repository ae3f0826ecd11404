package saml

import "time"

// Status codes (saml-core §3.2.2.2): the first three stand at the top level,
// the others within one of them.
const (
	StatusSuccess          = "urn:oasis:names:tc:SAML:2.0:status:Success"
	StatusRequester        = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	StatusResponder        = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	StatusNoPassive        = "urn:oasis:names:tc:SAML:2.0:status:NoPassive"
	StatusPartialLogout    = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
	StatusRequestDenied    = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied"
	StatusUnknownPrincipal = "urn:oasis:names:tc:SAML:2.0:status:UnknownPrincipal"
)

// Formats of an attribute's Name (saml-core §8.2).
const (
	AttrNameFormatBasic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	AttrNameFormatURI   = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
)

const (
	// consentUnspecified says nothing about consent (saml-core §8.4.1); the
	// reference sends it.
	consentUnspecified = "urn:oasis:names:tc:SAML:2.0:consent:unspecified"
	// methodBearer confirms the subject for who presents the assertion
	// (saml-profiles §3.3).
	methodBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
)

// Lifetimes in an assertion, counted from its IssueInstant.
const (
	// ConfirmationLifetime is how long the assertion may be presented.
	ConfirmationLifetime = 180 * time.Second
	// ConditionsLifetime is how long its statements may be relied upon.
	ConditionsLifetime = time.Hour
	// ConditionsSkew is how far behind ours a service provider's clock may be.
	ConditionsSkew = 5 * time.Second
)

// TimeFormat is xsd:dateTime as saml-core §1.3.3 wants it: UTC, and whole
// seconds, as some software reads no others.
const TimeFormat = "2006-01-02T15:04:05Z"
