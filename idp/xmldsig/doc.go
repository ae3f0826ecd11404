// Package xmldsig is the only place that signs or verifies: XML documents
// (xmldsig-core, as saml-core §5.4 narrows it) and the query of the
// HTTP-Redirect binding (saml-bindings §3.4.4.1).
//
// It answers with the verified element, never with a yes: what a caller may
// read is what goxmldsig digested, as it came out of the canonical form, and
// not the document that the signature was found in.
//
// The way of a verification:
//
//	Signature   our tree: at most one ds:Signature in the whole document, a
//	            child of the root, right after the Issuer
//	shape       our tree: every part of it, its order, its algorithms, its one
//	            Reference to the root; no ID twice in the document
//	bridge      our tree -> etree, without KeyInfo, whose key is a stranger's
//	goxmldsig   once per certificate, each tried alone
//	bridge      the element that goxmldsig returned -> our tree, compared with
//	            the document less its Signature: no transform may have changed
//	            what the message says
//
// goxmldsig takes far more than we do (SHA-1, empty and several References,
// any place in the tree); each limit here stops a published attack. Taken are:
// RSA keys of 2048 bits or more, rsa-sha256 with digest sha256, enveloped-
// signature followed by one canonicalization (exclusive, 1.0 or 1.1, without
// comments). A certificate is a name for a key that was registered; neither
// its dates nor its issuer matter here.
package xmldsig
