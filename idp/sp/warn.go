package sp

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"vernal/idp"
)

// certName tells an operator which certificate is meant.
func certName(cert *x509.Certificate) string {
	name := cert.Subject.CommonName
	if name == "" {
		name = cert.Subject.String()
	}
	return fmt.Sprintf("%s (SHA-256 %s…)", name, Fingerprint(cert)[:16])
}

// Warnings says what is allowed in a registration, yet an operator should know.
func Warnings(p *idp.ServiceProvider, now time.Time) []string {
	var out []string
	for _, f := range []namedValues{{"request certificate", p.Certs}, {"encryption certificate", p.EncryptionCerts}} {
		certs, err := parseAll(f.values)
		if err != nil {
			continue // Validate says so
		}
		for _, cert := range certs {
			if w := certWarning(cert, now); w != "" {
				out = append(out, fmt.Sprintf("the %s %s %s", f.name, certName(cert), w))
			}
		}
	}
	for _, f := range addressFields(p) {
		for _, a := range f.values {
			if strings.HasPrefix(a, "http:") {
				out = append(out, fmt.Sprintf("%s %q is http", f.name, a))
			}
		}
	}
	if p.Name == string(p.EntityID) {
		out = append(out, "no name is given: people will read the entity ID where the name should stand (--name)")
	}
	if p.SignRequests == idp.SignRequestsOptional {
		out = append(out, "unsigned AuthnRequests are accepted: anyone can start a sign-in in this provider's name")
	}
	return out
}
