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
	var result []*x509.Certificate
	for _, s := range texts {
		list, err := partnercert.Read([]byte(s))
		if err != nil {
			return nil, err
		}
		result = append(result, list...)
	}
	return result, nil
}

// encodeEach encodes certificates in the form of registrations, one per string.
func encodeEach(list []*x509.Certificate) []string {
	var result []string
	for _, c := range list {
		result = append(result, certs.EncodePEM(c))
	}
	return result
}

// describeDates returns the warning about a certificate's dates, or "".
func describeDates(cert *x509.Certificate, now time.Time) string {
	const layout = time.DateOnly
	endAt := cert.NotAfter.UTC()
	switch {
	case now.After(endAt):
		return "expired on " + endAt.Format(layout) + ": it still works here, but ask the provider for a new one"
	case now.Add(expiryWarning).After(endAt):
		return "expires on " + endAt.Format(layout)
	case now.Before(cert.NotBefore):
		return "is not valid before " + cert.NotBefore.UTC().Format(layout)
	}
	return ""
}
