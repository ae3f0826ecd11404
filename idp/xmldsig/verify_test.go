package xmldsig_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"testing"

	"vernal/idp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// The corpus in testdata/saml tests the form of a signature, and modifications of it, with
// whole messages.

func TestSignatureIsFoundOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	const (
		open   = `<r xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:d="` + xmldsig.Namespace + `">`
		sig    = `<d:Signature/>`
		issuer = `<a:Issuer/>`
	)
	tests := []struct {
		name  string
		in    string
		code  idp.RefusalCode
		found bool
	}{
		{"none", open + issuer + `</r>`, "", false},
		{"another namespace", open + issuer + `<Signature/></r>`, "", false},
		{"where the schema has it", open + " " + issuer + " " + sig + `</r>`, "", true},
		{"without Issuer", open + sig + `</r>`, "", true},
		{"before the Issuer", open + sig + issuer + `</r>`, "", true},
		{"last", open + issuer + `<x/>` + sig + `</r>`, "", true},
		{"within the Issuer", open + `<a:Issuer>` + sig + `</a:Issuer></r>`, idp.RefusedSignatureShape, false},
		{"deep below", open + issuer + `<x><y>` + sig + `</y></x></r>`, idp.RefusedSignatureShape, false},
		{"the root itself", `<d:Signature xmlns:d="` + xmldsig.Namespace + `"/>`, idp.RefusedSignatureShape, false},
		{"twice", open + issuer + sig + sig + `</r>`, idp.RefusedSignatureTwice, false},
		{"one within the other", open + issuer + `<d:Signature>` + sig + `</d:Signature></r>`, idp.RefusedSignatureTwice, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			root, err := xmltree.Parse([]byte(tc.in), xmltree.MessageLimits())
			if err != nil {
				t.Fatal(err)
			}
			got, err := xmldsig.FindSignature(root)
			checkCode(t, err, tc.code)
			if (got != nil) != tc.found {
				t.Errorf("found %v, want %v", got, tc.found)
			}
			if _, err := xmldsig.VerifyEnveloped(root, nil); err == nil {
				t.Error("verified")
			}
		})
	}
}

func TestVerifyRefusesMissingSignature(t *testing.T) {
	t.Parallel()
	root, err := xmltree.Parse([]byte(`<r ID="_1"/>`), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	_, err = xmldsig.VerifyEnveloped(root, nil)
	checkCode(t, err, idp.RefusedSignatureMissing)
}

func TestVerifyDetached(t *testing.T) {
	t.Parallel()
	key := signingKey()
	good := certFor(t, key)
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	wrong, curve := certFor(t, other), certFor(t, elliptic)
	many := make([]*x509.Certificate, xmldsig.MaxCertificates)
	for i := range many {
		many[i] = wrong
	}
	text := []byte("SAMLRequest=a&SigAlg=b")
	sum := sha256.Sum256(text)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	pss, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		alg       string
		signature []byte
		certs     []*x509.Certificate
		code      idp.RefusalCode
	}{
		{"right", xmldsig.AlgorithmRSASHA256, signature, []*x509.Certificate{good}, ""},
		{"the last of several", xmldsig.AlgorithmRSASHA256, signature, []*x509.Certificate{curve, wrong, good}, ""},
		{"wrong key", xmldsig.AlgorithmRSASHA256, signature, []*x509.Certificate{wrong}, idp.RefusedSignature},
		{"beyond the limit", xmldsig.AlgorithmRSASHA256, signature, append(many, good), idp.RefusedSignature},
		{"no certificate", xmldsig.AlgorithmRSASHA256, signature, nil, idp.RefusedNoCertificate},
		{"another kind of key", xmldsig.AlgorithmRSASHA256, signature, []*x509.Certificate{curve}, idp.RefusedNoCertificate},
		{"no signature", xmldsig.AlgorithmRSASHA256, nil, []*x509.Certificate{good}, idp.RefusedSignature},
		{"PSS", xmldsig.AlgorithmRSASHA256, pss, []*x509.Certificate{good}, idp.RefusedSignature},
		{"no algorithm", "", signature, []*x509.Certificate{good}, idp.RefusedSignatureAlgorithm},
		{"algorithm with a space", xmldsig.AlgorithmRSASHA256 + " ", signature, []*x509.Certificate{good}, idp.RefusedSignatureAlgorithm},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cert, err := xmldsig.VerifyDetached(text, tc.alg, tc.signature, tc.certs)
			checkCode(t, err, tc.code)
			if tc.code == "" && cert != good {
				t.Error("not the certificate that fits")
			}
			if tc.code != "" && cert != nil {
				t.Error("a certificate beside the error")
			}
		})
	}
}

func checkCode(t *testing.T, err error, want idp.RefusalCode) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var r *idp.Refusal
	if !errors.As(err, &r) || r.Code != want {
		t.Errorf("got %v, want code %s", err, want)
	}
}
