package saml_test

import (
	"strings"

	"vernal/idp/saml"
	"vernal/idp/xmldsig"
)

const protocolNS, assertionNS = saml.NamespaceProtocol, saml.NamespaceAssertion

// libraries adds requests as widely used software writes them.
func (g *generator) libraries() {
	g.mellon()
	g.scripting()
	g.php()
	g.javaAndDotNet()
	g.rest()
}

func (g *generator) mellon() {
	xml := `<samlp:AuthnRequest xmlns:samlp="` + protocolNS + `" xmlns:saml="` + assertionNS + `" ID="_a1" Version="2.0" IssueInstant="` + corpusTime +
		`" Destination="` + corpusAuth + `" Consent="urn:oasis:names:tc:SAML:2.0:consent:current-implicit" ForceAuthn="false" IsPassive="false" ` +
		`AssertionConsumerServiceIndex="0"><saml:Issuer>` + corpusSP + `</saml:Issuer>SIG<samlp:NameIDPolicy Format="` + saml.NameIDFormatPersistent + `" AllowCreate="true"/></samlp:AuthnRequest>`
	says := func(a *accepted) {
		a.Request.ACSURL, a.Request.HasACSURL, a.Request.HasACSIndex, a.Request.ProtocolBinding = "", false, true, ""
		a.Request.NameIDPolicy = &saml.NameIDPolicy{Format: saml.NameIDFormatPersistent, AllowCreate: true}
	}
	relay := "https://sp1.example.com/mellon/login?ReturnTo=https%3A%2F%2Fsp1.example.com%2Fprivate%2F%3Fwith%3Dmany%26words%3Din-it"
	plain := strings.Replace(xml, "SIG", "", 1)
	g.accept(g.add("lib-mellon-redirect", "mod_auth_mellon with lasso. Its RelayState is over 80 bytes.", "accepted",
		get(g.detached(plain, detached{relay: relay}))), func(a *accepted) { says(a); a.RelayState = &relay })
	embedded := g.sign(strings.Replace(xml, "SIG", template{prefix: "-", keyInfo: keyInfo(g.t, "", "sp1")}.String(), 1), "sp1")
	g.accept(g.add("lib-mellon-post", "mod_auth_mellon with lasso, HTTP-POST", "accepted",
		post("SAMLRequest", b64(embedded), "RelayState", relay)), func(a *accepted) { says(a); a.RelayState = &relay }).shows(embedded)
}

// scripting adds the Ruby and Python libraries.
func (g *generator) scripting() {
	ruby := g.sign(`<samlp:AuthnRequest AssertionConsumerServiceURL='`+corpusACS+`' Destination='`+corpusAuth+`' ID='_a1' IssueInstant='`+corpusTime+
		`' Version='2.0' xmlns:saml='`+assertionNS+`' xmlns:samlp='`+protocolNS+`'><saml:Issuer>`+corpusSP+`</saml:Issuer>`+
		template{transforms: transform("ds:", xmldsig.AlgorithmEnveloped, "") + transform("ds:", xmldsig.AlgorithmExclusive, prefixes("#default samlp saml ds xs xsi md")),
			keyInfo: keyInfo(g.t, "ds:", "sp1")}.String()+
		`<samlp:NameIDPolicy AllowCreate='true' Format='`+saml.NameIDFormatEmail+`'/><samlp:RequestedAuthnContext Comparison='exact'>`+
		`<saml:AuthnContextClassRef>http://idmanagement.gov/ns/assurance/ial/1</saml:AuthnContextClassRef>`+
		`<saml:AuthnContextClassRef>http://idmanagement.gov/ns/assurance/aal/2?phishing_resistant=true</saml:AuthnContextClassRef>`+
		`<saml:AuthnContextClassRef>http://idmanagement.gov/ns/requested_attributes?ReqAttr=email,first_name</saml:AuthnContextClassRef>`+
		`</samlp:RequestedAuthnContext></samlp:AuthnRequest>`, "sp1")
	says := func(a *accepted) {
		a.Request.ProtocolBinding, a.Request.Comparison = "", "exact"
		a.Request.NameIDPolicy = &saml.NameIDPolicy{Format: saml.NameIDFormatEmail, AllowCreate: true}
		a.Request.ClassRefs = []string{"http://idmanagement.gov/ns/assurance/ial/1",
			"http://idmanagement.gov/ns/assurance/aal/2?phishing_resistant=true",
			"http://idmanagement.gov/ns/requested_attributes?ReqAttr=email,first_name"}
	}
	g.accept(g.add("lib-ruby-saml-redirect", "ruby-saml as Login.gov's service providers use it: signature in the XML, by HTTP-Redirect", "accepted", getXML(ruby)), says).shows(ruby)
	g.accept(g.add("lib-ruby-saml-post", "ruby-saml, HTTP-POST", "accepted", postXML(ruby)), says).shows(ruby)
	g.accept(g.add("lib-ruby-saml-post-deflated", "ruby-saml with compress_request, HTTP-POST", "accepted", postXML(deflated(ruby))), says).shows(ruby)

	py := g.sign(`<?xml version='1.0' encoding='UTF-8'?>`+"\n"+`<ns0:AuthnRequest xmlns:ns0="`+protocolNS+`" xmlns:ns1="`+assertionNS+`" xmlns:ns2="`+xmldsig.Namespace+
		`" AssertionConsumerServiceURL="`+corpusACS+`" Destination="`+corpusAuth+`" ID="_a1" IssueInstant="`+corpusTime+`" ProtocolBinding="`+saml.BindingURIPOST+
		`" ProviderName="A service" Version="2.0"><ns1:Issuer Format="`+saml.NameIDFormatEntity+`">`+corpusSP+`</ns1:Issuer>`+
		strings.Replace(template{prefix: "ns2:", keyInfo: keyInfo(g.t, "ns2:", "sp1")}.String(), `<ns2:Signature `, `<ns2:Signature Id="Signature1" `, 1)+
		`<ns0:NameIDPolicy AllowCreate="false" Format="`+saml.NameIDFormatPersistent+`"/></ns0:AuthnRequest>`, "sp1")
	g.accept(g.add("lib-pysaml2-post", "pysaml2, HTTP-POST", "accepted", postXML(py)), func(a *accepted) {
		a.Request.ProviderName = "A service"
		a.Request.NameIDPolicy = &saml.NameIDPolicy{Format: saml.NameIDFormatPersistent}
	}).shows(py)

	py3 := "<samlp:AuthnRequest\n  xmlns:samlp=\"" + protocolNS + "\"\n  xmlns:saml=\"" + assertionNS + "\"\n  ID=\"_a1\"\n  Version=\"2.0\"\n  ProviderName=\"Café &amp; Söhne\"\n  IssueInstant=\"" +
		corpusTime + "\"\n  Destination=\"" + corpusAuth + "\"\n  ProtocolBinding=\"" + saml.BindingURIPOST + "\"\n  AssertionConsumerServiceURL=\"" + corpusACS + "\">\n    <saml:Issuer>" + corpusSP +
		"</saml:Issuer>\n    <samlp:NameIDPolicy\n        Format=\"" + saml.NameIDFormatUnspecified + "\"\n        AllowCreate=\"true\" />\n    <samlp:RequestedAuthnContext Comparison=\"exact\">" +
		"\n        <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>\n    </samlp:RequestedAuthnContext>\n</samlp:AuthnRequest>"
	relay := "https://sp1.example.com/?next=/a b"
	g.accept(g.add("lib-python3-saml-redirect", "python3-saml: attributes on lines of their own, and letters beyond ASCII", "accepted",
		get(g.detached(py3, detached{relay: relay}))), func(a *accepted) {
		a.RelayState = &relay
		a.Request.ProviderName, a.Request.Comparison = "Café & Söhne", "exact"
		a.Request.ClassRefs = []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}
		a.Request.NameIDPolicy = &saml.NameIDPolicy{Format: saml.NameIDFormatUnspecified, AllowCreate: true}
	}).shows(py3)
}

func (g *generator) php() {
	xml := `<samlp:AuthnRequest xmlns:samlp="` + protocolNS + `" xmlns:saml="` + assertionNS + `" ID="_a1" Version="2.0" IssueInstant="` + corpusTime + `" Destination="` + corpusAuth +
		`" AssertionConsumerServiceURL="` + corpusACS + `" ProtocolBinding="` + saml.BindingURIPOST + `"><saml:Issuer>` + corpusSP + `</saml:Issuer>SIG<samlp:NameIDPolicy Format="` + saml.NameIDFormatTransient +
		`" AllowCreate="true"/><samlp:Scoping><samlp:RequesterID>https://hub.example.org</samlp:RequesterID></samlp:Scoping></samlp:AuthnRequest>`
	says := func(a *accepted) {
		a.Request.NameIDPolicy = &saml.NameIDPolicy{Format: saml.NameIDFormatTransient, AllowCreate: true}
	}
	relay := "https://sp1.example.com/simplesaml/module.php/core/authenticate.php?as=default-sp"
	g.accept(g.add("lib-simplesamlphp-redirect", "SimpleSAMLphp, with Scoping, which is ignored", "accepted",
		get(g.detached(strings.Replace(xml, "SIG", "", 1), detached{relay: relay}))), func(a *accepted) { says(a); a.RelayState = &relay })
	embedded := "<?xml version=\"1.0\"?>\n" + g.sign(strings.Replace(xml, "SIG", template{space: "\n  ", keyInfo: keyInfo(g.t, "ds:", "sp1")}.String(), 1), "sp1")
	g.accept(g.add("lib-simplesamlphp-post", "SimpleSAMLphp, HTTP-POST", "accepted", postXML(embedded)), says).shows(embedded)
}

func (g *generator) javaAndDotNet() {
	shib := `<samlp:AuthnRequest xmlns:samlp="` + protocolNS + `" AssertionConsumerServiceURL="` + corpusACS + `" Destination="` + corpusAuth + `" ID="_a1" IssueInstant="` + corpusTime +
		`" ProtocolBinding="` + saml.BindingURIPOST + `" Version="2.0"><saml:Issuer xmlns:saml="` + assertionNS + `">` + corpusSP + `</saml:Issuer><samlp:NameIDPolicy AllowCreate="1"/></samlp:AuthnRequest>`
	relay := "ss:mem:0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	g.accept(g.add("lib-shibboleth-sp-redirect", "Shibboleth SP", "accepted", get(g.detached(shib, detached{relay: relay}))), func(a *accepted) {
		a.RelayState = &relay
		a.Request.NameIDPolicy = &saml.NameIDPolicy{AllowCreate: true}
	}).shows(shib)

	open := g.sign(`<?xml version="1.0" encoding="UTF-8"?><saml2p:AuthnRequest xmlns:saml2p="`+protocolNS+`" AssertionConsumerServiceURL="`+corpusACS+`" Destination="`+corpusAuth+
		`" ForceAuthn="true" ID="_a1" IsPassive="false" IssueInstant="2026-11-22T12:00:00.123456Z" ProtocolBinding="`+saml.BindingURIPOST+`" Version="2.0"><saml2:Issuer xmlns:saml2="`+assertionNS+`">`+corpusSP+`</saml2:Issuer>`+
		template{space: "\n", transforms: transform("ds:", xmldsig.AlgorithmEnveloped, "") + "\n" + transform("ds:", xmldsig.AlgorithmExclusive, prefixes("xs")), keyInfo: keyInfo(g.t, "ds:", "sp1")}.String()+`</saml2p:AuthnRequest>`, "sp1")
	// Santuario breaks the value after 76 characters with a carriage return.
	open = signatureRE.ReplaceAllStringFunc(open, func(s string) string { return strings.ReplaceAll(s, "\n", "&#13;\n") })
	g.accept(g.add("lib-spring-opensaml-post", "Spring Security with OpenSAML: line ends of the SignatureValue as &#13;", "accepted", postXML(open)), func(a *accepted) {
		a.Request.ForceAuthn, a.Request.IssueInstant = true, a.Request.IssueInstant.Add(123456000)
	}).shows(open)

	net := g.sign(`<samlp:AuthnRequest xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ID="_a1" Version="2.0" IssueInstant="2026-11-22T12:00:00.0000000Z" Destination="`+corpusAuth+
		`" AssertionConsumerServiceURL="`+corpusACS+`" ProtocolBinding="`+saml.BindingURIPOST+`" xmlns:samlp="`+protocolNS+`"><Issuer xmlns="`+assertionNS+`">`+corpusSP+`</Issuer>`+
		template{prefix: "-", c14n: xmldsig.AlgorithmC14N10, keyInfo: keyInfo(g.t, "", "sp1")}.String()+`</samlp:AuthnRequest>`, "sp1")
	g.accept(g.add("lib-dotnet-post", ".NET SignedXml: canonicalization 1.0 throughout", "accepted", postXML(net)), nil).shows(net)
	g.accept(g.add("lib-dotnet-post-bom", ".NET with a StreamWriter: a byte order mark before the XML", "accepted", postXML("\uFEFF"+net)), nil)
	mixed := g.signed(template{c14n: xmldsig.AlgorithmC14N10, transforms: transform("ds:", xmldsig.AlgorithmEnveloped, "") + transform("ds:", xmldsig.AlgorithmExclusive, "")}, "")
	g.accept(g.add("lib-dotnet-mixed", ".NET SignedXml: SignedInfo by canonicalization 1.0, the message by the exclusive one", "accepted", postXML(mixed)), nil).shows(mixed)
	c11 := g.signed(template{c14n: xmldsig.AlgorithmC14N11}, "")
	g.accept(g.add("lib-c14n11", "canonicalization 1.1", "accepted", postXML(c11)), nil).shows(c11)
	plain := request("", "")
	relay2 := "~/secure/default.aspx?a=1+2"
	g.accept(g.add("lib-dotnet-redirect-lower-hex", "ITfoxtec and others on .NET: percent-encoding in lower case", "accepted",
		get(g.detached(plain, detached{relay: relay2, escape: lowerHex}))), func(a *accepted) { a.RelayState = &relay2 }).shows(plain)
}

func (g *generator) rest() {
	node := g.sign(`<?xml version="1.0"?><samlp:AuthnRequest xmlns:samlp="`+protocolNS+`" ID="_a1" Version="2.0" IssueInstant="2026-11-22T12:00:00.000Z" ProtocolBinding="`+saml.BindingURIPOST+`" Destination="`+corpusAuth+
		`" AssertionConsumerServiceURL="`+corpusACS+`"><saml:Issuer xmlns:saml="`+assertionNS+`">`+corpusSP+`</saml:Issuer>`+template{prefix: "-"}.String()+`<samlp:NameIDPolicy xmlns:samlp="`+protocolNS+`" Format="`+saml.NameIDFormatEmail+
		`" AllowCreate="true"/><samlp:RequestedAuthnContext xmlns:samlp="`+protocolNS+`" Comparison="exact"><saml:AuthnContextClassRef xmlns:saml="`+assertionNS+`">urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></samlp:RequestedAuthnContext></samlp:AuthnRequest>`, "sp1")
	says := func(a *accepted) {
		a.Request.Comparison = "exact"
		a.Request.ClassRefs = []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}
		a.Request.NameIDPolicy = &saml.NameIDPolicy{Format: saml.NameIDFormatEmail, AllowCreate: true}
	}
	g.accept(g.add("lib-node-saml-post", "node-saml: no KeyInfo, prefixes declared again and again", "accepted", postXML(node)), says).shows(node)
	crewjam := g.sign(`<samlp:AuthnRequest xmlns:saml="`+assertionNS+`" xmlns:samlp="`+protocolNS+`" ID="_a1" Version="2.0" IssueInstant="2026-11-22T12:00:00.5Z" Destination="`+corpusAuth+`" AssertionConsumerServiceURL="`+corpusACS+
		`" ProtocolBinding="`+saml.BindingURIPOST+`"><saml:Issuer Format="`+saml.NameIDFormatEntity+`">`+corpusSP+`</saml:Issuer>`+template{keyInfo: keyInfo(g.t, "ds:", "sp1")}.String()+`<samlp:NameIDPolicy Format="`+saml.NameIDFormatTransient+`" AllowCreate="true"/></samlp:AuthnRequest>`, "sp1")
	g.accept(g.add("lib-crewjam-post", "crewjam/saml's service provider", "accepted", postXML(crewjam)), func(a *accepted) {
		a.Request.IssueInstant = a.Request.IssueInstant.Add(500000000)
		a.Request.NameIDPolicy = &saml.NameIDPolicy{Format: saml.NameIDFormatTransient, AllowCreate: true}
	}).shows(crewjam)
}
