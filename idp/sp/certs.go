package sp

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of an RSA key in a certificate. The upper one bounds what a signature
// costs to verify.
const (
	minKeyBits = 2048
	maxKeyBits = 8192
)

// expirySoon is how long before its end a request certificate is warned of.
const expirySoon = 30 * 24 * time.Hour

// errPrivateKey is returned for input that holds a private key, whatever else
// it holds: the key has now been shown to somebody who should not have it.
var errPrivateKey = errors.New("the input holds a private key: only the certificate belongs here; " +
	"treat that key as leaked if it has left its machine")

// ParseCertificates reads the certificates in data: PEM blocks, or one
// certificate as DER or base64 of it, as metadata holds it. It refuses input
// with a private key in it, with other PEM blocks, or with no certificate.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	text := bytes.TrimSpace(data)
	if bytes.Contains(text, []byte("PRIVATE KEY")) {
		return nil, errPrivateKey
	}
	if bytes.Contains(text, []byte("-----BEGIN")) {
		return parsePEM(text)
	}
	der := data // as it is: the last byte of a signature may be that of a space
	if compact := strings.Join(strings.Fields(string(text)), ""); compact != "" {
		if b, err := base64.StdEncoding.DecodeString(compact); err == nil {
			der = b
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return []*x509.Certificate{cert}, nil
	}
	if isPrivateKey(der) {
		return nil, errPrivateKey
	}
	return nil, errors.New("no certificate found: give a PEM file, or base64 of DER")
}

func parsePEM(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the input holds a PEM block %q; only CERTIFICATE belongs here", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out)+1, err)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, errors.New("the PEM text is cut short or damaged")
	}
	return out, nil
}

// isPrivateKey reports whether der is a private key in one of its usual forms.
func isPrivateKey(der []byte) bool {
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	_, err := x509.ParseECPrivateKey(der)
	return err == nil
}

// parseAll reads a list of registered certificates, one to a string.
func parseAll(list []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, s := range list {
		certs, err := ParseCertificates([]byte(s))
		if err != nil {
			return nil, err
		}
		out = append(out, certs...)
	}
	return out, nil
}

// PEM writes a certificate in the form in which registrations keep it.
func PEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// Fingerprint is the SHA-256 of a certificate, hex.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// checkKey says what is wrong with the certificate's key; "" if nothing.
func checkKey(cert *x509.Certificate) string {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if cert.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
		return "its key is of a kind that is not known here, such as RSASSA-PSS; SAML messages here take plain RSA only"
	}
	if !ok {
		return fmt.Sprintf("its key is %s; SAML messages here take RSA only", cert.PublicKeyAlgorithm)
	}
	bits := key.N.BitLen()
	if bits < minKeyBits || bits > maxKeyBits {
		return fmt.Sprintf("its RSA key has %d bits; %d to %d are accepted", bits, minKeyBits, maxKeyBits)
	}
	return ""
}

// certWarning says what an operator should know of a certificate's dates; "" if
// nothing.
func certWarning(cert *x509.Certificate, now time.Time) string {
	const day = time.DateOnly
	end := cert.NotAfter.UTC()
	switch {
	case now.After(end):
		return "ended on " + end.Format(day) + "; it goes on working here, but ask the provider for a new one"
	case now.Add(expirySoon).After(end):
		return "ends on " + end.Format(day)
	case now.Before(cert.NotBefore):
		return "is not valid before " + cert.NotBefore.UTC().Format(day)
	}
	return ""
}
