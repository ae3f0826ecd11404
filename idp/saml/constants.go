package saml

// Namespaces.
const (
	NamespaceProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	NamespaceAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// NamespaceSOAP is that of SOAP 1.1, the only one that SAML's binding knows
// (saml-bindings §3.2).
const NamespaceSOAP = "http://schemas.xmlsoap.org/soap/envelope/"

// Version is the only value of the Version attribute that there is.
const Version = "2.0"

// Bindings, as messages and metadata name them (saml-bindings §3).
const (
	BindingURIRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	BindingURIPOST     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
	BindingURISOAP     = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
)

// EncodingDeflate is the only encoding of the Redirect binding, which the
// parameter SAMLEncoding may name (saml-bindings §3.4.4.1).
const EncodingDeflate = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"

// NameID formats (saml-core §8.3).
const (
	NameIDFormatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	NameIDFormatEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	NameIDFormatEntity      = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	NameIDFormatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	NameIDFormatTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// Values of RequestedAuthnContext's Comparison (saml-core §3.3.2.2.1). An
// absent one means exact.
const (
	ComparisonExact   = "exact"
	ComparisonMinimum = "minimum"
	ComparisonMaximum = "maximum"
	ComparisonBetter  = "better"
)
