package metadata

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// Times of the stable document.
const (
	// StableStep is how long the document stays the same, byte for byte.
	StableStep = 7 * 24 * time.Hour
	// StableValidity is how far its validUntil is ahead when it is written.
	StableValidity = 21 * 24 * time.Hour
	// stableCache is its cacheDuration: a reader is at most that far behind a rotation step.
	stableCache = "PT6H"
)

// IdP holds the contents of our documents apart from keys.
type IdP struct {
	// BaseURL is the configured URL of Vernal, without a final slash.
	BaseURL string
	// Organization names the operator in English (saml-metadata §2.3.2.1). OrganizationURL is
	// its home page, or BaseURL if "". Contact is the email address of the technical contact
	// (§2.3.2.2). Empty values are left out.
	Organization, OrganizationURL, Contact string
}

// EntityID returns the entity ID of the identity provider, which is the same in every year.
func (d IdP) EntityID() idp.EntityID { return idp.EntityID(d.BaseURL + "/api/saml") }

// AuthnURL returns the SingleSignOnService URL of a year.
func (d IdP) AuthnURL(y idp.Year) string { return d.BaseURL + "/api/saml/auth" + string(y) }

// MetadataURL returns the URL of a year's document.
func (d IdP) MetadataURL(y idp.Year) string { return d.BaseURL + "/api/saml/metadata" + string(y) }

// CertificateURL returns the URL of a year's certificate.
func (d IdP) CertificateURL(y idp.Year) string {
	return d.BaseURL + "/api/saml/certificate" + string(y) + ".pem"
}

// LogoutURL returns the SingleLogoutService URL of a year.
func (d IdP) LogoutURL(y idp.Year) string { return d.BaseURL + "/api/saml/logout" + string(y) }

// RemoteLogoutURL returns the back-channel SingleLogoutService URL of a year.
func (d IdP) RemoteLogoutURL(y idp.Year) string {
	return d.BaseURL + "/api/saml/remotelogout" + string(y)
}

// WriteYear writes the signed document of one year, with that year's URLs and exactly one certificate,
// that of s. It is byte-stable and has no validUntil, because operators save it as a file that must
// outlive the certificate.
func (d IdP) WriteYear(y idp.Year, s *xmldsig.Signer) ([]byte, error) {
	return d.signDocument(y, s, []*x509.Certificate{s.Cert}, time.Time{})
}

// WriteStable writes the signed document at the URL without a year. It has the preferred year's
// URLs and lists its certificate, that of s, first, then the others of certs in order. Its
// bytes stay the same within a week.
func (d IdP) WriteStable(preferred idp.Year, s *xmldsig.Signer, certs []*x509.Certificate, now time.Time) ([]byte, error) {
	list := []*x509.Certificate{s.Cert}
	for _, c := range certs {
		if !c.Equal(s.Cert) {
			list = append(list, c)
		}
	}
	writtenAt := now.UTC().Truncate(StableStep)
	return d.signDocument(preferred, s, list, writtenAt.Add(StableValidity))
}

// signDocument writes a document twice, because its ID is the hash of the rest.
func (d IdP) signDocument(y idp.Year, s *xmldsig.Signer, certs []*x509.Certificate, validUntil time.Time) ([]byte, error) {
	if err := d.checkYear(y); err != nil {
		return nil, fmt.Errorf("metadata of %q: %w", y, err)
	}
	draft, _, err := d.writeEntity("_", y, certs, validUntil)
	if err != nil {
		return nil, fmt.Errorf("metadata of %q: %w", y, err)
	}
	sum := sha256.Sum256(draft)
	id := "_" + hex.EncodeToString(sum[:16])
	doc, offset, err := d.writeEntity(id, y, certs, validUntil)
	if err != nil {
		return nil, fmt.Errorf("metadata of %q: %w", y, err)
	}
	return s.Sign(doc, id, offset)
}

// checkYear returns an error if no reader could accept the document.
func (d IdP) checkYear(y idp.Year) error {
	switch {
	case !y.IsValid():
		return errors.New("not a year")
	case d.BaseURL == "" || strings.HasSuffix(d.BaseURL, "/"):
		return fmt.Errorf("base URL %q is empty or ends with a slash", d.BaseURL)
	}
	return nil
}

// writeEntity writes the EntityDescriptor without a signature and returns the position of the
// signature, its first child (saml-metadata §3).
func (d IdP) writeEntity(id string, y idp.Year, certs []*x509.Certificate, validUntil time.Time) (doc []byte, offset int, err error) {
	w := xmltree.NewWriter(make([]byte, 0, 8<<10))
	attrs := []xmltree.Attr{newAttr("ID", id), newAttr("entityID", string(d.EntityID()))}
	if !validUntil.IsZero() {
		attrs = append(attrs, newAttr("validUntil", validUntil.Format(saml.TimeFormat)), newAttr("cacheDuration", stableCache))
	}
	w.Start("", namespace, "EntityDescriptor", attrs...)
	offset = w.Len()
	writeAlgorithms(w)
	d.writeDescriptor(w, y, certs)
	d.writeContacts(w)
	w.End()
	doc, err = w.Finish()
	return doc, offset, err
}

// writeAlgorithms lists the algorithms that requests must be signed with (SAML metadata
// profile for algorithm support, §2). Software that reads the list, such as the Shibboleth SP,
// then does not use its default of SHA-1.
func writeAlgorithms(w *xmltree.Writer) {
	w.Start("", namespace, "Extensions")
	w.Start("alg", namespaceAlgorithms, "DigestMethod", newAttr("Algorithm", xmldsig.AlgorithmSHA256))
	w.End()
	w.Start("alg", namespaceAlgorithms, "SigningMethod", newAttr("Algorithm", xmldsig.AlgorithmRSASHA256))
	w.End()
	w.End()
}

// writeDescriptor writes the IDPSSODescriptor. Some software does not start without
// WantAuthnRequestsSigned.
func (d IdP) writeDescriptor(w *xmltree.Writer, y idp.Year, certs []*x509.Certificate) {
	w.Start("", namespace, "IDPSSODescriptor",
		newAttr("WantAuthnRequestsSigned", "true"), newAttr("protocolSupportEnumeration", saml.NamespaceProtocol))
	for _, c := range certs {
		w.Start("", namespace, "KeyDescriptor", newAttr("use", "signing"))
		w.Start("ds", xmldsig.Namespace, "KeyInfo")
		w.Start("ds", xmldsig.Namespace, "X509Data")
		w.Element("ds", xmldsig.Namespace, "X509Certificate", base64.StdEncoding.EncodeToString(c.Raw))
		w.End()
		w.End()
		w.End()
	}
	writeEndpoints(w, "SingleLogoutService", d.LogoutURL(y))
	w.Element("", namespace, "SingleLogoutService", "", newAttr("Binding", saml.BindingURISOAP), newAttr("Location", d.RemoteLogoutURL(y)))
	w.Element("", namespace, "NameIDFormat", saml.NameIDFormatPersistent)
	w.Element("", namespace, "NameIDFormat", saml.NameIDFormatEmail)
	writeEndpoints(w, "SingleSignOnService", d.AuthnURL(y))
	w.End()
}

func writeEndpoints(w *xmltree.Writer, name, url string) {
	w.Element("", namespace, name, "", newAttr("Binding", saml.BindingURIPOST), newAttr("Location", url))
	w.Element("", namespace, name, "", newAttr("Binding", saml.BindingURIRedirect), newAttr("Location", url))
}

func (d IdP) writeContacts(w *xmltree.Writer) {
	if d.Organization != "" {
		lang := xmltree.Attr{Prefix: "xml", Space: xmltree.XMLNamespace, Local: "lang", Value: "en"}
		w.Start("", namespace, "Organization")
		w.Element("", namespace, "OrganizationName", d.Organization, lang)
		w.Element("", namespace, "OrganizationDisplayName", d.Organization, lang)
		w.Element("", namespace, "OrganizationURL", cmp.Or(d.OrganizationURL, d.BaseURL), lang)
		w.End()
	}
	if d.Contact != "" {
		w.Start("", namespace, "ContactPerson", newAttr("contactType", "technical"))
		w.Element("", namespace, "EmailAddress", "mailto:"+d.Contact)
		w.End()
	}
}

func newAttr(name, value string) xmltree.Attr { return xmltree.Attr{Local: name, Value: value} }
