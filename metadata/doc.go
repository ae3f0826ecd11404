// Package metadata writes our own EntityDescriptors and reads those of service
// providers (saml-metadata).
//
// Ours are written once for a set of inputs and served as bytes: IdP.Year for
// the document of one year, which never changes while its key does not, and
// IdP.Stable for the one at the address without a year, which lists every live
// certificate and is made anew each week. Both are signed, and neither asks a
// clock: the time is an argument.
//
// ReadSP turns the document of a service provider into what its registration
// needs, and says everything at once. Which part of a document is needed is
// decided in one place, the table of [Part]: a part that is not needed and
// cannot be used is left out with a note, and only one that is needed refuses
// the document. Signatures on foreign metadata are not looked at: an operator
// who registers a document has decided to trust it. Package idp/sp decides which URLs
// may be registered, see [Options].
package metadata

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	namespace   = "urn:oasis:names:tc:SAML:2.0:metadata"
	namespaceUI = "urn:oasis:names:tc:SAML:metadata:ui"
	// SAML metadata profile for algorithm support, version 1.0.
	namespaceAlgorithms = "urn:oasis:names:tc:SAML:metadata:algsupport"
)

// ContentType is the media type of an EntityDescriptor (saml-metadata appendix A).
const ContentType = "application/samlmetadata+xml"

// ETag is a strong validator for a document (RFC 9110 §8.8.3), with its quotes.
func ETag(doc []byte) string {
	sum := sha256.Sum256(doc)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}
