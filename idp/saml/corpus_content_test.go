package saml_test

import (
	"strings"
	"time"

	"vernal/idp/saml"
)

// content adds cases about the content of an unsigned request.
func (g *generator) content() {
	for _, c := range []struct{ name, about, verdict, xml string }{
		{"type-logout", "a LogoutRequest", "message_type SAMLRequest", strings.ReplaceAll(request("", ""), "AuthnRequest", "LogoutRequest")},
		{"type-response", "a Response", "message_type SAMLRequest", strings.ReplaceAll(request("", ""), "AuthnRequest", "Response")},
		{"type-namespace", "an AuthnRequest of SAML 1.1's namespace", "message_type SAMLRequest", strings.ReplaceAll(request("", ""), protocolNS, "urn:oasis:names:tc:SAML:1.0:protocol")},
		{"type-envelope", "an AuthnRequest within another element", "issuer_invalid Issuer", `<a>` + request("", "") + `</a>`},
		{"id-missing", "no ID", "id_invalid ID", strings.Replace(request("", ""), ` ID="_a1"`, "", 1)},
		{"id-digit", "an ID that begins with a digit", "id_invalid ID", strings.Replace(request("", ""), `"_a1"`, `"1a"`, 1)},
		{"id-colon", "an ID with a colon", "id_invalid ID", strings.Replace(request("", ""), `"_a1"`, `"a:b"`, 1)},
		{"id-long", "an ID of 257 bytes", "id_invalid ID", strings.Replace(request("", ""), `"_a1"`, `"`+strings.Repeat("a", 257)+`"`, 1)},
		{"version-1", "Version 1.1", "version Version", strings.Replace(request("", ""), `"2.0"`, `"1.1"`, 1)},
		{"version-missing", "no Version", "version Version", strings.Replace(request("", ""), ` Version="2.0"`, "", 1)},
		{"instant-missing", "no IssueInstant", "issue_instant_invalid IssueInstant", strings.Replace(request("", ""), ` IssueInstant="`+corpusTime+`"`, "", 1)},
		{"instant-date", "an IssueInstant that is a date", "issue_instant_invalid IssueInstant", at("2026-11-22")},
		{"instant-old", "an IssueInstant more than five minutes and the skew ago", "issue_instant_old IssueInstant", at("2026-11-22T11:54:01Z")},
		{"instant-future", "an IssueInstant more than a minute ahead", "issue_instant_future IssueInstant", at("2026-11-22T12:01:03Z")},
		{"instant-years-ahead", "an IssueInstant ten years ahead", "issue_instant_future IssueInstant", at("2036-11-22T12:00:00Z")},
		{"issuer-missing", "no Issuer", "issuer_invalid Issuer", strings.Replace(request("", ""), "<saml:Issuer>"+corpusSP+"</saml:Issuer>", "", 1)},
		{"issuer-empty", "an empty Issuer", "issuer_invalid Issuer", strings.Replace(request("", ""), corpusSP, " ", 1)},
		{"issuer-twice", "two Issuers", "issuer_invalid Issuer", request("", "<saml:Issuer>https://attacker.example.net</saml:Issuer>")},
		{"issuer-namespace", "an Issuer of the protocol namespace", "issuer_invalid Issuer", strings.ReplaceAll(request("", ""), "saml:Issuer", "samlp:Issuer")},
		{"issuer-format", "an Issuer with the Format of an address", "issuer_invalid Issuer Format", strings.Replace(request("", ""), "<saml:Issuer", `<saml:Issuer Format="`+saml.NameIDFormatEmail+`"`, 1)},
		{"issuer-nested", "an Issuer with elements within", "issuer_invalid Issuer", strings.Replace(request("", ""), corpusSP, corpusSP+"<a/>", 1)},
		{"issuer-long", "an Issuer of more than 1,024 bytes", "issuer_invalid Issuer", strings.Replace(request("", ""), corpusSP, corpusSP+strings.Repeat("x", 1024), 1)},
		{"destination-host", "the Destination of another host", "destination Destination", to("https://idp.example.net/api/saml/auth2026")},
		{"destination-year", "the Destination of another year", "destination Destination", to("https://idp.example.com/api/saml/auth2025")},
		{"destination-path-case", "a Destination with another case in the path", "destination Destination", to("https://idp.example.com/api/SAML/auth2026")},
		{"destination-http", "the Destination with http", "destination Destination", to("http://idp.example.com:443/api/saml/auth2026")},
		{"destination-user", "a Destination with a user name", "destination Destination", to("https://idp.example.com@attacker.example.net/api/saml/auth2026")},
		{"destination-fragment", "a Destination with a fragment", "destination Destination", to(corpusAuth + "#a")},
		{"destination-yearless-host", "a Destination without a year on another host", "destination Destination", to("https://idp.example.net/api/saml/auth")},
		{"destination-longer", "a Destination that only begins like ours", "destination Destination", to(corpusAuth + "x?a=b")},
		{"acs-index", "an index that is no number", "acs_index AssertionConsumerServiceIndex", withoutACS(request(` AssertionConsumerServiceIndex="-1"`, ""))},
		{"acs-index-large", "an index over 65,535", "acs_index AssertionConsumerServiceIndex", withoutACS(request(` AssertionConsumerServiceIndex="65536"`, ""))},
		{"acs-index-beside-empty", "an index that is no number, beside an empty URL", "acs_index AssertionConsumerServiceIndex", strings.Replace(request(` AssertionConsumerServiceIndex="x"`, ""), corpusACS, "", 1)},
		{"acs-namespaced", "a namespaced AssertionConsumerServiceURL", "value_invalid AuthnRequest", request(` saml:AssertionConsumerServiceURL="https://attacker.example.net"`, "")},
		{"force-authn-invalid", "ForceAuthn is no boolean", "value_invalid ForceAuthn", request(` ForceAuthn="yes"`, "")},
		{"nameidpolicy-twice", "two NameIDPolicy elements", "value_invalid AuthnRequest", request("", "<samlp:NameIDPolicy/><samlp:NameIDPolicy/>")},
		{"context-comparison", "an unknown Comparison", "comparison Comparison", request("", `<samlp:RequestedAuthnContext Comparison="Exact"/>`)},
		{"context-twice", "two RequestedAuthnContext elements", "value_invalid AuthnRequest", request("", "<samlp:RequestedAuthnContext/><samlp:RequestedAuthnContext/>")},
		{"context-declaration", "an AuthnContextDeclRef only", "authn_context_unknown AuthnContextDeclRef", request("", "<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef></samlp:RequestedAuthnContext>")},
		{"context-nested", "elements within an AuthnContextClassRef", "value_invalid AuthnContextClassRef", request("", "<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>urn:x<a/></saml:AuthnContextClassRef></samlp:RequestedAuthnContext>")},
		{"subject-two-names", "a Subject with two names", "subject_invalid Subject", subject("<saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID>")},
		{"subject-name-and-encrypted", "a Subject with a name and an encrypted one", "subject_invalid Subject", subject("<saml:NameID>a</saml:NameID><saml:EncryptedID/>")},
		{"subject-base-id", "a Subject with a BaseID", "subject_invalid Subject", subject("<saml:BaseID/>")},
		{"subject-namespace", "a Subject with a NameID of the protocol namespace", "subject_invalid Subject", subject("<samlp:NameID>a</samlp:NameID>")},
		{"subject-empty-name", "a Subject with an empty name", "subject_invalid Subject NameID", subject("<saml:NameID> </saml:NameID>")},
		{"subject-nested-name", "a Subject whose name holds an element", "subject_invalid Subject NameID", subject("<saml:NameID>a<b/></saml:NameID>")},
		{"subject-long-name", "a Subject with a name of more than 1,024 bytes", "subject_invalid Subject NameID", subject("<saml:NameID>" + strings.Repeat("a", 1025) + "</saml:NameID>")},
		{"subject-text", "a Subject with text in it", "value_invalid Subject", subject("a")},
		{"subject-twice", "two Subjects", "value_invalid AuthnRequest", request("", "<saml:Subject/><saml:Subject/>")},
		{"child-unknown", "an element that no AuthnRequest has", "value_invalid AuthnRequest", request("", "<samlp:AuthnRequest/>")},
		{"child-text", "text between the elements", "value_invalid AuthnRequest", request("", "x")},
	} {
		g.add(c.name, c.about, "refused "+c.verdict, getXML(c.xml)).optional().shows(c.xml)
	}
	g.contentAccepted()
}

// withoutACS removes the AssertionConsumerServiceURL from a request.
func withoutACS(xml string) string {
	return strings.Replace(xml, ` AssertionConsumerServiceURL="`+corpusACS+`"`, "", 1)
}

// subject returns a request with a Subject.
func subject(children string) string {
	return request("", "<saml:Subject>"+children+"</saml:Subject>")
}

func at(instant string) string { return strings.Replace(request("", ""), corpusTime, instant, 1) }

func to(destination string) string {
	return strings.Replace(request("", ""), corpusAuth, destination, 1)
}

func binding(uri string) string { return strings.Replace(request("", ""), saml.BindingURIPOST, uri, 1) }

func (g *generator) contentAccepted() {
	for _, c := range []struct {
		name, about, xml string
		change           func(*accepted)
	}{
		{"instant-oldest", "an IssueInstant as old as is allowed", at("2026-11-22T11:54:02Z"), func(a *accepted) { a.Request.IssueInstant = a.Request.IssueInstant.Add(-6*time.Minute + 2*time.Second) }},
		{"instant-ahead", "an IssueInstant as far ahead as is allowed", at("2026-11-22T12:01:02Z"), func(a *accepted) { a.Request.IssueInstant = a.Request.IssueInstant.Add(62 * time.Second) }},
		{"instant-offset", "an IssueInstant with an offset", at("2026-11-22T07:00:00-05:00"), nil},
		{"instant-no-zone", "an IssueInstant without a zone", at("2026-11-22T12:00:00"), nil},
		{"destination-absent", "no Destination", strings.Replace(request("", ""), ` Destination="`+corpusAuth+`"`, "", 1), noDestination},
		{"destination-empty", "an empty Destination", to(""), noDestination},
		{"destination-port", "the Destination with the default port and capitals in the host", to("https://IDP.example.com:443/api/saml/auth2026"), func(a *accepted) { a.Request.Destination = "https://IDP.example.com:443/api/saml/auth2026" }},
		{"destination-query", "a Destination with a query", to(corpusAuth + "?a=b"), func(a *accepted) { a.Request.Destination = corpusAuth + "?a=b" }},
		{"destination-no-year", "a Destination without a year", to(strings.TrimSuffix(corpusAuth, "2026")), func(a *accepted) { a.Request.Destination = strings.TrimSuffix(corpusAuth, "2026") }},
		{"destination-no-year-query", "a Destination without a year, with a query", to(strings.TrimSuffix(corpusAuth, "2026") + "?locale=es"), func(a *accepted) { a.Request.Destination = strings.TrimSuffix(corpusAuth, "2026") + "?locale=es" }},
		{"binding-redirect", "an answer by HTTP-Redirect", binding(saml.BindingURIRedirect), func(a *accepted) { a.Request.ProtocolBinding = saml.BindingURIRedirect }},
		{"binding-artifact", "an answer by HTTP-Artifact", binding("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"), func(a *accepted) { a.Request.ProtocolBinding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact" }},
		{"unused-odd", "odd values in parts that are never used", strings.Replace(request(` ProviderName="`+strings.Repeat("n", 300)+`" AttributeConsumingServiceIndex="70000" xml:lang="en"`, `<samlp:NameIDPolicy AllowCreate="yes" SPNameQualifier=""/>`), "<saml:Issuer", `<saml:Issuer Format="`+saml.NameIDFormatUnspecified+`"`, 1), func(a *accepted) { a.Request.NameIDPolicy = &saml.NameIDPolicy{} }},
		{"unused-empty", "empty values in parts that are never used", request(` ProviderName="" AttributeConsumingServiceIndex=""`, `<samlp:NameIDPolicy AllowCreate=""/>`), func(a *accepted) { a.Request.NameIDPolicy = &saml.NameIDPolicy{} }},
		{"flags-capitals", "ForceAuthn and IsPassive as .NET writes them", request(` ForceAuthn="True" IsPassive="False"`, ""), func(a *accepted) { a.Request.ForceAuthn = true }},
		{"issuer-spaces", "white space around the Issuer", strings.Replace(request("", ""), corpusSP, "\n  "+corpusSP+"\n", 1), nil},
		{"attribute-unknown", "an attribute that the standard does not know", request(` Extra="1"`, ""), nil},
		{"attribute-xsi", "a schema location, as any element may have", request(` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"`, ""), nil},
		{"flags", "ForceAuthn and IsPassive as numbers", request(` ForceAuthn="1" IsPassive="0"`, ""), func(a *accepted) { a.Request.ForceAuthn = true }},
		{"acs-index-beside-url", "an index beside the URL, which alone counts", request(` AssertionConsumerServiceIndex="1"`, ""), nil},
		{"acs-index-beside-url-odd", "an index that is no number, beside the URL", request(` AssertionConsumerServiceIndex="-1"`, ""), nil},
		{"acs-index-beside-url-empty", "an empty index beside the URL", request(` AssertionConsumerServiceIndex=""`, ""), nil},
		{"acs-index-alone", "an index without a URL", withoutACS(request(` AssertionConsumerServiceIndex="1"`, "")), func(a *accepted) {
			a.Request.ACSURL, a.Request.HasACSURL, a.Request.ACSIndex, a.Request.HasACSIndex = "", false, 1, true
		}},
		{"subject", "a Subject with a name", subject(`<saml:NameID Format="` + saml.NameIDFormatPersistent + `" SPNameQualifier="` + corpusSP + `"> a </saml:NameID>`), func(a *accepted) {
			a.Request.Subject = &saml.Subject{NameID: &saml.NameID{Value: "a", Format: saml.NameIDFormatPersistent, SPNameQualifier: corpusSP}}
		}},
		{"subject-confirmed", "a Subject with a name and ways to confirm it, which are not read", subject(`<saml:SubjectConfirmation Method="urn:x"><saml:NameID>b</saml:NameID></saml:SubjectConfirmation> <saml:NameID>a</saml:NameID><saml:SubjectConfirmation Method="urn:x"/>`), func(a *accepted) {
			a.Request.Subject = &saml.Subject{NameID: &saml.NameID{Value: "a"}}
		}},
		{"subject-no-name", "a Subject with ways to confirm it and no name, which asks for no one", subject(`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:NameID>b</saml:NameID></saml:SubjectConfirmation>`), nil},
		{"subject-empty", "an empty Subject", subject(""), nil},
		{"ignored-parts", "Conditions, Scoping and Extensions, which are ignored, in an odd order", request("", `<samlp:Scoping ProxyCount="0"/><saml:Conditions NotOnOrAfter="2020-01-01T00:00:00Z"/><samlp:Extensions><x xmlns="urn:x" y="z">w</x></samlp:Extensions>`), nil},
		{"context-both", "class and declaration references", request("", ` <samlp:RequestedAuthnContext Comparison="minimum"> <saml:AuthnContextClassRef> urn:a </saml:AuthnContextClassRef><saml:AuthnContextClassRef/><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef> </samlp:RequestedAuthnContext>`), func(a *accepted) {
			a.Request.Comparison, a.Request.ClassRefs, a.Request.DeclRefs = "minimum", []string{"urn:a"}, []string{"urn:x"}
		}},
		{"issuer-cdata", "the Issuer in a CDATA section", strings.Replace(request("", ""), corpusSP, "<![CDATA["+corpusSP+"]]>", 1), nil},
	} {
		g.accept(g.add(c.name, c.about, "accepted", getXML(c.xml)).optional().shows(c.xml), func(a *accepted) {
			a.Cert = ""
			if c.change != nil {
				c.change(a)
			}
		})
	}
}

func noDestination(a *accepted) { a.Request.Destination, a.Request.HasDestination = "", false }
