package saml_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"vernal/idp/saml"
)

// The three messages that the developers' guide of Login.gov shows, with its order,
// quotes, line breaks, prefix lists, formats, and Destinations without a year. Sender,
// names, time and signature are the corpus's.

// guideName is the NameID of the guide's samples. In remote logout it belongs to no user, and
// the SessionIndex names the user.
const guideName = "4985175e-3ddb-489a-a92c-c981cd15e3ca"

const guidePersistent = "urn:oasis:names:tc:SAML:1.1:nameid-format:persistent"

// guideSignature returns the template of a signature, each line after indent.
func guideSignature(t testing.TB, indent string) string {
	cert := base64.StdEncoding.EncodeToString(loadCerts(t, []string{"sp1"})[0].Raw)
	lines := `<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>
  <ds:SignedInfo>
    <ds:CanonicalizationMethod Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>
    <ds:SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/>
    <ds:Reference URI='#_a1'>
      <ds:Transforms>
        <ds:Transform Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/>
        <ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'>
          <ec:InclusiveNamespaces PrefixList='#default samlp saml ds xs xsi md' xmlns:ec='http://www.w3.org/2001/10/xml-exc-c14n#'/>
        </ds:Transform>
      </ds:Transforms>
      <ds:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>
      <ds:DigestValue></ds:DigestValue>
    </ds:Reference>
  </ds:SignedInfo>
  <ds:SignatureValue></ds:SignatureValue>
  <ds:KeyInfo>
    <ds:X509Data>
      <ds:X509Certificate>` + cert + `</ds:X509Certificate>
    </ds:X509Data>
  </ds:KeyInfo>
</ds:Signature>`
	return indent + strings.ReplaceAll(lines, "\n", "\n"+indent) + "\n"
}

func guideOpen(element, attributes, destination string) string {
	return `<samlp:` + element + ` ` + attributes + `Destination='` + strings.TrimSuffix(destination, "2026") + `'
                    ID='_a1'
                    IssueInstant='` + corpusTime + `'
                    Version='2.0'
                    xmlns:saml='urn:oasis:names:tc:SAML:2.0:assertion'
                    xmlns:samlp='urn:oasis:names:tc:SAML:2.0:protocol'>
  <saml:Issuer>` + corpusSP + `</saml:Issuer>
`
}

func guideRequest(t testing.TB) string {
	return guideOpen("AuthnRequest", `AssertionConsumerServiceURL='`+corpusACS+`?utf8=%E2%9C%93&amp;loa=1'
                    `, corpusAuth) + guideSignature(t, "  ") +
		`  <samlp:NameIDPolicy AllowCreate='true'
                      Format='` + guidePersistent + `'/>
  <samlp:RequestedAuthnContext Comparison='exact'>
    <saml:AuthnContextClassRef>urn:acr.login.gov:auth-only</saml:AuthnContextClassRef>
    <saml:AuthnContextClassRef>http://idmanagement.gov/ns/requested_attributes?ReqAttr=email,phone,first_name,last_name,ssn</saml:AuthnContextClassRef>
  </samlp:RequestedAuthnContext>
</samlp:AuthnRequest>`
}

func guideLogout(t testing.TB) string {
	return guideOpen("LogoutRequest", "", corpusLogout) + guideSignature(t, "  ") +
		`  <saml:NameID Format='` + guidePersistent + `'>` + adaName + `</saml:NameID>
</samlp:LogoutRequest>`
}

// guideRemoteLogout has the SessionIndex in the assertion namespace, before the Signature.
func guideRemoteLogout(t testing.TB) string {
	return guideOpen("LogoutRequest", "", corpusRemote) +
		`<saml:SessionIndex>` + adaName + `</saml:SessionIndex>
` + guideSignature(t, "") + `<saml:NameID Format='` + guidePersistent + `'>` + guideName + `</saml:NameID>
</samlp:LogoutRequest>`
}

// guide adds these messages.
func (g *generator) guide() {
	doc := g.sign(guideRequest(g.t), "sp1")
	g.accept(g.add("guide-request", "the guide's AuthnRequest", "accepted", postXML(doc)).shows(doc), func(a *accepted) {
		r := a.Request
		r.Destination, r.ACSURL, r.ProtocolBinding = strings.TrimSuffix(corpusAuth, "2026"), corpusACS+"?utf8=%E2%9C%93&loa=1", ""
		r.NameIDPolicy = &saml.NameIDPolicy{Format: guidePersistent, AllowCreate: true}
		r.Comparison = "exact"
		r.ClassRefs = []string{"urn:acr.login.gov:auth-only", "http://idmanagement.gov/ns/requested_attributes?ReqAttr=email,phone,first_name,last_name,ssn"}
	})
	doc = g.sign(guideLogout(g.t), "sp1")
	g.acceptLogout(g.addLogout("guide", "the guide's LogoutRequest", "accepted", postXML(doc)).shows(doc), "Success", "ada", func(a *accepted) {
		a.Logout.Destination, a.Logout.NameID.Value, a.Logout.SessionIndexes = strings.TrimSuffix(corpusLogout, "2026"), adaName, nil
		a.Logout.NameID.Format = guidePersistent
	})
	doc = g.sign(guideRemoteLogout(g.t), "sp1")
	in := saml.HTTPRequest{Method: "POST", RawQuery: "SAMLRequest=" + url.QueryEscape(b64(deflated(doc)))}
	g.acceptLogout(g.addLogout("remote-guide", "the guide's remote LogoutRequest, in the query of a POST", "accepted", in).remote().shows(doc), "Success", "ada", func(a *accepted) {
		a.Logout.Destination, a.Logout.NameID.Value, a.Logout.SessionIndexes = strings.TrimSuffix(corpusRemote, "2026"), guideName, []string{adaName}
		a.Logout.NameID.Format = guidePersistent
	})
}
