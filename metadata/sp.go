package metadata

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// SPDescriptor is what the metadata of a service provider says that we use.
type SPDescriptor struct {
	EntityID idp.EntityID
	// Name is for people; the entity ID where the document has none.
	Name string
	// ACS are the Assertion Consumer Services with the HTTP-POST binding, the
	// default one first. There is at least one.
	ACS []ACS
	// LogoutURL is where a LogoutResponse is posted; may be empty.
	LogoutURL string
	// RequestCerts are the SP's request certificates; may be empty.
	RequestCerts []*x509.Certificate
	// EncryptionCerts are those of KeyDescriptors with use="encryption". If
	// there is one, Encryption is other than idp.EncryptionNone.
	EncryptionCerts  []*x509.Certificate
	Encryption       string // one of the idp.Encryption constants
	EncryptionDigest string // one of the idp.Digest constants
	// NameIDFormats are the URNs listed. They grant nothing; see Provider.
	NameIDFormats        []string
	AuthnRequestsSigned  bool
	WantAssertionsSigned bool
	// ValidUntil is the earliest validUntil that applies; zero if none.
	ValidUntil time.Time
	// Warnings say, in whole sentences, what was assumed or left out.
	Warnings []string
}

// ACS is one Assertion Consumer Service.
type ACS struct {
	URL   string
	Index int
}

// Problems is the error of ParseSP: everything that stands in the way of a
// registration, each in a sentence for the operator. It may quote the document.
type Problems []string

func (p Problems) Error() string {
	if len(p) == 1 {
		return "metadata: " + p[0]
	}
	return fmt.Sprintf("metadata has %d problems:\n- %s", len(p), strings.Join(p, "\n- "))
}

// Fingerprint is the SHA-256 of a certificate's DER.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns the fingerprint of a certificate.
func FingerprintOf(cert *x509.Certificate) Fingerprint { return sha256.Sum256(cert.Raw) }

// ParseSP reads an EntityDescriptor, or an EntitiesDescriptor that holds a
// single service provider. The fingerprints are those of our own signing
// certificates, of all years: a service provider that was configured with one
// of them as its own is refused. The error is Problems.
func ParseSP(data []byte, now time.Time, ours ...Fingerprint) (*SPDescriptor, error) {
	root, err := xmltree.Parse(data, xmltree.MetadataLimits())
	if err != nil {
		return nil, Problems{"It cannot be read. " + err.Error() + "."}
	}
	r := &spReader{now: now, ours: ours, d: &SPDescriptor{
		Encryption: idp.EncryptionNone, EncryptionDigest: idp.DigestSHA1,
	}}
	if entity := r.unwrap(root); entity != nil {
		r.entity(entity)
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return r.d, nil
}

// Provider is the registration that the metadata asks for, with our
// defaults where metadata has no say: it never sets Agency, and never grants
// the emailAddress format, however much the document asks. State and Active
// are left to the registry.
func (d *SPDescriptor) Provider() *idp.ServiceProvider {
	p := &idp.ServiceProvider{
		EntityID:         d.EntityID,
		Name:             d.Name,
		LogoutURL:        d.LogoutURL,
		Certs:            encodePEM(d.RequestCerts),
		EncryptionCerts:  encodePEM(d.EncryptionCerts),
		SignRequests:     idp.SignRequestsRequired,
		Encryption:       d.Encryption,
		EncryptionDigest: d.EncryptionDigest,
		IAL:              idp.IALAuthOnly,
		AAL:              idp.AALDefault,
		Attributes:       []string{"email"},
		EmailAttribute:   idp.EmailAttributePlain,
		NameIDFormats:    []string{idp.NameIDFormatPersistent},
	}
	for _, a := range d.ACS {
		p.ACSURLs = append(p.ACSURLs, a.URL)
		p.ACSIndexes = append(p.ACSIndexes, a.Index)
	}
	return p
}

func encodePEM(certs []*x509.Certificate) []string {
	var out []string
	for _, c := range certs {
		out = append(out, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	return out
}

// spReader is one reading of one document. It goes on after a problem, so that
// all of them are told at once.
type spReader struct {
	now      time.Time
	ours     []Fingerprint
	d        *SPDescriptor
	problems Problems
}

func (r *spReader) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *spReader) warn(format string, args ...any) {
	r.d.Warnings = append(r.d.Warnings, fmt.Sprintf(format, args...))
}

// unwrap finds the one EntityDescriptor of a service provider; nil with a
// problem noted if there is none, or several.
func (r *spReader) unwrap(root *xmltree.Element) *xmltree.Element {
	switch {
	case root.Is(namespace, "EntityDescriptor"):
		return root
	case !root.Is(namespace, "EntitiesDescriptor"):
		r.problem("It is not SAML metadata: the root element is %s in the namespace %q, not EntityDescriptor in %q.",
			root.Local, root.Space, namespace)
		return nil
	}
	var found []*xmltree.Element
	var names []string
	r.collect(root, func(e *xmltree.Element) {
		found = append(found, e)
		id, _ := e.Attr("entityID")
		names = append(names, id)
	})
	switch len(found) {
	case 1:
		return found[0]
	case 0:
		r.problem("The EntitiesDescriptor holds no service provider: no EntityDescriptor in it has an SPSSODescriptor.")
	default:
		more := ""
		if len(names) > 20 {
			more = fmt.Sprintf(" and %d more", len(names)-20)
			names = names[:20]
		}
		r.problem("The EntitiesDescriptor holds %d service providers: %s%s. Register each from a document of its own.",
			len(found), strings.Join(names, ", "), more)
	}
	return nil
}

// collect calls f for each service provider below an EntitiesDescriptor, and
// checks that the wrappers are still valid.
func (r *spReader) collect(group *xmltree.Element, f func(*xmltree.Element)) {
	r.validity(group)
	for e := range group.Elements() {
		switch {
		case e.Is(namespace, "EntitiesDescriptor"):
			r.collect(e, f)
		case e.Is(namespace, "EntityDescriptor") && e.Child(namespace, "SPSSODescriptor") != nil:
			f(e)
		}
	}
}

// entity reads the EntityDescriptor.
func (r *spReader) entity(e *xmltree.Element) {
	r.validity(e)
	id, _ := e.Attr("entityID")
	id = strings.TrimSpace(id)
	switch {
	case id == "":
		r.problem("The EntityDescriptor has no entityID.")
	case len(id) > 1024:
		r.problem("The entityID is longer than 1024 characters (saml-metadata §2.2.1).")
	case strings.ContainsAny(id, " \t\r\n"):
		r.problem("The entityID %q has white space in it.", id)
	}
	r.d.EntityID = idp.EntityID(id)
	roles := e.Children(namespace, "SPSSODescriptor")
	switch {
	case len(roles) == 0 && e.Child(namespace, "IDPSSODescriptor") != nil:
		r.problem("There is no SPSSODescriptor: this is the metadata of an identity provider, not of a service provider.")
		return
	case len(roles) == 0:
		r.problem("There is no SPSSODescriptor: this is not the metadata of a service provider.")
		return
	case len(roles) > 1:
		r.problem("There are %d SPSSODescriptors, and nothing says which one is meant.", len(roles))
		return
	}
	r.name(e, roles[0])
	r.role(roles[0])
}

// role reads the SPSSODescriptor.
func (r *spReader) role(sp *xmltree.Element) {
	r.validity(sp)
	protocols, _ := sp.Attr("protocolSupportEnumeration")
	if !slices.Contains(strings.Fields(protocols), saml.NamespaceProtocol) {
		r.problem("The SPSSODescriptor does not support SAML 2.0: its protocolSupportEnumeration is %q.", protocols)
	}
	r.d.AuthnRequestsSigned = r.boolean(sp, "AuthnRequestsSigned")
	r.d.WantAssertionsSigned = r.boolean(sp, "WantAssertionsSigned")
	r.keys(sp)
	r.consumers(sp)
	r.logout(sp)
	r.formats(sp)
	if !r.d.AuthnRequestsSigned {
		r.warn("The metadata does not say AuthnRequestsSigned=\"true\". Requests must be signed all the same, unless the provider is registered with sign_requests optional.")
	}
	if len(r.d.RequestCerts) == 0 {
		r.warn("The metadata has no certificate for signing. Without one no signed request can be verified.")
	}
}

// formats notes the NameIDFormats. Metadata grants none of them.
func (r *spReader) formats(sp *xmltree.Element) {
	for _, f := range sp.Children(namespace, "NameIDFormat") {
		r.d.NameIDFormats = append(r.d.NameIDFormats, strings.TrimSpace(f.Text()))
	}
	formats := r.d.NameIDFormats
	if slices.Contains(formats, saml.NameIDFormatEmail) {
		r.warn("The metadata asks for e-mail addresses as NameID. Metadata cannot grant that; an operator can, with name_id_formats.")
	}
	if len(formats) > 0 && !slices.Contains(formats, saml.NameIDFormatPersistent) && !slices.Contains(formats, saml.NameIDFormatUnspecified) {
		r.warn("The metadata does not list the persistent NameID format (only %s). The provider will be sent persistent NameIDs.", strings.Join(formats, ", "))
	}
}
