package saml_test

import (
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf16"

	"vernal/idp"
	"vernal/idp/idptest/corpus"
	"vernal/idp/saml"
)

// wire adds cases about the transport of a message.
func (g *generator) wire() {
	g.leniency()
	g.encoding()
	g.parameters()
	g.detachedQuery()
}

// leniency adds variants that deployed software sends.
func (g *generator) leniency() {
	plain := request("", "")
	embedded := g.signed(template{}, "")
	wrapped := regexp.MustCompile(`.{76}`).ReplaceAllString(b64(embedded), "$0\r\n")
	noPadding := strings.TrimRight(b64(embedded+"\n"), "=")
	unsigned := func(a *accepted) { a.Cert = "" }
	for _, c := range []struct {
		name, about string
		in          saml.HTTPRequest
	}{
		{"wire-redirect-not-deflated", "HTTP-Redirect without DEFLATE", get("SAMLRequest=" + url.QueryEscape(b64(embedded)))},
		{"wire-post-deflated", "HTTP-POST with DEFLATE", postXML(deflated(embedded))},
		{"wire-base64-wrapped", "base64 in lines", post("SAMLRequest", wrapped)},
		{"wire-base64-no-padding", "base64 without padding", post("SAMLRequest", noPadding)},
		{"wire-base64-literal-line-ends", `base64 with line ends that were printed as the characters \r\n`, post("SAMLRequest", strings.ReplaceAll(wrapped, "\r\n", `\r\n`))},
		{"wire-base64-bare-plus", "base64 whose plus signs were not percent-encoded", saml.HTTPRequest{Method: "POST", ContentType: formType, Body: []byte("SAMLRequest=" + b64(embedded+strings.Repeat("\n", 2)))}},
		{"wire-post-in-query", "HTTP-POST with the message in the query", saml.HTTPRequest{Method: "POST", RawQuery: "SAMLRequest=" + url.QueryEscape(b64(embedded))}},
		{"wire-content-type-charset", "a charset in the Content-Type", saml.HTTPRequest{Method: "POST", ContentType: "Application/X-WWW-form-urlencoded; charset=ISO-8859-1", Body: postXML(embedded).Body}},
		{"wire-parameter-unknown", "parameters that we do not know, one with a broken value", get("utm=100%&" + getXML(embedded).RawQuery + "&x")},
		{"wire-parameter-name-encoded", "a percent-encoded parameter name", get("%53AMLRequest=" + url.QueryEscape(b64(deflated(embedded))))},
		{"wire-saml-encoding", "SAMLEncoding names DEFLATE", get(getXML(embedded).RawQuery + "&SAMLEncoding=" + url.QueryEscape(saml.EncodingDeflate))},
	} {
		g.accept(g.add(c.name, c.about, "accepted", c.in), nil)
	}
	g.accept(g.add("wire-locale-prompt", "the extra parameters of the reference", "accepted", get(getXML(embedded).RawQuery+"&locale=es&locale=fr&prompt=create")), func(a *accepted) {
		a.Locale, a.Prompt = "es", "create"
	})
	empty := ""
	g.accept(g.add("relay-empty", "an empty RelayState, which goes back empty", "accepted", get(g.detached(plain, detached{relay: ""}))), func(a *accepted) { a.RelayState = &empty })
	g.accept(g.add("unsigned-optional", "no signature, from a sender who need not sign", "accepted", getXML(plain)).optional(), unsigned)
	g.add("unsigned-required", "no signature, from a sender who must sign", "refused signature_missing Signature", getXML(plain))
	long := strings.Repeat("r", 2048)
	g.accept(g.add("relay-longest", "RelayState of 2,048 bytes", "accepted", get(g.detached(plain, detached{relay: long}))), func(a *accepted) { a.RelayState = &long })
	g.add("relay-too-long", "RelayState of 2,049 bytes", "refused relay_state_too_long RelayState", get(g.detached(plain, detached{relay: long + "r"})))
	g.add("relay-not-utf8", "a RelayState that no page can bring back", "refused parameter_invalid RelayState", get(getXML(plain).RawQuery+"&RelayState=%E9"))
}

// encoding adds messages that cannot be decoded or are too large.
func (g *generator) encoding() {
	plain := request("", "")
	random := make([]byte, 100<<10)
	_, _ = rand.Read(random)
	bomb := deflated("<a>" + strings.Repeat(" ", 128<<10) + "</a>")
	elements := deflated(`<samlp:AuthnRequest xmlns:samlp="` + protocolNS + `">` + strings.Repeat("<a/>", 30000) + `</samlp:AuthnRequest>`)
	deep := strings.Repeat("<samlp:Extensions>", 5000) + strings.Repeat("</samlp:Extensions>", 5000)
	utf16le := "\xFF\xFE"
	for _, u := range utf16.Encode([]rune(strings.Replace(plain, "<", `<?xml version="1.0" encoding="UTF-16"?><`, 1))) {
		utf16le += string([]byte{byte(u), byte(u >> 8)})
	}
	for _, c := range []struct {
		name, about string
		code        idp.RefusalCode
		in          saml.HTTPRequest
	}{
		{"enc-missing", "no SAMLRequest", idp.RefusedRequestMissing, get("RelayState=x")},
		{"enc-empty", "an empty SAMLRequest", idp.RefusedRequestMissing, get("SAMLRequest=")},
		{"enc-blank", "a SAMLRequest of white space", idp.RefusedRequestMissing, get("SAMLRequest=%20%0A")},
		{"enc-base64", "not base64", idp.RefusedBase64, get("SAMLRequest=%3Csamlp%3AAuthnRequest%3E")},
		{"enc-base64-url-safe", "the URL-safe alphabet, which no binding has", idp.RefusedBase64, get("SAMLRequest=" + base64.URLEncoding.EncodeToString([]byte("\xFB\xFF\xFE")))},
		{"enc-base64-padding-within", "padding within the base64", idp.RefusedBase64, get("SAMLRequest=" + b64("<a") + b64("/>"))},
		{"enc-base64-padding-moved", "padding one character early", idp.RefusedBase64, get("SAMLRequest=PGEvP=g")},
		{"enc-base64-trailing-bits", "bits that padding should leave unused", idp.RefusedBase64, get("SAMLRequest=PGEvPh==")},
		{"enc-percent", "broken percent-encoding", idp.RefusedParameterInvalid, get("SAMLRequest=PGE%2")},
		{"enc-deflate", "not DEFLATE and not XML", idp.RefusedDeflate, get("SAMLRequest=" + url.QueryEscape(b64("\xFF\x00\x12 nonsense")))},
		{"enc-deflate-cut", "a DEFLATE stream that is cut off", idp.RefusedDeflate, get("SAMLRequest=" + url.QueryEscape(b64(deflated(plain)[:100])))},
		{"enc-deflate-trailer", "bytes after the DEFLATE stream", idp.RefusedDeflate, get("SAMLRequest=" + url.QueryEscape(b64(deflated(plain)+"<a/>")))},
		{"enc-gzip", "gzip instead of DEFLATE", idp.RefusedDeflate, get("SAMLRequest=" + url.QueryEscape(b64("\x1f\x8b\x08\x00\x00\x00\x00\x00"+deflated(plain))))},
		{"bomb-deflate", "128 kB of spaces in a few hundred bytes", idp.RefusedRequestTooLarge, get("SAMLRequest=" + url.QueryEscape(b64(bomb)))},
		{"bomb-elements", "30,000 elements in a few hundred bytes", idp.RefusedXML, get("SAMLRequest=" + url.QueryEscape(b64(elements)))},
		{"bomb-deep", "5,000 elements within one another", idp.RefusedXML, getXML(request("", deep)[:120<<10])},
		{"bomb-plain", "a message of more than 128 kB", idp.RefusedRequestTooLarge, postXML("<a>" + strings.Repeat(" ", 128<<10) + "</a>")},
		{"bomb-query", "a query of more than 64 kB", idp.RefusedRequestTooLarge, get("SAMLRequest=" + strings.Repeat("A", 64<<10))},
		{"xml-entity", "an entity that expands", idp.RefusedXML, postXML(`<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>` + strings.Replace(plain, corpusSP, "&b;", 1))},
		{"xml-external-entity", "an entity from a file", idp.RefusedXML, postXML(`<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + strings.Replace(plain, corpusSP, "&a;", 1))},
		{"xml-doctype", "a document type and nothing else", idp.RefusedXML, postXML(`<!DOCTYPE samlp:AuthnRequest SYSTEM "http://attacker.example.net/x.dtd">` + plain)},
		{"xml-utf16", "UTF-16", idp.RefusedXML, postXML(utf16le)},
		{"xml-utf16-declared", "UTF-8 that is declared as UTF-16", idp.RefusedXML, postXML(`<?xml version="1.0" encoding="UTF-16"?>` + plain)},
		{"xml-latin1", "Latin-1", idp.RefusedXML, postXML(`<?xml version="1.0" encoding="ISO-8859-1"?>` + request(" ProviderName=\"Caf\xE9\"", ""))},
		{"xml-processing-instruction", "a processing instruction within the Issuer", idp.RefusedXML, postXML(strings.Replace(plain, "</saml:Issuer>", "<?x y?>.attacker.example.net</saml:Issuer>", 1))},
		{"xml-comment", "a comment within the Issuer (CVE-2017-11427)", idp.RefusedXML, postXML(strings.Replace(plain, "</saml:Issuer>", "<!-- -->.attacker.example.net</saml:Issuer>", 1))},
		{"xml-second-root", "a second root", idp.RefusedXML, postXML(plain + plain)},
		{"xml-text-after", "text after the root", idp.RefusedXML, postXML(plain + "x")},
		{"xml-doubled-attribute", "an attribute twice", idp.RefusedXML, postXML(request(` Destination="https://attacker.example.net/"`, ""))},
		{"xml-relative-namespace", "a relative namespace name (void canonicalization)", idp.RefusedXML, postXML(request(` xmlns:x="1"`, ""))},
		{"xml-undeclared-prefix", "a prefix that is not declared", idp.RefusedXML, postXML(request("", "<x:Extensions/>"))},
	} {
		field := "SAMLRequest"
		g.add(c.name, c.about, "refused "+string(c.code)+" "+field, c.in).optional()
	}
}

// parameters adds queries and forms that are not allowed.
func (g *generator) parameters() {
	embedded := g.signed(template{}, "")
	q := getXML(embedded).RawQuery
	body := string(postXML(embedded).Body)
	other := getXML(request("", "")).RawQuery
	form := func(query, body string) saml.HTTPRequest {
		return saml.HTTPRequest{Method: "POST", RawQuery: query, ContentType: formType, Body: []byte(body)}
	}
	for _, c := range []struct {
		name, about, verdict string
		in                   saml.HTTPRequest
	}{
		{"param-twice", "SAMLRequest twice", "parameter_twice SAMLRequest", get(q + "&" + other)},
		{"param-twice-encoded-name", "SAMLRequest twice, once under an encoded name", "parameter_twice SAMLRequest", get(q + "&" + strings.Replace(other, "SAML", "%53A%4dL", 1))},
		{"param-twice-query-and-body", "SAMLRequest in query and body", "parameter_twice SAMLRequest", form(other, body)},
		{"param-relay-twice", "RelayState twice", "parameter_twice RelayState", get(q + "&RelayState=a&RelayState=a")},
		{"param-relay-query-and-body", "RelayState in query and body", "parameter_twice RelayState", form("RelayState=a", body+"&RelayState=b")},
		{"param-sigalg-twice", "SigAlg twice", "parameter_twice SigAlg", get(q + "&SigAlg=a&SigAlg=b")},
		{"param-signature-twice", "Signature twice", "parameter_twice Signature", get(q + "&Signature=a&Signature=b")},
		{"param-response-beside", "SAMLResponse beside SAMLRequest (CVE-2025-27773)", "parameter_conflict SAMLResponse", get(q + "&SAMLResponse=PGEvPg==")},
		{"param-response-in-body", "SAMLResponse in the body, SAMLRequest in the query", "parameter_conflict SAMLResponse", form(q, "SAMLResponse=PGEvPg==")},
		{"param-response-only", "a SAMLResponse", "message_type SAMLResponse", form("", "SAMLResponse=PGEvPg==")},
		{"param-name-broken", "a parameter name with broken percent-encoding", "parameter_invalid parameter name", get(q + "&SAML%5Request=x")},
		{"param-saml-encoding", "another SAMLEncoding than DEFLATE", "parameter_invalid SAMLEncoding", get(q + "&SAMLEncoding=urn:x")},
		{"param-multipart", "a form as multipart/form-data", "parameter_invalid Content-Type", saml.HTTPRequest{Method: "POST", ContentType: "multipart/form-data; boundary=x", Body: []byte("--x--")}},
		{"param-post-signature-form", "Signature and SigAlg in the form", "signature_parameters Signature", form("", body+"&Signature=AAAA&SigAlg=x")},
		{"param-post-signature-query", "Signature and SigAlg in the query of a POST", "signature_parameters Signature", form("Signature=AAAA&SigAlg=x", body)},
		{"param-post-sigalg", "SigAlg in the form", "signature_parameters Signature", form("", body+"&SigAlg=x")},
	} {
		g.add(c.name, c.about, "refused "+c.verdict, c.in)
	}
}

// detachedQuery adds modifications of a signed query.
func (g *generator) detachedQuery() {
	plain := request("", "")
	relay := "https://sp1.example.com/a b"
	good := g.detached(plain, detached{relay: relay})
	noRelay := g.detached(plain, detached{relay: "-"})
	cut := func(q, name string) string { return regexp.MustCompile(`&?`+name+`=[^&]*`).ReplaceAllString(q, "") }
	parts := strings.Split(good, "&")
	sigAlg, signature := parts[2], parts[3]
	value, _ := url.QueryUnescape(strings.TrimPrefix(signature, "Signature="))
	raw, _ := base64.StdEncoding.DecodeString(value)
	n := corpus.Key(g.t, "sp1").N
	large := new(big.Int).Add(n, new(big.Int).SetBytes(raw)).Bytes()
	unsigned := getXML(plain).RawQuery
	g.accept(g.add("redirect-order", "parameters in another order than they are signed in, Signature before SigAlg", "accepted",
		get(strings.Join([]string{signature, parts[1], sigAlg, parts[0]}, "&"))), func(a *accepted) { a.RelayState = &relay })
	g.accept(g.add("redirect-second-certificate", "the second of two certificates verifies", "accepted", get(noRelay)).with("sp2", "sp1"), nil)
	g.accept(g.add("redirect-expired-certificate", "a certificate that ended long ago", "accepted", get(g.detached(plain, detached{relay: "-", key: "expired"}))).with("expired"), func(a *accepted) { a.Cert = "expired" })
	g.accept(g.add("redirect-optional", "a signature from a sender who need not sign", "accepted", get(noRelay)).optional(), nil)
	changed := getXML(strings.Replace(plain, corpusACS, "https://attacker.example.net/acs", 1)).RawQuery
	for _, c := range []struct {
		name, about, verdict, query string
	}{
		{"redirect-relay-stripped", "RelayState taken away", "signature_mismatch Signature", cut(good, "RelayState")},
		{"redirect-relay-added", "RelayState added", "signature_mismatch Signature", noRelay + "&RelayState=x"},
		{"redirect-relay-added-empty", "an empty RelayState added", "signature_mismatch Signature", noRelay + "&RelayState="},
		{"redirect-relay-changed", "RelayState changed", "signature_mismatch Signature", strings.Replace(good, "a+b", "a+c", 1)},
		{"redirect-relay-recoded", "RelayState encoded in another way", "signature_mismatch Signature", strings.Replace(good, "a+b", "a%20b", 1)},
		{"redirect-message-changed", "the message changed", "signature_mismatch Signature", changed + "&" + strings.Join(parts[1:], "&")},
		{"redirect-wrong-key", "signed with a key that is not registered", "signature_mismatch Signature", g.detached(plain, detached{relay: "-", key: "attacker"})},
		{"redirect-other-sp", "signed with the key of another service provider", "signature_mismatch Signature", g.detached(plain, detached{relay: "-", key: "sp2"})},
		{"redirect-empty-signature", "an empty Signature", "signature_parameters Signature", cut(noRelay, "Signature") + "&Signature="},
		{"redirect-blank-signature", "a Signature of white space", "signature_base64 Signature", cut(noRelay, "Signature") + "&Signature=%20"},
		{"redirect-signature-base64", "a Signature that is no base64", "signature_base64 Signature", cut(noRelay, "Signature") + "&Signature=%21"},
		{"redirect-signature-short", "the first byte of a Signature", "signature_mismatch Signature", cut(noRelay, "Signature") + "&Signature=" + url.QueryEscape(b64(string(raw[:1])))},
		{"redirect-signature-plus-modulus", "a Signature plus the modulus", "signature_mismatch Signature", cut(good, "Signature") + "&Signature=" + url.QueryEscape(b64(string(large)))},
		{"redirect-no-signature", "SigAlg without Signature", "signature_parameters Signature", cut(noRelay, "Signature")},
		{"redirect-no-sigalg", "Signature without SigAlg", "signature_parameters SigAlg", cut(noRelay, "SigAlg")},
		{"redirect-sha1", "rsa-sha1", "signature_algorithm SigAlg", g.detached(plain, detached{relay: "-", alg: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"})},
		{"redirect-sha512", "rsa-sha512", "signature_algorithm SigAlg", g.detached(plain, detached{relay: "-", alg: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"})},
		{"redirect-sigalg-name", "a name for the algorithm that the reference takes and the standard does not have", "signature_algorithm SigAlg", g.detached(plain, detached{relay: "-", alg: "SHA256"})},
		{"redirect-sigalg-hmac", "HMAC", "signature_algorithm SigAlg", unsigned + "&SigAlg=" + url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256") + "&Signature=AAAA"},
		{"redirect-decoded-text", "signed over the decoded values", "signature_mismatch Signature", g.detached(plain, detached{relay: "-", signed: func(q string) string { s, _ := url.QueryUnescape(q); return s }})},
		{"redirect-both-signatures", "a signature in the XML and one in the query", "signature_twice Signature", g.detached(g.signed(template{}, ""), detached{relay: "-"})},
	} {
		g.add(c.name, c.about, "refused "+c.verdict, get(c.query))
	}
	g.add("redirect-optional-wrong", "a wrong signature from a sender who need not sign", "refused signature_mismatch Signature", get(g.detached(plain, detached{relay: "-", key: "attacker"}))).optional()
	g.add("redirect-weak-key", "a key of 1024 bits", "refused no_certificate KeyDescriptor", get(g.detached(plain, detached{relay: "-"}))).with("weak")
	g.add("redirect-no-certificate", "a sender without certificates", "refused no_certificate KeyDescriptor", get(noRelay)).with()
}
