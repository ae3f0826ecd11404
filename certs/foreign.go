package certs

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Bounds of what is read from elsewhere.
const (
	// MaxForeign is the longest file with certificates or a key, in bytes.
	MaxForeign = 256 << 10
	maxChain   = 20
)

// ParseCertificates reads the certificates in a file from elsewhere: PEM, with
// or without other things around them, or one certificate as DER. An error says
// what the file is instead and how to make of it what is wanted.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	if len(data) > MaxForeign {
		return nil, fmt.Errorf("it is longer than %d bytes", MaxForeign)
	}
	var all []*x509.Certificate
	for block := range blocks(data) {
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
			return nil, errors.New("it holds a certification request: what is wanted is the certificate that the authority made of it")
		case "PKCS7", "CMS":
			return nil, errors.New(pkcs7Help)
		default:
			continue
		}
		cert, err := parseForeign(block.Bytes)
		if err != nil {
			return nil, err
		}
		if all = append(all, cert); len(all) > maxChain {
			return nil, fmt.Errorf("it holds more than %d certificates", maxChain)
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	switch {
	case isPKCS12(data):
		return nil, errors.New("it is PKCS#12: run openssl pkcs12 -in FILE -nokeys -out cert.pem first")
	case isPKCS7(data):
		return nil, errors.New(pkcs7Help)
	case len(data) > 0 && data[0] == 0x30:
		cert, err := parseForeign(data)
		if err != nil {
			return nil, err
		}
		return []*x509.Certificate{cert}, nil
	}
	return nil, errors.New("there is no PEM certificate in it (-----BEGIN CERTIFICATE-----)")
}

const pkcs7Help = "it is PKCS#7: run openssl pkcs7 -in FILE -print_certs -out cert.pem first, with -inform DER if it is not PEM"

// parseForeign says of what Go does not read what an authority can mend.
func parseForeign(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	switch {
	case err == nil:
		return cert, nil
	case strings.Contains(err.Error(), "negative serial"):
		return nil, errors.New("the serial number is negative, which no certificate may have (RFC 5280 §4.1.2.2): ask for another one")
	}
	return nil, fmt.Errorf("a certificate in it cannot be read: %w", err)
}

// ParsePrivateKey reads the one private key in a file from elsewhere: PEM,
// PKCS#8 or PKCS#1, RSA, not encrypted. Errors never quote the file.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	if len(data) > MaxForeign {
		return nil, fmt.Errorf("it is longer than %d bytes", MaxForeign)
	}
	var found *pem.Block
	for block := range blocks(data) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if found != nil {
			return nil, errors.New("it holds more than one private key")
		}
		found = block
	}
	switch {
	case found != nil:
		return parsePrivate(found)
	case isPKCS12(data):
		return nil, errors.New("it is PKCS#12: run openssl pkcs12 -in FILE -nocerts -nodes -out key.pem first, and remove key.pem afterwards")
	case len(data) > 0 && data[0] == 0x30:
		return nil, errors.New("it is not PEM: run openssl pkey -inform DER -in FILE -out key.pem first, and remove key.pem afterwards")
	}
	return nil, errors.New("there is no PEM private key in it (-----BEGIN PRIVATE KEY-----)")
}

func parsePrivate(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("it is encrypted: run openssl pkey -in FILE -out key.pem first, and remove key.pem afterwards")
	}
	switch block.Type {
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("its PKCS#8 cannot be read")
		}
		if key, ok := key.(*rsa.PrivateKey); ok {
			return key, nil
		}
		return nil, fmt.Errorf("it is of type %T: service providers need RSA", key)
	case "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("its PKCS#1 cannot be read")
		}
		return key, nil
	}
	return nil, fmt.Errorf("it is a key of another kind (%s): service providers need RSA", block.Type)
}

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

// isPKCS7 reports whether DER is signed-data (RFC 2315 §9).
func isPKCS7(der []byte) bool {
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &info)
	return err == nil && info.Type.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2})
}
