package saml_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// The refusal of a misplaced element says what is wrong, in the arguments of the text: outside
// of its parent, repeated, wrong namespace, or unknown.
func TestMisplacedElementIsNamed(t *testing.T) {
	t.Parallel()
	const (
		authn   = "AuthnRequest"
		logout  = "LogoutRequest"
		context = "<samlp:RequestedAuthnContext>"
		end     = "</samlp:RequestedAuthnContext>"
	)
	outside := func(name, home string) []string { return []string{name, home, "", "", "", ""} }
	twice := func(name string) []string { return []string{"", "", name, "", "", ""} }
	namespace := func(name, ns string) []string { return []string{"", "", "", name, ns, ""} }
	unknown := func(name string) []string { return []string{"", "", "", "", "", name} }
	tests := []struct {
		name, root, children string
		field                string
		want                 []string
	}{
		{"class at the root", authn, "<saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef>", authn, outside("AuthnContextClassRef", "RequestedAuthnContext")},
		{"class at the root, no namespace", authn, "<AuthnContextClassRef>urn:x</AuthnContextClassRef>", authn, outside("AuthnContextClassRef", "RequestedAuthnContext")},
		{"declaration at the root", authn, "<saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>", authn, outside("AuthnContextDeclRef", "RequestedAuthnContext")},
		{"NameID at the root", authn, "<saml:NameID>ada</saml:NameID>", authn, outside("NameID", "Subject")},
		{"audience at the root", authn, "<saml:AudienceRestriction/>", authn, outside("AudienceRestriction", "Conditions")},
		{"list of identity providers", authn, "<samlp:IDPList/>", authn, outside("IDPList", "Scoping")},
		{"policy twice", authn, "<samlp:NameIDPolicy/><samlp:NameIDPolicy/>", authn, twice("NameIDPolicy")},
		{"context twice", authn, context + end + context + end, authn, twice("RequestedAuthnContext")},
		{"policy of the other namespace", authn, "<saml:NameIDPolicy/>", authn, namespace("NameIDPolicy", saml.NamespaceProtocol)},
		{"class of the other namespace", authn, context + "<samlp:AuthnContextClassRef>urn:x</samlp:AuthnContextClassRef>" + end,
			"RequestedAuthnContext", namespace("AuthnContextClassRef", saml.NamespaceAssertion)},
		{"unknown", authn, "<samlp:Wish/>", authn, unknown("Wish")},
		{"unknown in the context", authn, context + "<saml:Level/>" + end, "RequestedAuthnContext", unknown("Level")},
		{"Subject of a sign-out", logout, "<saml:Subject/>", logout, unknown("Subject")},
		{"index of another namespace", logout, `<saml:NameID>ada</saml:NameID><SessionIndex>_i</SessionIndex>`, logout, namespace("SessionIndex", saml.NamespaceProtocol)},
		{"NameID of the other namespace", logout, "<samlp:NameID>ada</samlp:NameID>", logout, namespace("NameID", saml.NamespaceAssertion)},
		{"extensions twice", logout, "<samlp:Extensions/><samlp:Extensions/>", logout, twice("Extensions")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc := `<samlp:` + tt.root + ` xmlns:samlp="` + saml.NamespaceProtocol + `" xmlns:saml="` + saml.NamespaceAssertion +
				`" ID="_a" Version="2.0" IssueInstant="2026-11-22T12:00:00Z"><saml:Issuer>https://sp.example</saml:Issuer>` + tt.children + `</samlp:` + tt.root + `>`
			root, err := xmltree.Parse([]byte(doc), xmltree.MessageLimits())
			if err != nil {
				t.Fatal(err)
			}
			if tt.root == authn {
				_, err = saml.ParseAuthnRequest(root)
			} else {
				_, err = saml.ParseLogoutRequest(root)
			}
			var why *idp.Refusal
			if !errors.As(err, &why) || why.Code != idp.RefusedValue || why.Field != tt.field || !slices.Equal(why.Args, tt.want) {
				t.Errorf("got %+v, want %s of %s with %s", why, idp.RefusedValue, tt.field, strings.Join(tt.want, "|"))
			}
		})
	}
}
