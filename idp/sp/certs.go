package sp

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"time"

	"vernal/idp"
	"vernal/idp/partnercert"
)

// expirySoon is how long before its end a request certificate is warned of.
const expirySoon = 30 * 24 * time.Hour

// parseAll reads a list of registered certificates, one to a string.
func parseAll(list []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, s := range list {
		certs, err := partnercert.Read([]byte(s))
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
	if bits := key.N.BitLen(); bits < idp.MinKeyBits || bits > idp.MaxKeyBits {
		return fmt.Sprintf("its RSA key has %d bits; %d to %d are accepted", bits, idp.MinKeyBits, idp.MaxKeyBits)
	}
	if key.E < 3 || key.E%2 == 0 {
		return fmt.Sprintf("its RSA key has the public exponent %d, with which anyone can forge a signature", key.E)
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
