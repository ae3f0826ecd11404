package saml_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// A key that cannot decrypt, for example in a token, causes the same refusal as one that fails
// to.
func TestOpenWithKeyThatOnlySigns(t *testing.T) {
	t.Parallel()
	const text = `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0" ` +
		`IssueInstant="2031-04-01T09:00:00Z"><saml:Issuer>https://sp.example</saml:Issuer><saml:EncryptedID></saml:EncryptedID></samlp:LogoutRequest>`
	root, err := xmltree.Parse([]byte(text), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var got []*idp.Refusal
	for _, k := range []crypto.Signer{key, struct{ crypto.Signer }{key}} {
		req, err := saml.ParseLogoutRequest(root)
		if err != nil {
			t.Fatal(err)
		}
		var refused *idp.Refusal
		if err := req.Open(k); !errors.As(err, &refused) || refused.Code != idp.RefusedEncryptedID {
			t.Fatal(err)
		}
		got = append(got, refused)
	}
	if diff := cmp.Diff(got[0], got[1], cmpopts.IgnoreFields(idp.Refusal{}, "Err")); diff != "" {
		t.Errorf("a key that fails and one that cannot:\n%s", diff)
	}
}
