package certs

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"

	"vernal/idp"
)

// Request makes a certification request (PKCS#10, RFC 2986) of a private key, as
// DER: RSA-SHA256, with the subject that a self-signed certificate would have,
// and the key usage to ask for. The same key and Spec give the same bytes.
func Request(rand io.Reader, signer crypto.Signer, y idp.Year, spec Spec, baseURL string) ([]byte, error) {
	name, err := spec.Subject.name(baseURL)
	if err != nil {
		return nil, fmt.Errorf("certification request %s: %w", y, err)
	}
	template := &x509.CertificateRequest{
		Subject:            name,
		SignatureAlgorithm: x509.SHA256WithRSA,
		// KeyUsage (RFC 5280 §4.2.1.3): the first bit is digitalSignature.
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 7, 0x80}}},
	}
	der, err := x509.CreateCertificateRequest(rand, template, signer)
	if err != nil {
		return nil, fmt.Errorf("certification request %s: %w", y, err)
	}
	return der, nil
}
