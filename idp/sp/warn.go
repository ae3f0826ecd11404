package sp

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/partnercert"
)

// certName returns a name by which an operator can identify a certificate.
func certName(cert *x509.Certificate) string {
	name := cert.Subject.CommonName
	if name == "" {
		name = cert.Subject.String()
	}
	if name == "" {
		return fmt.Sprintf("with SHA-256 %s…", certs.CertSHA256(cert)[:16])
	}
	return fmt.Sprintf("%s (SHA-256 %s…)", name, certs.CertSHA256(cert)[:16])
}

// Warnings returns warnings about an allowed registration, and suggestions how to fix them.
func Warnings(p *idp.ServiceProvider, now time.Time) (out []string, suggestions []idp.Suggestion) {
	request, err := parseAll(p.Certs)
	if err == nil { // otherwise Validate reports it
		for _, cert := range request {
			if w := certWarning(cert, now); w != "" {
				out = append(out, fmt.Sprintf("the request certificate %s %s", certName(cert), w))
			}
		}
	}
	if encryption, err := parseAll(p.EncryptionCerts); err == nil {
		out = append(out, encryptionWarnings(encryption, now)...)
		for _, cert := range unusedCerts(encryption, now) {
			suggestions = append(suggestions, idp.Suggest(idp.DoSPEdit, string(p.EntityID)).
				WithOption(idp.OptionRemoveEncryptionCert, certs.CertSHA256(cert)[:16]).WithLabel(idp.LabelRemoveCertificate))
		}
	}
	for _, f := range addressFields(p) {
		for _, a := range f.values {
			if strings.HasPrefix(a, "http:") {
				out = append(out, fmt.Sprintf("%s %q is http", f.name, a))
			}
		}
	}
	if p.Logo != "" && p.LogoPath() == "" {
		out = append(out, fmt.Sprintf("logo %q is a URL, which pages do not show; give the file instead", idp.Clip(p.Logo, 80)))
	}
	if p.Name == p.EntityID.DisplayName() {
		out = append(out, fmt.Sprintf("no name is given: users will read %q", p.Name))
		suggestions = append(suggestions, suggestName(p.EntityID))
	}
	if p.SignRequests == idp.SignRequestsOptional {
		out = append(out, "unsigned AuthnRequests are accepted: anyone can start a sign-in in this provider's name")
	}
	return out, suggestions
}

func suggestName(id idp.EntityID) idp.Suggestion {
	return idp.Suggest(idp.DoSPEdit, string(id)).WithOption(idp.OptionName, "").WithLabel(idp.LabelNameProvider)
}

// unusedCerts returns the expired encryption certificates that are not used.
func unusedCerts(list []*x509.Certificate, now time.Time) []*x509.Certificate {
	used := partnercert.Choose(list, now)
	return slices.DeleteFunc(slices.Clone(list), func(c *x509.Certificate) bool { return c == used || !now.After(c.NotAfter) })
}

// encryptionWarnings returns the warnings about encryption certificates. One that is never
// chosen does no harm, but another one is needed before the used one expires.
func encryptionWarnings(list []*x509.Certificate, now time.Time) []string {
	var out []string
	used := partnercert.Choose(list, now)
	for _, cert := range list {
		w := certWarning(cert, now)
		switch {
		case cert == used && w != "":
			out = append(out, fmt.Sprintf("the encryption certificate %s %s", certName(cert), w))
		case cert != used && now.After(cert.NotAfter):
			out = append(out, fmt.Sprintf("the encryption certificate %s ended on %s and is not used",
				certName(cert), cert.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	if len(list) > 1 {
		out = append(out, fmt.Sprintf("of %d encryption certificates, assertions are encrypted to %s", len(list), certName(used)))
	}
	return out
}
