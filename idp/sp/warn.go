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

// nameCert returns a name by which an operator can identify a certificate.
func nameCert(cert *x509.Certificate) string {
	name := cert.Subject.CommonName
	if name == "" {
		name = cert.Subject.String()
	}
	if name == "" {
		return fmt.Sprintf("with SHA-256 %s…", certs.CertSHA256(cert)[:16])
	}
	return fmt.Sprintf("%s (SHA-256 %s…)", name, certs.CertSHA256(cert)[:16])
}

// ListWarnings returns warnings about an allowed registration, and suggestions that fix them.
func ListWarnings(p *idp.ServiceProvider, now time.Time) (warnings []string, suggestions []idp.Suggestion) {
	requestCerts, err := parseAll(p.Certs)
	if err == nil { // otherwise Validate reports it
		for _, cert := range requestCerts {
			if w := describeDates(cert, now); w != "" {
				warnings = append(warnings, fmt.Sprintf("the request certificate %s %s", nameCert(cert), w))
			}
		}
	}
	if encryptionCerts, err := parseAll(p.EncryptionCerts); err == nil {
		warnings = append(warnings, listEncryptionWarnings(encryptionCerts, now)...)
		for _, cert := range findUnusedCerts(encryptionCerts, now) {
			suggestions = append(suggestions, idp.Suggest(idp.DoSPEdit, string(p.EntityID)).
				WithOption(idp.OptionRemoveEncryptionCert, certs.CertSHA256(cert)[:16]).WithLabel(idp.LabelRemoveCertificate))
		}
	}
	for _, f := range listURLFields(p) {
		for _, a := range f.values {
			if strings.HasPrefix(a, "http:") {
				warnings = append(warnings, fmt.Sprintf("%s %q is http", f.name, a))
			}
		}
	}
	if p.Logo != "" && p.LogoPath() == "" {
		warnings = append(warnings, fmt.Sprintf("logo %q is a URL, which pages do not show: give the file instead", idp.Clip(p.Logo, 80)))
	}
	if p.Name == p.EntityID.DisplayName() {
		warnings = append(warnings, fmt.Sprintf("the name is missing: users see %q", p.Name))
		suggestions = append(suggestions, suggestNaming(p.EntityID))
	}
	if p.SignRequests == idp.SignRequestsOptional {
		warnings = append(warnings, "unsigned AuthnRequests are accepted: anyone can start a sign-in in this provider's name")
	}
	return warnings, suggestions
}

func suggestNaming(id idp.EntityID) idp.Suggestion {
	return idp.Suggest(idp.DoSPEdit, string(id)).WithOption(idp.OptionName, "").WithLabel(idp.LabelNameProvider)
}

// findUnusedCerts returns the expired encryption certificates that are not used.
func findUnusedCerts(list []*x509.Certificate, now time.Time) []*x509.Certificate {
	usedCert := partnercert.Choose(list, now)
	return slices.DeleteFunc(slices.Clone(list), func(c *x509.Certificate) bool { return c == usedCert || !now.After(c.NotAfter) })
}

// listEncryptionWarnings returns the warnings about encryption certificates. One that is never
// chosen does no harm, but another one is needed before the used one expires.
func listEncryptionWarnings(list []*x509.Certificate, now time.Time) []string {
	var warnings []string
	usedCert := partnercert.Choose(list, now)
	for _, cert := range list {
		w := describeDates(cert, now)
		switch {
		case cert == usedCert && w != "":
			warnings = append(warnings, fmt.Sprintf("the encryption certificate %s %s", nameCert(cert), w))
		case cert != usedCert && now.After(cert.NotAfter):
			warnings = append(warnings, fmt.Sprintf("the encryption certificate %s expired on %s and is not used",
				nameCert(cert), cert.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	if len(list) > 1 {
		warnings = append(warnings, fmt.Sprintf("%d encryption certificates are registered: assertions are encrypted to %s", len(list), nameCert(usedCert)))
	}
	return warnings
}
