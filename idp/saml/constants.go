package saml

import "time"

// Namespaces of messages.
const (
	NamespaceProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	NamespaceAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// NamespaceSOAP is the namespace of SOAP 1.1, the only version that SAML's binding uses
// (saml-bindings §3.2).
const NamespaceSOAP = "http://schemas.xmlsoap.org/soap/envelope/"

// Version is the only permitted value of the Version attribute.
const Version = "2.0"

// Bindings, as named in messages and metadata (saml-bindings §3).
const (
	BindingURIRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	BindingURIPOST     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
	BindingURISOAP     = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
)

// EncodingDeflate is the only encoding of the Redirect binding. The parameter SAMLEncoding may
// name it (saml-bindings §3.4.4.1).
const EncodingDeflate = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"

// NameID formats (saml-core §8.3).
const (
	NameIDFormatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	NameIDFormatEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	NameIDFormatEntity      = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	NameIDFormatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	NameIDFormatTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// Values of RequestedAuthnContext's Comparison (saml-core §3.3.2.2.1). If absent, it means
// exact.
const (
	ComparisonExact   = "exact"
	ComparisonMinimum = "minimum"
	ComparisonMaximum = "maximum"
	ComparisonBetter  = "better"
)

// Status codes (saml-core §3.2.2.2): the first three are top-level codes, the others are
// nested within one of them.
const (
	StatusSuccess          = "urn:oasis:names:tc:SAML:2.0:status:Success"
	StatusRequester        = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	StatusResponder        = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	StatusNoPassive        = "urn:oasis:names:tc:SAML:2.0:status:NoPassive"
	StatusPartialLogout    = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
	StatusRequestDenied    = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied"
	StatusUnknownPrincipal = "urn:oasis:names:tc:SAML:2.0:status:UnknownPrincipal"
)

const (
	// consentUnspecified makes no statement about consent (saml-core §8.4.1). The reference
	// sends it.
	consentUnspecified = "urn:oasis:names:tc:SAML:2.0:consent:unspecified"
	// methodBearer confirms the subject for the party that presents the assertion
	// (saml-profiles §3.3).
	methodBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
)

// Lifetimes in an assertion, counted from its IssueInstant.
const (
	// ConfirmationLifetime is how long the assertion may be presented.
	ConfirmationLifetime = 180 * time.Second
	// ConditionsLifetime is how long service providers may rely on the statements.
	ConditionsLifetime = time.Hour
	// ConditionsSkew is how far the clock of a service provider may be behind our clock.
	ConditionsSkew = 5 * time.Second
)

// TimeFormat is xsd:dateTime as saml-core §1.3.3 requires it: UTC, in whole seconds, because
// some software accepts no fractions.
const TimeFormat = "2006-01-02T15:04:05Z"
