package saml_test

import (
	"strings"

	"vernal/idp/saml"
	"vernal/idp/xmldsig"
)

// signatures adds cases about the parts of an embedded signature.
func (g *generator) signatures() {
	good := g.signed(template{}, "")
	digest := digestRE.FindStringSubmatch(good)[2]
	value := signatureRE.FindStringSubmatch(good)[2]
	flipped := []byte(digest)
	flipped[3] ^= 'A' ^ 'B'
	swap := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	void := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	sha1Digest := strings.Repeat("A", 27) + "="
	enveloped := transform("ds:", xmldsig.AlgorithmEnveloped, "")
	exclusive := transform("ds:", xmldsig.AlgorithmExclusive, "")
	xpath := transform("ds:", "http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath>")
	reference := good[strings.Index(good, "<ds:Reference") : strings.Index(good, "</ds:Reference>")+len("</ds:Reference>")]
	info := good[strings.Index(good, "<ds:SignedInfo") : strings.Index(good, "</ds:SignedInfo>")+len("</ds:SignedInfo>")]
	signature := good[strings.Index(good, "<ds:Signature ") : strings.Index(good, "</ds:Signature>")+len("</ds:Signature>")]
	for _, c := range []struct{ name, about, verdict, xml string }{
		{"sig-message-changed", "the message changed after signing", "digest_mismatch DigestValue", swap(corpusACS, "https://attacker.example.net/acs")},
		{"sig-white-space-added", "white space added after signing", "digest_mismatch DigestValue", swap("</samlp:AuthnRequest>", " </samlp:AuthnRequest>")},
		{"sig-attribute-added", "an attribute added after signing", "digest_mismatch DigestValue", swap(` Version=`, ` ForceAuthn="true" Version=`)},
		{"sig-digest-changed", "the digest changed", "signature_mismatch SignatureValue", swap(digest, string(flipped))},
		{"sig-digest-void", "the digest of nothing (void canonicalization)", "signature_mismatch SignatureValue", swap(digest, void)},
		{"sig-digest-comment", "a comment in the DigestValue (CVE-2025-29775)", "xml_invalid SAMLRequest", swap(digest, "<!--"+void+"-->"+digest)},
		{"sig-digest-element", "an element in the DigestValue", "signature_base64 DigestValue", swap(digest, digest+"<a/>")},
		{"sig-digest-two", "two DigestValues", "signature_shape Reference", swap("</ds:Reference>", "<ds:DigestValue>"+void+"</ds:DigestValue></ds:Reference>")},
		{"sig-digest-length", "a digest of 20 bytes under the name of SHA-256", "signature_base64 DigestValue", swap(digest, sha1Digest)},
		{"sig-value-empty", "an empty SignatureValue", "signature_base64 SignatureValue", swap(value, "")},
		{"sig-value-not-base64", "a SignatureValue that is no base64", "signature_base64 SignatureValue", swap(value, "!"+value)},
		{"sig-value-short", "a SignatureValue of one byte", "signature_mismatch SignatureValue", swap(value, "AA==")},
		{"sig-wrong-key", "signed with a key that is not registered", "signature_mismatch SignatureValue", g.sign(request("", template{}.String()), "attacker")},
		{"sig-other-sp", "signed with the key of another service provider", "signature_mismatch SignatureValue", g.sign(request("", template{}.String()), "sp2")},
		{"sig-attacker-keyinfo", "signed by a stranger, whose certificate is in KeyInfo", "signature_mismatch SignatureValue", g.sign(request("", template{keyInfo: keyInfo(g.t, "ds:", "attacker")}.String()), "attacker")},
		{"sig-attacker-right-keyinfo", "signed by a stranger, with the registered certificate in KeyInfo", "signature_mismatch SignatureValue", g.sign(request("", template{keyInfo: keyInfo(g.t, "ds:", "sp1")}.String()), "attacker")},
		{"sig-sha1", "rsa-sha1", "signature_algorithm SignatureMethod Algorithm", g.signed(template{method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}, "")},
		{"sig-sha1-digest", "digest SHA-1", "digest_algorithm DigestMethod Algorithm", g.signed(template{digest: "http://www.w3.org/2000/09/xmldsig#sha1"}, "")},
		{"sig-sha512", "rsa-sha512", "signature_algorithm SignatureMethod Algorithm", g.signed(template{method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"}, "")},
		{"sig-sha512-digest", "digest SHA-512", "digest_algorithm DigestMethod Algorithm", g.signed(template{digest: "http://www.w3.org/2001/04/xmlenc#sha512"}, "")},
		{"sig-hmac", "HMAC", "signature_algorithm SignatureMethod Algorithm", g.sign(request("", template{method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"}.String()), "hmac")},
		{"sig-hmac-length", "HMAC of length 0 (CVE-2009-0217)", "signature_algorithm SignatureMethod", strings.Replace(good, `rsa-sha256"/>`, `rsa-sha256"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>`, 1)},
		{"sig-c14n-comments", "canonicalization with comments", "canonicalization CanonicalizationMethod Algorithm", g.signed(template{c14n: xmldsig.AlgorithmExclusive + "WithComments"}, "")},
		{"sig-c14n-unknown", "an unknown canonicalization", "canonicalization CanonicalizationMethod Algorithm", strings.Replace(good, xmldsig.AlgorithmExclusive, "urn:x", 1)},
		{"sig-transform-comments", "a transform that keeps comments", "transform Transform Algorithm", g.signed(template{transforms: enveloped + transform("ds:", xmldsig.AlgorithmExclusive+"WithComments", "")}, "")},
		{"sig-transform-xpath", "XPath", "transform Transform Algorithm", g.signed(template{transforms: enveloped + xpath}, "")},
		{"sig-transform-xpath-third", "XPath beside the two", "transform Transforms", g.signed(template{transforms: enveloped + xpath + exclusive}, "")},
		{"sig-transform-xslt", "XSLT", "transform Transform Algorithm", swap(exclusive, transform("ds:", "http://www.w3.org/TR/1999/REC-xslt-19991116", `<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/>`))},
		{"sig-transform-base64", "base64", "transform Transform Algorithm", swap(exclusive, transform("ds:", "http://www.w3.org/2000/09/xmldsig#base64", ""))},
		{"sig-transform-order", "the canonicalization first", "transform Transform Algorithm", swap(enveloped+exclusive, exclusive+enveloped)},
		{"sig-transform-twice", "two canonicalizations", "transform Transforms", g.signed(template{transforms: enveloped + exclusive + exclusive}, "")},
		{"sig-transform-none", "enveloped-signature alone", "transform Transforms", g.signed(template{transforms: enveloped}, "")},
		{"sig-transform-prefixes", "a prefix list of 10,000 names", "transform Transform", swap(exclusive, transform("ds:", xmldsig.AlgorithmExclusive, prefixes(strings.Repeat("a ", 10000))))},
		{"sig-transform-inner", "an element within enveloped-signature", "transform Transform", swap(enveloped, transform("ds:", xmldsig.AlgorithmEnveloped, "<a/>"))},
		{"sig-reference-empty", "an empty Reference URI", "signature_reference Reference URI", g.signed(template{hasURI: true}, "")},
		{"sig-reference-missing", "no Reference URI", "signature_reference Reference URI", swap(` URI="#_a1"`, "")},
		{"sig-reference-first-character", "a Reference that goxmldsig takes for the root's", "signature_reference Reference URI", swap("#_a1", "X_a1")},
		{"sig-reference-xpointer", "an XPointer", "signature_reference Reference URI", swap("#_a1", "#xpointer(id('_a1'))")},
		{"sig-reference-external", "a Reference to another document", "signature_reference Reference URI", swap("#_a1", "http://attacker.example.net/#_a1")},
		{"sig-reference-part", "a signature over a part of the message", "signature_reference Reference URI", g.signedPart()},
		{"sig-references-two", "two References", "signature_shape SignedInfo", swap(reference, reference+reference)},
		{"sig-references-none", "no Reference", "signature_shape SignedInfo", swap(reference, "")},
		{"sig-signedinfo-two", "two SignedInfos (CVE-2025-29774)", "signature_shape Signature", swap(info, info+strings.Replace(info, digest, void, 1))},
		{"sig-signedinfo-nested", "a SignedInfo within an Object", "signature_shape Signature", swap("</ds:Signature>", "<ds:Object>"+info+"</ds:Object></ds:Signature>")},
		{"sig-object", "an Object", "signature_shape Signature", swap("</ds:Signature>", "<ds:Object/></ds:Signature>")},
		{"sig-manifest", "a Manifest", "signature_shape Signature", swap("</ds:Signature>", "<ds:Object><ds:Manifest>"+reference+"</ds:Manifest></ds:Object></ds:Signature>")},
		{"sig-twice", "two Signatures", "signature_twice Signature", swap(signature, signature+signature)},
		{"sig-in-extensions", "the Signature within Extensions", "signature_shape Signature", swap(signature, "<samlp:Extensions>"+signature+"</samlp:Extensions>")},
		{"sig-id-duplicate", "the root's ID a second time", "signature_reference ID", swap("</samlp:AuthnRequest>", `<samlp:Extensions><a ID="_a1"/></samlp:Extensions></samlp:AuthnRequest>`)},
		{"sig-id-duplicate-xml", "the root's ID a second time, as xml:id", "signature_reference id", swap("</samlp:AuthnRequest>", `<samlp:Extensions><a xml:id="_a1"/></samlp:Extensions></samlp:AuthnRequest>`)},
		{"sig-id-namespaced", "a namespaced ID before the plain one", "signature_reference e:ID", swap(` ID="_a1"`, ` xmlns:e="urn:e" e:ID="_evil" ID="_a1"`)},
		{"sig-empty-element", "an empty Signature", "signature_shape Signature", request("", `<ds:Signature xmlns:ds="`+xmldsig.Namespace+`"/>`)},
		{"sig-prefix-rebound", "the prefix of the Signature bound again in the SignedInfo", "signature_shape Signature", swap("<ds:SignedInfo>", `<ds:SignedInfo xmlns:ds="urn:x">`)},
	} {
		g.add(c.name, c.about, "refused "+c.verdict, postXML(c.xml)).shows(c.xml)
	}
	g.add("sig-optional-wrong", "a wrong signature from a sender who need not sign", "refused digest_mismatch DigestValue", postXML(swap(corpusACS, "https://attacker.example.net/acs"))).optional()
	g.add("sig-optional-hidden", "a Signature in Extensions from a sender who need not sign", "refused signature_shape Signature", postXML(swap(signature, "<samlp:Extensions>"+signature+"</samlp:Extensions>"))).optional()
	g.add("sig-message-changed-two-certificates", "the message changed, and the first of two certificates fits", "refused digest_mismatch DigestValue", postXML(swap(corpusACS, "https://attacker.example.net/acs"))).with("sp1", "sp2")
	g.add("sig-weak-key", "a key of 1024 bits", "refused no_certificate KeyDescriptor", postXML(g.sign(request("", template{}.String()), "weak"))).with("weak")
	g.accept(g.add("sig-second-certificate", "the second of two certificates verifies", "accepted", postXML(good)).with("sp2", "sp1"), nil)
	g.accept(g.add("sig-expired-certificate", "a certificate that ended long ago", "accepted", postXML(g.sign(request("", template{}.String()), "expired"))).with("expired"), func(a *accepted) { a.Cert = "expired" })
	// Anywhere directly under the root, where .NET code appends it. The signed content does
	// not include the signature, so moving it changes nothing.
	end := "</samlp:AuthnRequest>"
	g.accept(g.add("sig-before-issuer", "the Signature before the Issuer", "accepted", postXML(strings.Replace(swap(signature, ""), "<saml:Issuer>", signature+"<saml:Issuer>", 1))), nil)
	g.accept(g.add("sig-last", "the Signature at the end", "accepted", postXML(g.sign(strings.Replace(request("", "<samlp:NameIDPolicy/>"), end, template{}.String()+end, 1), "sp1"))), func(a *accepted) { a.Request.NameIDPolicy = &saml.NameIDPolicy{} })
	g.accept(g.add("sig-moved", "the Signature moved to the end after signing", "accepted", postXML(strings.Replace(swap(signature, ""), end, signature+end, 1))), nil)
	spaced := swap(value, "\n\t "+strings.ReplaceAll(value, "\n", "\r\n    ")+"\n")
	g.accept(g.add("sig-value-spaces", "white space in the SignatureValue", "accepted", postXML(spaced)), nil)
	requoted := strings.ReplaceAll(strings.ReplaceAll(good, `"`, "'"), `/>`, ` />`)
	g.accept(g.add("sig-written-otherwise", "written otherwise after signing, with the same canonical form", "accepted", postXML(requoted)), nil)
	cdata := swap(corpusSP+"</saml:Issuer>", "<![CDATA["+corpusSP+"]]></saml:Issuer>")
	g.accept(g.add("sig-cdata", "text made a CDATA section after signing, with the same canonical form", "accepted", postXML(cdata)), nil)
}

// signedPart returns a request of which only an inner AuthnRequest is signed.
func (g *generator) signedPart() string {
	inner := strings.Replace(request("", ""), "_a1", "_a2", 1)
	doc := request("", template{uri: "#_a2", transforms: transform("ds:", xmldsig.AlgorithmEnveloped, "") + transform("ds:", xmldsig.AlgorithmExclusive, "")}.String()+
		"<samlp:Extensions>"+inner+"</samlp:Extensions>")
	return g.sign(doc, "sp1")
}

// wrapping adds XSW 1 to 8 of «On Breaking SAML: Be Whoever You Want to Be»,
// with an AuthnRequest in place of the Assertion.
func (g *generator) wrapping() {
	signed := g.signed(template{}, "")
	from, to := strings.Index(signed, "<ds:Signature "), strings.Index(signed, "</ds:Signature>")+len("</ds:Signature>")
	signature := signed[from:to]
	bare := signed[:from] + signed[to:]
	evil := func(id, afterIssuer string) string {
		s := strings.Replace(strings.Replace(request("", afterIssuer), "_a1", id, 1), corpusACS, "https://attacker.example.net/acs", 1)
		return s
	}
	within := func(inner string) string {
		return strings.Replace(signature, "</ds:Signature>", inner+"</ds:Signature>", 1)
	}
	object := func(inner string) string { return "<ds:Object>" + inner + "</ds:Object>" }
	extensions := func(inner string) string { return "<samlp:Extensions>" + inner + "</samlp:Extensions>" }
	for _, c := range []struct{ name, about, verdict, xml string }{
		{"xsw1", "XSW 1: the signed request within the Signature of another one", "signature_shape Signature", evil("_evil", within(bare))},
		{"xsw2", "XSW 2: the signed request after its Signature, both within another one", "signature_reference Reference URI", evil("_evil", signature+bare)},
		{"xsw3", "XSW 3: the signed request with its Signature, first within another one", "signature_shape Signature", strings.Replace(evil("_evil", ""), "<saml:Issuer>", signed+"<saml:Issuer>", 1)},
		{"xsw4", "XSW 4: the signed request with its Signature, last within another one", "signature_shape Signature", evil("_evil", signed)},
		{"xsw5", "XSW 5: another request with the Signature, the signed one after it", "signature_reference Reference URI", evil("_evil", signature+extensions(bare))},
		{"xsw6", "XSW 6: as 5, the signed request within the Signature", "signature_shape Signature", evil("_evil", strings.Replace(signature, "</ds:SignedInfo>", "</ds:SignedInfo>"+bare, 1))},
		{"xsw7", "XSW 7: the signed request within Extensions, with the same ID as the other one", "signature_shape Signature", evil("_a1", extensions(signed))},
		{"xsw8", "XSW 8: the signed request within an Object of the Signature, with the same ID as the other one", "signature_reference ID", evil("_a1", within(object(bare)))},
		{"xsw-same-id", "the Signature in another request with the same ID, the signed one beside it", "signature_reference ID", evil("_a1", signature+extensions(bare))},
		{"xsw-own-signature", "a request with a Signature of its own that wraps the signed one", "signature_twice Signature", evil("_evil", signature+extensions(signed))},
		{"xsw-last", "another request with the Signature at its end, the signed one before it", "signature_reference Reference URI", evil("_evil", extensions(bare)+signature)},
		{"xsw-last-same-id", "another request with the same ID and the Signature at its end, the signed one before it", "signature_reference ID", evil("_a1", extensions(bare)+signature)},
		{"xsw-last-beside", "another request with the Signature at its end, the signed one beside it", "signature_reference Reference URI", evil("_evil", bare+signature)},
		{"xsw-last-nested", "another request that ends with the signed one, whose Signature is at its end", "signature_shape Signature", evil("_evil", bare[:len(bare)-len("</samlp:AuthnRequest>")]+signature+"</samlp:AuthnRequest>")},
		{"xsw-first-same-id", "another request with the same ID that begins with the Signature", "signature_reference ID", strings.Replace(evil("_a1", extensions(bare)), "<saml:Issuer>", signature+"<saml:Issuer>", 1)},
		{"xsw-moved-changed", "the Signature moved to the end, and the ACS URL changed", "digest_mismatch DigestValue", strings.Replace(strings.Replace(bare, corpusACS, "https://attacker.example.net/acs", 1), "</samlp:AuthnRequest>", signature+"</samlp:AuthnRequest>", 1)},
		{"xsw-root", "the signed request within an element of no meaning", "issuer_invalid Issuer", "<a>" + signed + "</a>"},
	} {
		g.add(c.name, c.about, "refused "+c.verdict, postXML(c.xml)).shows(c.xml)
	}
}
