package xmldsig_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// The signature of metadata is its first child and covers the whole document.
func TestVerifyMetadata(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := xmldsig.NewSigner(key, cert)
	if err != nil {
		t.Fatal(err)
	}
	open := `<md:E xmlns:md="urn:md" ID="_1" entityID="urn:a">`
	rest := `<md:I></md:I></md:E>`
	good, err := signer.Sign([]byte(open+rest), "_1", len(open))
	if err != nil {
		t.Fatal(err)
	}
	late, err := signer.Sign([]byte(open+rest), "_1", len(open)+len(`<md:I></md:I>`))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		doc  []byte
		want idp.RefusalCode
	}{
		{"as we sign it", good, ""},
		{"behind its content", late, idp.RefusedSignatureShape},
		{"unsigned", []byte(open + rest), idp.RefusedSignatureMissing},
		{"changed", bytes.Replace(good, []byte("urn:a"), []byte("urn:b"), 1), idp.RefusedDigest},
		{"added to", bytes.Replace(good, []byte("<md:I>"), []byte("<md:J></md:J><md:I>"), 1), idp.RefusedDigest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, err := xmltree.Parse(tt.doc, xmltree.MetadataLimits())
			if err != nil {
				t.Fatal(err)
			}
			_, err = xmldsig.VerifyMetadata(root, []*x509.Certificate{cert})
			var refusal *idp.Refusal
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (!errors.As(err, &refusal) || refusal.Code != tt.want):
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}
