package saml_test

import (
	"strings"

	"vernal/idp/saml"
)

// logoutPerson adds correctly signed requests that name no user, two users, or a user that two
// readers would read differently.
func (g *generator) logoutPerson() {
	for _, c := range []struct{ name, about, verdict, children string }{
		{"name-comment", "a comment in the NameID", "xml_invalid SAMLRequest", persistent(adaName[:8] + "<!-- -->" + adaName[8:])},
		{"name-instruction", "a processing instruction in the NameID", "xml_invalid SAMLRequest", persistent(adaName[:8] + "<?x y?>" + adaName[8:])},
		{"name-element", "an element within the NameID", "name_id_invalid NameID", persistent(adaName + "<b>x</b>")},
		{"name-missing", "nobody", "name_id_invalid NameID", index(adaIndex)},
		{"name-empty", "an empty NameID", "name_id_invalid NameID", persistent(" ")},
		{"name-long", "a NameID of 1,025 bytes", "name_id_invalid NameID", persistent(strings.Repeat("x", 1025))},
		{"name-twice", "two people", "name_id_invalid NameID", persistent(adaName) + persistent(bobName)},
		{"name-same-twice", "one person twice", "name_id_invalid NameID", persistent(adaName) + persistent(adaName)},
		{"name-namespace", "a NameID of no namespace", "value_invalid LogoutRequest", `<NameID>` + adaName + `</NameID>`},
		{"name-protocol", "a NameID of the protocol namespace", "value_invalid LogoutRequest", `<samlp:NameID>` + adaName + `</samlp:NameID>`},
		{"name-in-extensions", "a NameID within Extensions", "name_id_invalid NameID", `<samlp:Extensions>` + persistent(adaName) + `</samlp:Extensions>`},
		{"name-base", "a BaseID", "value_invalid LogoutRequest", `<saml:BaseID/>`},
		{"name-subject", "a Subject", "value_invalid LogoutRequest", `<saml:Subject>` + persistent(adaName) + `</saml:Subject>`},
		{"index-comment", "a comment in the SessionIndex", "xml_invalid SAMLRequest", persistent(adaName) + index(adaIndex+"<!-- -->")},
		{"index-instruction", "a processing instruction in the SessionIndex", "xml_invalid SAMLRequest", persistent(adaName) + index(adaIndex+"<?x y?>")},
		{"index-element", "an element within the SessionIndex", "session_index SessionIndex", persistent(adaName) + index(adaIndex+"<b>x</b>")},
		{"index-long", "a SessionIndex of 257 bytes", "session_index SessionIndex", persistent(adaName) + index(strings.Repeat("x", 257))},
		{"index-many", "33 SessionIndexes", "session_index SessionIndex", persistent(adaName) + manyIndexes(33)},
		{"index-namespaces", "SessionIndexes in both namespaces", "session_index SessionIndex", persistent(adaName) + index(adaIndex) + `<saml:SessionIndex>` + bobIndex + `</saml:SessionIndex>`},
		{"index-namespace", "a SessionIndex of another namespace", "value_invalid LogoutRequest", persistent(adaName) + `<x:SessionIndex xmlns:x="urn:x">` + adaIndex + `</x:SessionIndex>`},
		{"index-no-namespace", "a SessionIndex of no namespace", "value_invalid LogoutRequest", persistent(adaName) + `<SessionIndex>` + adaIndex + `</SessionIndex>`},
		{"index-prefix-rebound", "a SessionIndex whose prefix is bound to something else there", "value_invalid LogoutRequest", persistent(adaName) + `<samlp:SessionIndex xmlns:samlp="urn:x">` + adaIndex + `</samlp:SessionIndex>`},
		{"issuer-twice", "two Issuers", "issuer_invalid Issuer", `<saml:Issuer>` + corpusSP2 + `</saml:Issuer>` + ada},
		{"extensions-twice", "two Extensions", "value_invalid LogoutRequest", `<samlp:Extensions/><samlp:Extensions/>` + ada},
		{"text", "text between the elements", "value_invalid LogoutRequest", persistent(adaName) + adaName},
		{"request-within", "a LogoutRequest within", "value_invalid LogoutRequest", ada + `<samlp:LogoutRequest/>`},
	} {
		doc := g.leaving(c.children)
		g.addLogout(c.name, c.about, "refused "+c.verdict, postXML(doc)).shows(doc)
	}
	good := g.leaving(ada)
	doc := strings.Replace(good, adaName, adaName[:8]+"&who;"+adaName[8:], 1)
	g.addLogout("name-entity", "an entity that nobody declared in the NameID", "refused xml_invalid SAMLRequest", postXML(doc)).shows(doc)
	doc = strings.Replace(good, adaName, "<!--"+bobName+"-->"+adaName, 1)
	g.addLogout("name-comment-added", "a comment put into the NameID after signing, which the signature does not cover", "refused xml_invalid SAMLRequest", postXML(doc)).shows(doc)
	doc = strings.Replace(good, adaIndex, adaIndex[:4]+"<!---->"+adaIndex[4:], 1)
	g.addLogout("index-comment-added", "a comment put into the SessionIndex after signing, which the signature does not cover", "refused xml_invalid SAMLRequest", postXML(doc)).shows(doc)
	doc = strings.Replace(good, ` ID="_a1"`, ` ID="_a1" ID="_a2"`, 1)
	g.addLogout("id-twice", "two IDs", "refused xml_invalid SAMLRequest", postXML(doc)).shows(doc)
	doc = strings.Replace(good, `<samlp:SessionIndex>`, `<samlp:SessionIndex ID="_a1">`, 1)
	g.addLogout("id-doubled", "the root's ID a second time", "refused signature_reference ID", postXML(doc)).shows(doc)
}

const (
	aes256CBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
	aes256GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
	oaep      = "rsa-oaep-mgf1p"
	pkcs1     = "rsa-1_5"
)

// logoutEncrypted adds requests with an EncryptedID.
func (g *generator) logoutEncrypted() {
	person := func(name string) string {
		return strings.Replace(persistent(name), "<saml:NameID", `<saml:NameID xmlns:saml="`+saml.NamespaceAssertion+`"`, 1)
	}
	good := g.encrypt(person(adaName), "idp", aes256CBC, oaep)
	refused := "encrypted_id EncryptedID"
	for _, c := range []struct{ name, about, verdict, children string }{
		{"other-key", "an EncryptedID to another's key", refused, g.encrypt(person(adaName), "sp2", aes256CBC, oaep)},
		{"pkcs1", "an EncryptedID whose key is encrypted with PKCS #1 v1.5", refused, g.encrypt(person(adaName), "idp", aes256CBC, pkcs1)},
		{"nothing", "an empty EncryptedID", refused, `<saml:EncryptedID/>`},
		{"other-element", "an EncryptedID with another element in it", refused, g.encrypt(strings.ReplaceAll(person(adaName), "NameID", "Issuer"), "idp", aes256CBC, oaep)},
		{"comment", "an EncryptedID with a comment in the name", refused, g.encrypt(person(adaName+"<!-- -->"), "idp", aes256CBC, oaep)},
		{"nested", "an EncryptedID within an EncryptedID", refused, g.encrypt(strings.Replace(good, "<saml:EncryptedID", `<saml:EncryptedID xmlns:saml="`+saml.NamespaceAssertion+`"`, 1), "idp", aes256CBC, oaep)},
		{"and-clear", "a NameID beside the EncryptedID", "name_id_invalid NameID", good + persistent(bobName)},
		{"twice", "two EncryptedIDs", "name_id_invalid NameID", good + good},
	} {
		doc := g.leaving(c.children)
		g.addLogout("encrypted-"+c.name, c.about, "refused "+c.verdict, postXML(doc)).shows(doc)
	}
	doc := leave("", good)
	g.addLogout("encrypted-unsigned", "an EncryptedID and no signature", "refused signature_missing Signature", postXML(doc)).shows(doc)
	doc = strings.Replace(g.leaving(good), good, g.encrypt(person(bobName), "idp", aes256CBC, oaep), 1)
	g.addLogout("encrypted-changed", "another EncryptedID put in after signing", "refused digest_mismatch DigestValue", postXML(doc)).shows(doc)
	for _, c := range []struct{ name, about, id string }{
		{"cbc", "an EncryptedID, AES-256-CBC", good},
		{"gcm", "an EncryptedID, AES-256-GCM", g.encrypt(person(adaName), "idp", aes256GCM, oaep)},
	} {
		doc := g.leaving(c.id + index(adaIndex))
		g.acceptLogout(g.addLogout("encrypted-"+c.name, c.about, "accepted", postXML(doc)).shows(doc), "Success", "ada", nil)
	}
	doc = g.leaving(g.encrypt(person(bobName), "idp", aes256CBC, oaep))
	g.acceptLogout(g.addLogout("encrypted-bob", "an EncryptedID of another person than the browser's", "accepted", postXML(doc)).shows(doc), "UnknownPrincipal", "", func(a *accepted) {
		a.Logout.NameID.Value, a.Logout.SessionIndexes = bobName, nil
	})
}

// logoutAccepted adds requests that end sessions or are answered.
func (g *generator) logoutAccepted() {
	indexes := func(all ...string) func(*accepted) {
		return func(a *accepted) { a.Logout.SessionIndexes = all }
	}
	name := func(value string, all ...string) func(*accepted) {
		return func(a *accepted) { a.Logout.NameID.Value, a.Logout.SessionIndexes = value, all }
	}
	const success, unknown = "Success", "UnknownPrincipal"
	for _, c := range []struct {
		name, about, status, ends, children string
		change                              func(*accepted)
	}{
		{"plain", "as it should be", success, "ada", ada, nil},
		{"no-index", "without a SessionIndex", success, "ada", persistent(adaName), indexes()},
		{"index-empty", "an empty SessionIndex, which is as good as none", success, "ada", persistent(adaName) + index(" "), indexes()},
		{"several-indexes", "several SessionIndexes, one of them this session's", success, "ada", ada + index("_other") + index(adaIndex), indexes(adaIndex, "_other")},
		{"guide-index", "the SessionIndex in the assertion namespace", success, "ada", `<saml:SessionIndex>` + adaIndex + `</saml:SessionIndex>` + persistent(adaName), nil},
		{"index-default-namespace", "the SessionIndex without a prefix", success, "ada", persistent(adaName) + `<SessionIndex xmlns="` + saml.NamespaceProtocol + `">` + adaIndex + `</SessionIndex>`, nil},
		{"cdata", "NameID and SessionIndex in CDATA sections", success, "ada", persistent("<![CDATA["+adaName+"]]>") + index("<![CDATA["+adaIndex+"]]>"), nil},
		{"spaces", "white space around NameID and SessionIndex", success, "ada", persistent("\n "+adaName+"\n") + index(" "+adaIndex+" "), nil},
		{"extensions", "the Asynchronous extension", success, "ada", `<samlp:Extensions><aslo:Asynchronous xmlns:aslo="urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo"/></samlp:Extensions>` + ada, nil},
		{"index-in-extensions", "a SessionIndex within Extensions, which is ignored", success, "ada", `<samlp:Extensions>` + index(bobIndex) + `</samlp:Extensions>` + ada, nil},
		{"bob", "another person than the browser's", unknown, "", persistent(bobName) + index(bobIndex), name(bobName, bobIndex)},
		{"bobs-index", "the browser's person with another's SessionIndex", unknown, "", persistent(adaName) + index(bobIndex), indexes(bobIndex)},
		{"bob-adas-index", "another person with the SessionIndex of the browser's", unknown, "", persistent(bobName) + index(adaIndex), name(bobName, adaIndex)},
		{"index-unknown", "a SessionIndex that was never issued", unknown, "", persistent(adaName) + index("_never"), indexes("_never")},
		{"index-uuid", "the UUID as SessionIndex", success, "ada", persistent(adaName) + index(adaName), indexes(adaName)},
		{"other-sps-name", "the name by which another service provider knows the person", unknown, "", persistent(adaAtSP2), name(adaAtSP2)},
		{"unknown user", "nobody's name", unknown, "", persistent("nobody"), name("nobody")},
		{"capitals", "the name in capitals", unknown, "", persistent(strings.ToUpper(adaName)), name(strings.ToUpper(adaName))},
		{"address", "an address, from a sender who is not given addresses", unknown, "", persistent("ada@example.gov"), name("ada@example.gov")},
	} {
		doc := g.leaving(c.children)
		g.acceptLogout(g.addLogout(c.name, c.about, "accepted", postXML(doc)).shows(doc), c.status, c.ends, c.change)
	}
	plain, good, long := leave("", ada), g.leaving(ada), strings.Repeat("r", 2048)
	for _, c := range []struct {
		name, about string
		in          saml.HTTPRequest
		relay       *string
	}{
		{"redirect", "HTTP-Redirect with a detached signature", get(g.detached(plain, detached{relay: "-"})), nil},
		{"redirect-relay", "HTTP-Redirect with the longest RelayState", get(g.detached(plain, detached{relay: long})), &long},
		{"redirect-embedded", "HTTP-Redirect with the signature in the XML", getXML(good), nil},
		{"post-deflated", "HTTP-POST with DEFLATE", postXML(deflated(good)), nil},
	} {
		g.acceptLogout(g.addLogout(c.name, c.about, "accepted", c.in), "Success", "ada", func(a *accepted) { a.RelayState = c.relay })
	}
	g.logoutOfSP2()
}

// logoutOfSP2 adds messages of another service provider about a user known to both.
func (g *generator) logoutOfSP2() {
	send := func(name, about, ends, status, who, at string) {
		doc := strings.Replace(leave("", template{}.String()+persistent(who)+index(at)), corpusSP, corpusSP2, 1)
		doc = g.sign(doc, "sp2")
		g.acceptLogout(g.addLogout(name, about, "accepted", postXML(doc)).with("sp2").shows(doc), status, ends, func(a *accepted) {
			a.Cert, a.Logout.Issuer = "sp2", corpusSP2
			a.Logout.NameID.Value, a.Logout.SessionIndexes = who, []string{at}
		})
	}
	send("sp2", "another service provider about its own session", "ada", "Success", adaAtSP2, "_ada-at-sp2")
	send("sp2-name", "another service provider by the name that the first was told", "", "UnknownPrincipal", adaName, "_ada-at-sp2")
	send("sp2-index", "another service provider by the SessionIndex that the first was told", "", "UnknownPrincipal", adaAtSP2, adaIndex)
}

// logoutRemote adds messages that arrive as a form on the back channel.
func (g *generator) logoutRemote() {
	const success, unknown = "Success", "UnknownPrincipal"
	remote := func(children string) string {
		return g.sign(strings.Replace(leave("", template{}.String()+children), corpusLogout, corpusRemote, 1), "sp1")
	}
	for _, c := range []struct {
		name, about, status, ends, who string
		indexes                        []string
	}{
		{"plain", "by the SessionIndex that was issued", success, "ada", adaName, []string{adaIndex}},
		{"name", "by the NameID", success, "ada", adaName, nil},
		{"uuid", "by the UUID as SessionIndex", success, "ada", adaName, []string{adaName}},
		{"uuid-other-name", "by the UUID as SessionIndex, whatever the NameID", success, "ada", "whoever", []string{adaName}},
		{"uuid-and-index", "by the UUID and a SessionIndex", success, "ada", adaName, []string{"_over", adaName}},
		{"bobs-index", "a person with another's SessionIndex", success, "", adaName, []string{bobIndex}},
		{"index-nobody", "a SessionIndex that was issued, for nobody", unknown, "", "whoever", []string{adaIndex}},
		{"two-uuids", "two people's UUIDs, for nobody", unknown, "", "whoever", []string{adaName, bobName}},
		{"other-sps-uuid", "the UUID that another service provider was told", unknown, "", "whoever", []string{adaAtSP2}},
		{"unknown user", "nobody", unknown, "", "nobody", nil},
		{"address", "an address, from a sender who is not given addresses", unknown, "", "ada@example.gov", nil},
	} {
		children := persistent(c.who)
		for _, i := range c.indexes {
			children += index(i)
		}
		doc := remote(children)
		g.acceptLogout(g.addLogout("remote-"+c.name, c.about, "accepted", postXML(doc)).remote().shows(doc), c.status, c.ends, func(a *accepted) {
			a.Logout.Destination, a.Logout.NameID.Value, a.Logout.SessionIndexes = corpusRemote, c.who, c.indexes
		})
	}
}

// logoutSOAP adds messages that arrive by SOAP: valid envelopes, and envelopes that two
// readers read differently.
func (g *generator) logoutSOAP() {
	const ns = ` xmlns:S="` + saml.NamespaceSOAP + `"`
	message := g.sign(strings.Replace(leave("", template{}.String()+ada), corpusLogout, corpusRemote, 1), "sp1")
	evil := func(id, signature string) string {
		return strings.Replace(strings.Replace(leave("", signature+persistent(bobName)), corpusLogout, corpusRemote, 1), "_a1", id, 1)
	}
	signature := message[strings.Index(message, "<ds:Signature ") : strings.Index(message, "</ds:Signature>")+len("</ds:Signature>")]
	envelope := func(header, body string) string {
		return `<S:Envelope` + ns + `>` + header + `<S:Body>` + body + `</S:Body></S:Envelope>`
	}
	soap := func(doc string) saml.HTTPRequest {
		return saml.HTTPRequest{Method: "POST", ContentType: "text/xml", Body: []byte(doc)}
	}
	header := func(inner string) string { return `<S:Header>` + inner + `</S:Header>` }
	for _, c := range []struct{ name, about, verdict, xml string }{
		{"unsigned", "no signature", "signature_missing Signature", envelope("", evil("_a1", ""))},
		{"two-messages", "a second message in the Body", "value_invalid Body", envelope("", message+evil("_evil", ""))},
		{"two-messages-first", "a second message in the Body, before the signed one", "value_invalid Body", envelope("", evil("_evil", "")+message)},
		{"two-bodies", "a second Body", "value_invalid Envelope", `<S:Envelope` + ns + `><S:Body>` + message + `</S:Body><S:Body>` + evil("_evil", "") + `</S:Body></S:Envelope>`},
		{"header-signed", "the signed message in the Header, another one in the Body", "signature_missing Signature", envelope(header(message), evil("_evil", ""))},
		{"header-referred", "the signed message in the Header, its Signature in another one in the Body", "signature_reference Reference URI", envelope(header(strings.Replace(message, signature, "", 1)), evil("_evil", signature))},
		{"header-same-id", "the signed message in the Header, its Signature in one with the same ID in the Body", "digest_mismatch DigestValue", envelope(header(strings.Replace(message, signature, "", 1)), evil("_a1", signature))},
		{"body-wrapped", "the signed message within an element of the Body", "issuer_invalid Issuer", envelope("", `<x>`+message+`</x>`)},
		{"nested", "an Envelope within the Body", "issuer_invalid Issuer", envelope("", envelope("", message))},
		{"must-understand", "a Header that must be understood", "value_invalid Header", envelope(header(`<x xmlns="urn:x" S:mustUnderstand="1"/>`), message)},
		{"soap12", "SOAP 1.2", "message_type Envelope", strings.ReplaceAll(envelope("", message), saml.NamespaceSOAP, "http://www.w3.org/2003/05/soap-envelope")},
		{"no-envelope", "no Envelope", "message_type Envelope", message},
		{"empty", "an empty Body", "request_missing Body", envelope("", "")},
		{"text", "text in the Body", "value_invalid Body", envelope("", adaName+message)},
		{"comment", "a comment in the Body", "xml_invalid Envelope", envelope("", "<!-- -->"+message)},
		{"doctype", "a document type", "xml_invalid Envelope", `<!DOCTYPE S:Envelope [<!ENTITY a "b">]>` + envelope("", message)},
		{"prefix-rebound", "a prefix of the message bound to something else by the Envelope alone", "issuer_invalid Issuer", strings.Replace(envelope("", strings.Replace(message, ` xmlns:saml="`+saml.NamespaceAssertion+`"`, "", 1)), ns, ns+` xmlns:saml="urn:x"`, 1)},
		{"authn", "an AuthnRequest", "message_type SAMLRequest", envelope("", g.signed(template{}, ""))},
		{"destination", "meant for the browsers' address", "destination Destination", envelope("", g.leaving(ada))},
	} {
		g.addLogout("soap-"+c.name, c.about, "refused "+c.verdict, soap(c.xml)).remote()
	}
	for _, c := range []struct{ name, about, xml string }{
		{"plain", "as it should be", envelope("", message)},
		{"header", "a Header that need not be understood", `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + envelope(header(`<x xmlns="urn:x" S:mustUnderstand="0"/>`), "\n"+message+"\n")},
		{"namespace", "a namespace of the message that the Envelope declares", strings.Replace(envelope("", strings.Replace(message, ` xmlns:saml="`+saml.NamespaceAssertion+`"`, "", 1)), ns, ns+` xmlns:saml="`+saml.NamespaceAssertion+`"`, 1)},
	} {
		g.acceptLogout(g.addLogout("soap-"+c.name, c.about, "accepted", soap(c.xml)).remote(), "Success", "ada", func(a *accepted) {
			a.Logout.Destination = corpusRemote
		})
	}
}
