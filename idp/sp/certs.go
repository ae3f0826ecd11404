package sp

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"time"

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
