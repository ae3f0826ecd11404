// Package xmldsig contains all signing and verifying: of XML documents (xmldsig-core, as
// restricted by saml-core §5.4) and of the query of the HTTP-Redirect binding (saml-bindings
// §3.4.4.1).
//
// It returns the verified element, never just true: a caller reads the element that goxmldsig
// digested, parsed from the canonical form, and not the document that contained the signature.
//
// A verification takes these steps:
//
//	FindSignature     our tree: at most one ds:Signature in the whole document, a
//	                  child of the root
//	checkSignature    our tree: every part of it, its order, its algorithms, its one
//	                  Reference to the root; no ID twice in the document
//	convertToEtree    our tree -> etree, without KeyInfo, whose key the sender chose
//	goxmldsig         once per certificate, each tried separately
//	convertFromEtree  the element that goxmldsig returned -> our tree, compared with
//	                  the document without its Signature: no transform may have
//	                  changed the content of the message
//
// goxmldsig accepts far more than we do (SHA-1, empty and several References, any place in the
// tree). Each restriction here stops a published attack. Accepted are: RSA keys of 2048 bits
// or more, rsa-sha256 with digest sha256, enveloped-signature followed by one canonicalization
// (exclusive, 1.0 or 1.1, without comments). A certificate is only a container for a
// registered key, and neither its dates nor its issuer are checked here.
package xmldsig
