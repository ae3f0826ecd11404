package certs

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"vernal/idp"
	"vernal/idp/filetext"
	"vernal/idp/partnercert"
)

// MaxExternalFile is the longest file with certificates or a key, in bytes.
const MaxExternalFile = partnercert.MaxFile

// ParseCertificates reads the certificates in an external file, in any form that package
// partnercert reads. We publish them as ours, so each must parse in full: strict software would
// refuse a certificate that parses only in part. The error names the content of the file and a way
// to convert it.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	file, err := partnercert.Extract(data)
	if err != nil {
		return nil, err
	}
	list := make([]*x509.Certificate, len(file.Certificates))
	for i, der := range file.Certificates {
		if list[i], err = parseExternal(der); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// parseExternal parses a certificate strictly. Its error names the fix that the authority can make.
func parseExternal(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert, nil
	}
	partnerCert, err := partnercert.Parse(der)
	switch {
	case err != nil:
		return nil, err
	case partnerCert.SerialNumber.Sign() < 0:
		return nil, &partnercert.Error{Code: partnercert.NotStrict, Text: "the serial number is negative, which no certificate may have (RFC 5280 §4.1.2.2): ask the authority for another certificate"}
	}
	return nil, &partnercert.Error{Code: partnercert.NotStrict, Text: "a certificate in the file breaks a rule of RFC 5280, for example in a name or an extension, and strict software refuses it: ask the authority for another certificate"}
}

// The faults of a file that should contain a private key, in addition to the codes of
// package partnercert.
const (
	KeyFileSeveral    partnercert.Code = "several"
	KeyFileEncrypted  partnercert.Code = "encrypted"
	KeyFileUnreadable partnercert.Code = "unreadable"
	KeyFileNotRSA     partnercert.Code = "not_rsa"
)

func newKeyError(code partnercert.Code, format string, args ...any) error {
	return &partnercert.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// indentation matches the indentation that YAML and editors add to each line of a PEM block.
var indentation = regexp.MustCompile(`(?m)^[ \t]+`)

// ParsePrivateKey reads the one private key in an external file: PEM,
// PKCS#8 or PKCS#1, RSA, not encrypted. The error is a *partnercert.Error, which never
// quotes the file.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	if len(data) > MaxExternalFile {
		return nil, newKeyError(partnercert.TooLong, "it has more than %d bytes: give a file with the private key alone", MaxExternalFile)
	}
	text, err := filetext.Decode(data)
	if err != nil { // DER is reported below
		text = data
	}
	var keyBlock *pem.Block
	for block, rest := pem.Decode(indentation.ReplaceAll(text, nil)); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if keyBlock != nil {
			return nil, newKeyError(KeyFileSeveral, "it contains more than one private key: give a file with one")
		}
		keyBlock = block
	}
	if keyBlock != nil {
		return parsePrivate(keyBlock)
	}
	_, err = partnercert.Extract(data)
	if partnerErr, ok := errors.AsType[*partnercert.Error](err); ok && partnerErr.Code == partnercert.IsPKCS12 {
		return nil, newKeyError(partnercert.IsPKCS12, "it is PKCS#12: run openssl pkcs12 -in FILE -nocerts -nodes -out key.pem first, and remove key.pem afterwards")
	}
	if len(data) > 0 && data[0] == 0x30 {
		return nil, newKeyError(partnercert.BadDER, "it is not PEM: run openssl pkey -inform DER -in FILE -out key.pem first, and remove key.pem afterwards")
	}
	return nil, newKeyError(partnercert.NotFound, "it contains no PEM private key: give a file with -----BEGIN PRIVATE KEY-----")
}

func parsePrivate(block *pem.Block) (key crypto.Signer, err error) {
	var privateKey any
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, newKeyError(KeyFileEncrypted, "it is encrypted: run openssl pkey -in FILE -out key.pem first, and remove key.pem afterwards")
	case block.Type == "PRIVATE KEY":
		privateKey, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		privateKey, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, newKeyError(KeyFileUnreadable, "its %s cannot be read: copy the file again", block.Type)
	}
	if key, ok := privateKey.(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, newKeyError(KeyFileNotRSA, "its key is not RSA (%s, %T): service providers need an RSA key", block.Type, privateKey)
}

// CreateRequest returns a certification request (PKCS#10, RFC 2986) for a private key, as DER. It is
// signed with RSA-SHA256, and has the subject of a self-signed certificate and the key usage to ask
// for. The same key and Spec give the same bytes.
func CreateRequest(rand io.Reader, signer crypto.Signer, y idp.Year, spec Spec, baseURL string) ([]byte, error) {
	name, err := spec.Subject.pkixName(baseURL)
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
