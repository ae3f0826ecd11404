package sp

import (
	"crypto/x509"
	"time"

	"vernal/certs"
	"vernal/idp/partnercert"
)

// expiryWarning is how long before its expiry an operator is warned of a request certificate.
const expiryWarning = 30 * 24 * time.Hour

// parseAll parses a list of registered certificates, one per string.
func parseAll(texts []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, s := range texts {
		list, err := partnercert.Read([]byte(s))
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// encodeEach encodes certificates in the form of registrations, one per string.
func encodeEach(list []*x509.Certificate) []string {
	var out []string
	for _, c := range list {
		out = append(out, certs.EncodePEM(c))
	}
	return out
}

// describeDates returns the warning about a certificate's dates, or "".
func describeDates(cert *x509.Certificate, now time.Time) string {
	const day = time.DateOnly
	end := cert.NotAfter.UTC()
	switch {
	case now.After(end):
		return "ended on " + end.Format(day) + "; it goes on working here, but ask the provider for a new one"
	case now.Add(expiryWarning).After(end):
		return "ends on " + end.Format(day)
	case now.Before(cert.NotBefore):
		return "is not valid before " + cert.NotBefore.UTC().Format(day)
	}
	return ""
}
