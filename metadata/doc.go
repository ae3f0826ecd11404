// Package metadata writes our own EntityDescriptors and reads those of service
// providers (saml-metadata).
//
// Ours are written once for a set of inputs and served as bytes. IdP.WriteYear writes the document of
// one year, which changes only with its key. IdP.WriteStable writes the one at the URL without a year,
// which lists every live certificate and is written again each week. Both are signed, and neither
// reads a clock: the time is an argument.
//
// ReadSP reads the values for a registration from the document of a service provider, and
// reports all problems at once. The table of [Part] alone decides which part of a document is
// needed: an unusable part that is not needed is left out with a note, and only a needed one
// refuses the document. Signatures on external metadata are not checked, because an operator
// who registers a document has decided to trust it. Package idp/sp decides which URLs may be
// registered, see [Options].
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

// ETag returns a strong validator for a document (RFC 9110 §8.8.3), with its quotes.
func ETag(doc []byte) string {
	sum := sha256.Sum256(doc)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}
