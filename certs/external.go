package certs

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"

	"vernal/idp/filetext"
	"vernal/idp/partnercert"
)

// MaxForeign is the longest file with certificates or a key, in bytes.
const MaxForeign = partnercert.MaxFile

// ParseCertificates reads the certificates in an external file, of any form
// that package partnercert reads. They become ours, so each must parse in
// full: strict software would refuse one that is only read in part. An error says
// what the file is instead and how to make of it what is wanted.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	file, err := partnercert.Extract(data)
	if err != nil {
		return nil, err
	}
	all := make([]*x509.Certificate, len(file.Certificates))
	for i, der := range file.Certificates {
		if all[i], err = parseForeign(der); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parseForeign reads a certificate strictly, and says of one that fails what the
// authority can fix.
func parseForeign(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert, nil
	}
	loose, err := partnercert.Parse(der)
	switch {
	case err != nil:
		return nil, err
	case loose.SerialNumber.Sign() < 0:
		return nil, &partnercert.Error{Code: partnercert.NotStrict, Text: "the serial number is negative, which no certificate may have (RFC 5280 §4.1.2.2): ask for another one"}
	}
	return nil, &partnercert.Error{Code: partnercert.NotStrict, Text: "a certificate in it breaks the rules of RFC 5280, for example in a name or an extension, so strict software refuses it: ask for another one"}
}

// KeyFileCode says why a file has no private key that can be used.
type KeyFileCode string

// The codes.
const (
	KeyFileTooLong    KeyFileCode = "too_long"
	KeyFileSeveral    KeyFileCode = "several"
	KeyFilePKCS12     KeyFileCode = "pkcs12"
	KeyFileDER        KeyFileCode = "der"
	KeyFileMissing    KeyFileCode = "missing"
	KeyFileEncrypted  KeyFileCode = "encrypted"
	KeyFileUnreadable KeyFileCode = "unreadable"
	KeyFileNotRSA     KeyFileCode = "not_rsa"
)

// KeyFileError is the error of ParsePrivateKey.
type KeyFileError struct {
	Code KeyFileCode
	Text string
}

func (e *KeyFileError) Error() string { return e.Text }

func keyError(code KeyFileCode, format string, args ...any) error {
	return &KeyFileError{code, fmt.Sprintf(format, args...)}
}

// ParsePrivateKey reads the one private key in an external file: PEM,
// PKCS#8 or PKCS#1, RSA, not encrypted. The error is a *KeyFileError, which never
// quotes the file.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	if len(data) > MaxForeign {
		return nil, keyError(KeyFileTooLong, "it is longer than %d bytes", MaxForeign)
	}
	text, err := filetext.Decode(data)
	if err != nil { // DER, which is named below
		text = data
	}
	var found *pem.Block
	for block := range blocks(indent.ReplaceAll(text, nil)) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if found != nil {
			return nil, keyError(KeyFileSeveral, "it holds more than one private key")
		}
		found = block
	}
	switch {
	case found != nil:
		return parsePrivate(found)
	case isPKCS12(data):
		return nil, keyError(KeyFilePKCS12, "it is PKCS#12: run openssl pkcs12 -in FILE -nocerts -nodes -out key.pem first, and remove key.pem afterwards")
	case len(data) > 0 && data[0] == 0x30:
		return nil, keyError(KeyFileDER, "it is not PEM: run openssl pkey -inform DER -in FILE -out key.pem first, and remove key.pem afterwards")
	}
	return nil, keyError(KeyFileMissing, "there is no PEM private key in it (-----BEGIN PRIVATE KEY-----)")
}

func parsePrivate(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, keyError(KeyFileEncrypted, "it is encrypted: run openssl pkey -in FILE -out key.pem first, and remove key.pem afterwards")
	}
	switch block.Type {
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, keyError(KeyFileUnreadable, "its PKCS#8 cannot be read")
		}
		if key, ok := key.(*rsa.PrivateKey); ok {
			return key, nil
		}
		return nil, keyError(KeyFileNotRSA, "it is of type %T: service providers need RSA", key)
	case "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, keyError(KeyFileUnreadable, "its PKCS#1 cannot be read")
		}
		return key, nil
	}
	return nil, keyError(KeyFileNotRSA, "it is a key of another kind (%s): service providers need RSA", block.Type)
}

// indent is what YAML and editors put before each line of a PEM block.
var indent = regexp.MustCompile(`(?m)^[ \t]+`)

// blocks goes through the PEM blocks of a file.
func blocks(data []byte) func(func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		for rest := bytes.TrimSpace(data); len(rest) > 0; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil || !yield(block) {
				return
			}
		}
	}
}

// isPKCS12 reports whether DER begins as a PFX does (RFC 7292 §4).
func isPKCS12(der []byte) bool {
	var pfx struct {
		Version int
		Content asn1.RawValue
		Mac     asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &pfx)
	return err == nil && pfx.Version == 3
}
