package xmldsig

import (
	"strings"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// Namespace is the namespace of XML signatures.
const Namespace = "http://www.w3.org/2000/09/xmldsig#"

// Algorithms that we accept and sign with.
const (
	AlgorithmRSASHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	AlgorithmSHA256    = "http://www.w3.org/2001/04/xmlenc#sha256"

	AlgorithmEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	// Canonicalizations, all without comments.
	AlgorithmExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	AlgorithmC14N10    = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	AlgorithmC14N11    = "http://www.w3.org/2006/12/xml-c14n11"
)

const (
	maxSignatureValue = 4096 // characters of base64
	maxPrefixList     = 512
	maxPrefixes       = 32
)

// FindSignature returns the document's only ds:Signature, a child of the root, or nil if the document
// has none. A second one, or one deeper in the document, is a *idp.Refusal, because signature
// wrapping exploits any doubt about which one counts.
//
// The schema has it right after the Issuer (saml-core §3.2.1). .NET code appends it, and
// Login.gov's guide shows it last. Its position among the children has no effect here, because
// only the verified element is read, which no longer contains it.
func FindSignature(root *xmltree.Element) (*xmltree.Element, error) {
	found, err := findOnlySignature(root)
	if found == nil {
		return nil, err
	}
	if root.Child(Namespace, "Signature") != found {
		return nil, idp.Refuse(idp.RefusedSignatureShape, "Signature", "ds:Signature")
	}
	return found, nil
}

// findOuterSignature returns the signature of the root, or nil. Elements within may have signatures
// of their own.
func findOuterSignature(root *xmltree.Element) (*xmltree.Element, error) {
	own := root.Children(Namespace, "Signature")
	switch {
	case len(own) == 0:
		return nil, nil
	case len(own) > 1:
		return nil, idp.Refuse(idp.RefusedSignatureTwice, "Signature", "ds:Signature, ds:Signature")
	}
	return own[0], nil
}

// findMetadataSignature is Signature for metadata, where it is the first child (saml-metadata
// §2.3.2).
func findMetadataSignature(root *xmltree.Element) (*xmltree.Element, error) {
	found, err := findOnlySignature(root)
	if found == nil {
		return nil, err
	}
	for first := range root.Elements() {
		if first != found {
			break
		}
		return found, nil
	}
	return nil, idp.Refuse(idp.RefusedSignatureShape, "Signature", "ds:Signature")
}

// findOnlySignature returns the document's only ds:Signature, at any position, or nil.
func findOnlySignature(root *xmltree.Element) (found *xmltree.Element, err error) {
	for e := range root.All() {
		if !e.Is(Namespace, "Signature") {
			continue
		}
		if found != nil {
			return nil, idp.Refuse(idp.RefusedSignatureTwice, "Signature", "ds:Signature, ds:Signature")
		}
		found = e
	}
	return found, nil
}

// checkSignature refuses a Signature with any part that we do not accept, before goxmldsig
// sees it, and returns its value without white space.
func checkSignature(root, signature *xmltree.Element) (value string, err error) {
	if err := checkIDs(root); err != nil {
		return "", err
	}
	parts, err := readExactChildren(signature, "SignedInfo", "SignatureValue", "KeyInfo?")
	if err != nil {
		return "", err
	}
	value, err = readBase64(parts[1], maxSignatureValue)
	if err != nil {
		return "", err
	}
	info, err := readExactChildren(parts[0], "CanonicalizationMethod", "SignatureMethod", "Reference")
	if err != nil {
		return "", err
	}
	if err := checkCanonicalization(info[0], idp.RefusedCanonicalization); err != nil {
		return "", err
	}
	if list, ok := readPrefixList(info[0]); ok && strings.TrimSpace(list) != "" {
		// goxmldsig ignores the list here, so it could not verify.
		return "", idp.Refuse(idp.RefusedCanonicalization, "InclusiveNamespaces", list)
	}
	if err := checkAlgorithm(info[1], idp.RefusedSignatureAlgorithm, AlgorithmRSASHA256); err != nil {
		return "", err
	}
	return value, checkReference(root, info[2])
}

// checkReference accepts one reference to the root, by its ID.
func checkReference(root, reference *xmltree.Element) error {
	uri, _ := reference.Attr("URI")
	id, _ := root.Attr("ID")
	if id == "" || uri != "#"+id {
		return idp.Refuse(idp.RefusedReference, "Reference URI", uri, "#"+id)
	}
	for _, a := range root.Attrs {
		// goxmldsig would mistake x:ID for the ID.
		if a.Local == "ID" && a.Space != "" {
			return idp.Refuse(idp.RefusedReference, a.Prefix+":"+a.Local, a.Value)
		}
	}
	parts, err := readExactChildren(reference, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return err
	}
	if err := checkTransforms(parts[0]); err != nil {
		return err
	}
	if err := checkAlgorithm(parts[1], idp.RefusedDigestAlgorithm, AlgorithmSHA256); err != nil {
		return err
	}
	digest, err := readBase64(parts[2], 64)
	if err != nil {
		return err
	}
	// 44 characters are the 32 bytes of SHA-256. goxmldsig accepts line breaks here but no
	// spaces, and the value cannot be corrected because it is signed.
	if len(digest) != 44 || strings.ContainsAny(parts[2].Text(), " \t") {
		return idp.Refuse(idp.RefusedSignatureBase64, "DigestValue", digest)
	}
	return nil
}

// checkTransforms accepts enveloped-signature, then one canonicalization.
func checkTransforms(transforms *xmltree.Element) error {
	list, err := readExactChildren(transforms, "Transform", "Transform")
	if err != nil {
		seen := ""
		for t := range transforms.Elements() {
			seen, _ = t.Attr("Algorithm")
		}
		return idp.Refuse(idp.RefusedTransform, "Transforms", seen, AlgorithmEnveloped, AlgorithmExclusive)
	}
	if err := checkAlgorithm(list[0], idp.RefusedTransform, AlgorithmEnveloped); err != nil {
		return err
	}
	return checkCanonicalization(list[1], idp.RefusedTransform)
}

// checkCanonicalization accepts one of the three, with a prefix list if it is the exclusive
// one.
func checkCanonicalization(e *xmltree.Element, code idp.RefusalCode) error {
	algorithm, _ := e.Attr("Algorithm")
	switch algorithm {
	case AlgorithmC14N10, AlgorithmC14N11:
		return checkAlgorithm(e, code, algorithm)
	case AlgorithmExclusive:
	default:
		return idp.Refuse(code, e.Local+" Algorithm", algorithm, AlgorithmExclusive)
	}
	if err := checkAttrs(e, "Algorithm"); err != nil {
		return err
	}
	seen := 0
	for c := range e.Elements() {
		list, ok := c.Attr("PrefixList")
		if !c.Is(AlgorithmExclusive, "InclusiveNamespaces") || !ok || len(c.Nodes) > 0 || seen > 0 ||
			len(list) > maxPrefixList || len(strings.Fields(list)) > maxPrefixes {
			return idp.Refuse(code, e.Local, c.Local)
		}
		seen++
	}
	return checkNoText(e)
}

// readPrefixList returns the list of an exclusive canonicalization that was checked.
func readPrefixList(e *xmltree.Element) (string, bool) {
	for c := range e.Elements() {
		return c.Attr("PrefixList")
	}
	return "", false
}

// checkAlgorithm accepts an element that names this algorithm, without parameters such as
// HMAC's output length or an XPath.
func checkAlgorithm(e *xmltree.Element, code idp.RefusalCode, want string) error {
	algorithm, _ := e.Attr("Algorithm")
	if algorithm != want {
		return idp.Refuse(code, e.Local+" Algorithm", algorithm, want)
	}
	for c := range e.Elements() {
		return idp.Refuse(code, e.Local, c.Local, want)
	}
	if err := checkNoText(e); err != nil {
		return err
	}
	return checkAttrs(e, "Algorithm")
}
