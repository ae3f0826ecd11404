package saml_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"vernal/idp/idptest/corpus"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
)

// These users are signed in while package logout's tests send the cases over HTTP, and these
// are the names that the senders were given. Ada's browser carries the messages, and they end
// ada's session or none.
const (
	corpusLogout = "https://idp.example.com/api/saml/logout2026"
	corpusRemote = "https://idp.example.com/api/saml/remotelogout2026"
	corpusSP2    = "https://sp2.example.com/metadata"

	adaName  = "0b6f7a52-3c1d-4e8f-9a2b-5d4c3b2a1f0e" // at sp1
	adaIndex = "_ada-at-sp1"
	adaAtSP2 = "7d9e1c3b-5a4f-4b6d-8e2c-1f0a9b8c7d6e"
	bobName  = "c4d3e2f1-0a9b-4c8d-b7e6-f5a4b3c2d1e0"
	bobIndex = "_bob-at-sp1"
)

// leave returns a minimal LogoutRequest with attributes and children added.
func leave(attrs, children string) string {
	return `<samlp:LogoutRequest xmlns:samlp="` + saml.NamespaceProtocol + `" xmlns:saml="` + saml.NamespaceAssertion +
		`" ID="_a1" Version="2.0" IssueInstant="` + corpusTime + `" Destination="` + corpusLogout + `"` + attrs + `>` +
		`<saml:Issuer>` + corpusSP + `</saml:Issuer>` + children + `</samlp:LogoutRequest>`
}

func persistent(name string) string {
	return `<saml:NameID Format="` + saml.NameIDFormatPersistent + `">` + name + `</saml:NameID>`
}

func index(i string) string { return `<samlp:SessionIndex>` + i + `</samlp:SessionIndex>` }

// leaving returns a LogoutRequest with the children, signed by sp1.
func (g *generator) leaving(children string) string {
	return g.sign(leave("", template{}.String()+children), "sp1")
}

// ada is the content of a request about ada.
var ada = persistent(adaName) + index(adaIndex)

// addLogout adds a case that arrives at this year's logout URL.
func (g *generator) addLogout(name, about, verdict string, in saml.HTTPRequest) *corpusCase {
	g.t.Helper()
	c := g.add("logout-"+name, about, verdict, in)
	c.Endpoint, c.Destination = corpus.Logout, corpusLogout
	return c
}

// remote sends the case to the back channel.
func (c *corpusCase) remote() *corpusCase {
	c.Endpoint, c.Destination = corpus.RemoteLogout, corpusRemote
	return c
}

// acceptLogout states the content of an accepted message (the default, modified by change),
// the status of the answer, and whose session ends.
func (g *generator) acceptLogout(c *corpusCase, status, ends string, change func(*accepted)) *corpusCase {
	at, err := time.Parse(time.RFC3339, corpusTime)
	if err != nil {
		g.t.Fatal(err)
	}
	a := &accepted{Cert: "sp1", Logout: &saml.LogoutRequest{
		Header:         saml.Header{ID: "_a1", IssueInstant: at, Issuer: corpusSP, Destination: corpusLogout, HasDestination: true},
		Subject:        saml.Subject{NameID: &saml.NameID{Value: adaName, Format: saml.NameIDFormatPersistent}},
		SessionIndexes: []string{adaIndex},
	}}
	if change != nil {
		change(a)
	}
	c.AcceptedJSON, c.Status, c.EndedUsers = a.json(g.t), status, strings.Fields(ends)
	return c
}

// logout adds the cases of LogoutRequests.
func (g *generator) logout() {
	g.logoutSignatures()
	g.logoutWrapping()
	g.logoutPlace()
	g.logoutPerson()
	g.logoutEncrypted()
	g.logoutAccepted()
	g.logoutRemote()
	g.logoutSOAP()
}

func (g *generator) logoutSignatures() {
	plain, good := leave("", ada), g.leaving(ada)
	value := signatureRE.FindStringSubmatch(good)[2]
	signature := good[strings.Index(good, "<ds:Signature ") : strings.Index(good, "</ds:Signature>")+len("</ds:Signature>")]
	sign := func(o template, key string) string { return g.sign(leave("", o.String()+ada), key) }
	part := g.sign(leave("", template{uri: "#_a2"}.String()+`<samlp:Extensions>`+strings.Replace(plain, "_a1", "_a2", 1)+`</samlp:Extensions>`+persistent(bobName)), "sp1")
	for _, c := range []struct{ name, about, verdict, xml string }{
		{"unsigned", "no signature", "signature_missing Signature", plain},
		{"wrong-key", "signed with a key that is not registered", "signature_mismatch SignatureValue", sign(template{}, "attacker")},
		{"other-sp", "signed with the key of another service provider", "signature_mismatch SignatureValue", sign(template{}, "sp2")},
		{"attacker-keyinfo", "signed by a stranger, whose certificate is in KeyInfo", "signature_mismatch SignatureValue", sign(template{keyInfo: keyInfo(g.t, "ds:", "attacker")}, "attacker")},
		{"sha1", "rsa-sha1", "signature_algorithm SignatureMethod Algorithm", sign(template{method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}, "sp1")},
		{"sha1-digest", "digest SHA-1", "digest_algorithm DigestMethod Algorithm", sign(template{digest: "http://www.w3.org/2000/09/xmldsig#sha1"}, "sp1")},
		{"sha512", "rsa-sha512", "signature_algorithm SignatureMethod Algorithm", sign(template{method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"}, "sp1")},
		{"hmac", "HMAC", "signature_algorithm SignatureMethod Algorithm", sign(template{method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"}, "hmac")},
		{"part", "a signature over a part of the message", "signature_reference Reference URI", part},
		{"reference-empty", "an empty Reference URI", "signature_reference Reference URI", sign(template{hasURI: true}, "sp1")},
		{"value-empty", "an empty SignatureValue", "signature_base64 SignatureValue", strings.Replace(good, value, "", 1)},
		{"value-cut", "half a SignatureValue", "signature_mismatch SignatureValue", strings.Replace(good, value, strings.Repeat("A", 172), 1)},
		{"in-extensions", "the Signature within Extensions", "signature_shape Signature", strings.Replace(good, signature, "<samlp:Extensions>"+signature+"</samlp:Extensions>", 1)},
		{"twice", "two Signatures", "signature_twice Signature", strings.Replace(good, signature, signature+signature, 1)},
		{"name-changed", "another person's name put in after signing", "digest_mismatch DigestValue", strings.Replace(good, adaName, bobName, 1)},
		{"index-changed", "another SessionIndex put in after signing", "digest_mismatch DigestValue", strings.Replace(good, adaIndex, bobIndex, 1)},
		{"index-removed", "the SessionIndex taken away after signing", "digest_mismatch DigestValue", strings.Replace(good, index(adaIndex), "", 1)},
		{"extensions-added", "Extensions added after signing", "digest_mismatch DigestValue", strings.Replace(good, persistent(adaName), "<samlp:Extensions/>"+persistent(adaName), 1)},
		{"expiry-removed", "NotOnOrAfter taken away after signing", "digest_mismatch DigestValue", strings.Replace(
			g.sign(leave(` NotOnOrAfter="2026-11-22T11:00:00Z"`, template{}.String()+ada), "sp1"), ` NotOnOrAfter="2026-11-22T11:00:00Z"`, "", 1)},
	} {
		g.addLogout(c.name, c.about, "refused "+c.verdict, postXML(c.xml)).shows(c.xml)
		g.addLogout("remote-"+c.name, c.about, "refused "+c.verdict, postXML(c.xml)).remote().shows(c.xml)
	}
	g.addLogout("weak-key", "a key of 1024 bits", "refused no_certificate KeyDescriptor", postXML(sign(template{}, "weak"))).with("weak")
	g.addLogout("no-certificate", "a sender without certificates", "refused no_certificate KeyDescriptor", postXML(good)).with()
	g.logoutDetached(plain, good)
}

func (g *generator) logoutDetached(plain, good string) {
	signed := g.detached(plain, detached{relay: "a+b"})
	other := "SAMLRequest=" + url.QueryEscape(b64(deflated(strings.Replace(plain, adaName, bobName, 1))))
	parts := strings.Split(signed, "&")
	for _, c := range []struct{ name, about, verdict, query string }{
		{"redirect-unsigned", "no signature", "signature_missing Signature", getXML(plain).RawQuery},
		{"redirect-wrong-key", "signed with a key that is not registered", "signature_mismatch Signature", g.detached(plain, detached{relay: "-", key: "attacker"})},
		{"redirect-other-sp", "signed with the key of another service provider", "signature_mismatch Signature", g.detached(plain, detached{relay: "-", key: "sp2"})},
		{"redirect-sha1", "rsa-sha1", "signature_algorithm SigAlg", g.detached(plain, detached{relay: "-", alg: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"})},
		{"redirect-no-signature", "SigAlg without Signature", "signature_parameters Signature", strings.Join(parts[:3], "&")},
		{"redirect-no-sigalg", "Signature without SigAlg", "signature_parameters SigAlg", parts[0] + "&" + parts[3]},
		{"redirect-part", "RelayState added to what was signed", "signature_mismatch Signature", g.detached(plain, detached{relay: "-"}) + "&RelayState=x"},
		{"redirect-message-changed", "a signature over another person's request", "signature_mismatch Signature", other + "&" + strings.Join(parts[1:], "&")},
		{"redirect-message-twice", "a second message beside the signed one", "parameter_twice SAMLRequest", other + "&" + signed},
		{"redirect-both-signatures", "a signature in the XML and one in the query", "signature_twice Signature", g.detached(good, detached{relay: "-"})},
		{"redirect-relay-too-long", "RelayState of 2,049 bytes", "relay_state_too_long RelayState", g.detached(plain, detached{relay: strings.Repeat("r", 2049)})},
	} {
		g.addLogout(c.name, c.about, "refused "+c.verdict, get(c.query))
	}
}

// logoutWrapping adds XSW 1 to 8 with a LogoutRequest in place of the Assertion. The signed
// part names ada, and the surrounding part names bob.
func (g *generator) logoutWrapping() {
	signed := g.leaving(ada)
	from, to := strings.Index(signed, "<ds:Signature "), strings.Index(signed, "</ds:Signature>")+len("</ds:Signature>")
	signature, bare := signed[from:to], signed[:from]+signed[to:]
	evil := func(id, before string) string {
		return strings.Replace(leave("", before+persistent(bobName)), "_a1", id, 1)
	}
	within := func(inner string) string {
		return strings.Replace(signature, "</ds:Signature>", inner+"</ds:Signature>", 1)
	}
	extensions := func(inner string) string { return "<samlp:Extensions>" + inner + "</samlp:Extensions>" }
	for _, c := range []struct{ name, about, verdict, xml string }{
		{"xsw1", "XSW 1: the signed request within the Signature of another one", "signature_shape Signature", evil("_evil", within(bare))},
		{"xsw2", "XSW 2: the signed request after its Signature, both within another one", "signature_reference Reference URI", evil("_evil", signature+bare)},
		{"xsw3", "XSW 3: the signed request with its Signature, first within another one", "signature_shape Signature", strings.Replace(evil("_evil", ""), "<saml:Issuer>", signed+"<saml:Issuer>", 1)},
		{"xsw4", "XSW 4: the signed request with its Signature, within another one", "signature_shape Signature", evil("_evil", signed)},
		{"xsw5", "XSW 5: another request with the Signature, the signed one after it", "signature_reference Reference URI", evil("_evil", signature+extensions(bare))},
		{"xsw6", "XSW 6: as 5, the signed request within the Signature", "signature_shape Signature", evil("_evil", strings.Replace(signature, "</ds:SignedInfo>", "</ds:SignedInfo>"+bare, 1))},
		{"xsw7", "XSW 7: the signed request within Extensions, with the same ID as the other one", "signature_shape Signature", evil("_a1", extensions(signed))},
		{"xsw8", "XSW 8: the signed request within an Object of the Signature, with the same ID as the other one", "signature_reference ID", evil("_a1", within("<ds:Object>"+bare+"</ds:Object>"))},
		{"xsw-same-id", "the Signature in another request with the same ID, the signed one beside it", "signature_reference ID", evil("_a1", signature+extensions(bare))},
		{"xsw-own-signature", "a request with a Signature of its own that wraps the signed one", "signature_twice Signature", evil("_evil", signature+extensions(signed))},
		{"xsw-root", "the signed request within an element of no meaning", "issuer_invalid Issuer", "<a>" + signed + "</a>"},
		{"xsw-authn", "the signed request within an AuthnRequest", "signature_shape Signature", strings.Replace(request("", extensions(signed)), "_a1", "_evil", 1)},
		{"xsw-name", "the signed request within another one's NameID", "signature_shape Signature", strings.Replace(leave("", persistent(bobName+signed)), "_a1", "_evil", 1)},
	} {
		g.addLogout(c.name, c.about, "refused "+c.verdict, postXML(c.xml)).shows(c.xml)
		g.addLogout("remote-"+c.name, c.about, "refused "+c.verdict, postXML(c.xml)).remote()
	}
}

// logoutPlace adds cases about the place and time of a message, and its type.
func (g *generator) logoutPlace() {
	signed := func(from, to string) string {
		return g.sign(strings.Replace(leave("", template{}.String()+ada), from, to, 1), "sp1")
	}
	authn := g.signed(template{}, "")
	for _, c := range []struct{ name, about, verdict, xml string }{
		{"destination-auth", "meant for the sign-in address", "destination Destination", signed(corpusLogout, corpusAuth)},
		{"destination-remote", "meant for the back channel", "destination Destination", signed(corpusLogout, corpusRemote)},
		{"destination-year", "meant for another year", "destination Destination", signed(corpusLogout, "https://idp.example.com/api/saml/logout2025")},
		{"destination-host", "meant for another identity provider", "destination Destination", signed(corpusLogout, "https://idp.example.net/api/saml/logout2026")},
		{"instant-old", "an IssueInstant more than five minutes and the skew ago", "issue_instant_old IssueInstant", signed(corpusTime, "2026-11-22T11:54:01Z")},
		{"instant-future", "an IssueInstant more than a minute ahead", "issue_instant_future IssueInstant", signed(corpusTime, "2026-11-22T12:01:03Z")},
		{"instant-missing", "no IssueInstant", "issue_instant_invalid IssueInstant", signed(` IssueInstant="`+corpusTime+`"`, "")},
		{"expired", "NotOnOrAfter more than the skew ago", "not_on_or_after NotOnOrAfter", signed(` Version=`, ` NotOnOrAfter="2026-11-22T11:59:02Z" Version=`)},
		{"expiry-invalid", "NotOnOrAfter is no time", "not_on_or_after NotOnOrAfter", signed(` Version=`, ` NotOnOrAfter="never" Version=`)},
		{"version", "Version 1.1", "version Version", signed(`"2.0"`, `"1.1"`)},
		{"id-missing", "no ID", "signature_reference Reference URI", strings.Replace(g.leaving(ada), ` ID="_a1"`, "", 1)},
		{"type-authn", "an AuthnRequest", "message_type SAMLRequest", authn},
		{"type-namespace", "a LogoutRequest of another namespace", "message_type SAMLRequest", g.sign(strings.Replace(leave("", template{}.String()+ada), saml.NamespaceProtocol, "urn:x", 1), "sp1")},
		{"doctype", "a document type", "xml_invalid SAMLRequest", `<!DOCTYPE samlp:LogoutRequest [<!ENTITY who "` + bobName + `">]>` + g.leaving(ada)},
	} {
		g.addLogout(c.name, c.about, "refused "+c.verdict, postXML(c.xml)).shows(c.xml)
	}
	at := g.add("type-logout-signed", "a signed LogoutRequest at the sign-in address", "refused message_type SAMLRequest", postXML(signed(corpusLogout, corpusAuth)))
	at.shows(signed(corpusLogout, corpusAuth))
	at = g.add("type-logout-redirect", "a signed LogoutRequest at the sign-in address", "refused message_type SAMLRequest", get(g.detached(leave("", ada), detached{relay: "-"})))
	at.shows(leave("", ada))
	g.addLogout("type-authn-redirect", "an AuthnRequest", "refused message_type SAMLRequest", get(g.detached(request("", ""), detached{relay: "-"}))).shows(request("", ""))
	g.addLogout("remote-type-authn", "an AuthnRequest", "refused message_type SAMLRequest", postXML(authn)).remote().shows(authn)
	front := g.leaving(ada)
	g.addLogout("remote-destination", "meant for the browsers' address", "refused destination Destination", postXML(front)).remote().shows(front)
}

// encrypt has xmlsec1 encrypt a document to a certificate of testdata/keys.
func (g *generator) encrypt(plain, cert, mode, keyTransport string) string {
	g.t.Helper()
	const enc = "http://www.w3.org/2001/04/xmlenc#"
	dir := g.t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			g.t.Fatal(err)
		}
		return path
	}
	template := `<EncryptedData xmlns="` + enc + `" Type="` + enc + `Element"><EncryptionMethod Algorithm="` + mode + `"/>` +
		`<KeyInfo xmlns="` + xmldsig.Namespace + `"><EncryptedKey xmlns="` + enc + `"><EncryptionMethod Algorithm="` + enc + keyTransport + `"/>` +
		`<CipherData><CipherValue/></CipherData></EncryptedKey></KeyInfo><CipherData><CipherValue/></CipherData></EncryptedData>`
	out, err := exec.CommandContext(g.t.Context(), "xmlsec1", "--encrypt", "--pubkey-cert-pem", strings.TrimSuffix(corpus.KeyFile(g.t, cert), "key")+"crt",
		"--session-key", "aes-256", "--xml-data", write("plain.xml", plain), write("template.xml", template)).Output()
	if err != nil {
		g.t.Fatal(err)
	}
	_, doc, _ := strings.Cut(string(out), "?>")
	return `<saml:EncryptedID>` + strings.ReplaceAll(strings.TrimSpace(doc), "\n", "") + `</saml:EncryptedID>`
}
