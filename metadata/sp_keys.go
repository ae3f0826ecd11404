package metadata

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/partnercert"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// readKeys sorts the certificates by use. By the standard, one without a use serves both
// purposes (saml-metadata §2.4.1.1). Here it is a request certificate only, because much
// software publishes one without being able to decrypt anything.
func (r *spReader) readKeys(sp *xmltree.Element) {
	var methods []*xmltree.Element
	for i, e := range sp.Children(namespace, "KeyDescriptor") {
		use, said := e.Attr("use")
		where := fmt.Sprintf("KeyDescriptor %d (use=%q)", i+1, use)
		if !said {
			where = fmt.Sprintf("KeyDescriptor %d (without use)", i+1)
		}
		part, list := PartSigningKey, &r.descriptor.RequestCerts
		switch strings.ToLower(strings.TrimSpace(use)) {
		case "encryption":
			part, list = PartEncryptionKey, &r.descriptor.EncryptionCerts
		case "signing", "":
		default:
			r.addFault(PartUse, "%s cannot be used: use is neither signing nor encryption.", where)
			continue
		}
		cert := r.readCertificate(e, part, where)
		if cert == nil {
			continue
		}
		if part == PartEncryptionKey {
			methods = append(methods, e.Children(namespace, "EncryptionMethod")...)
		}
		if !slices.ContainsFunc(*list, cert.Equal) {
			*list = append(*list, cert)
		}
	}
	r.settleParts(len(r.descriptor.RequestCerts) > 0, PartSigningKey, PartUse)
	r.settleParts(len(r.descriptor.EncryptionCerts) > 0, PartEncryptionKey)
	r.descriptor.RequestCerts = r.keepBest(r.descriptor.RequestCerts, PartSigningKey)
	r.descriptor.EncryptionCerts = r.keepBest(r.descriptor.EncryptionCerts, PartEncryptionKey)
	if len(r.descriptor.EncryptionCerts) > 0 {
		r.chooseEncryption(methods)
	}
	if len(r.descriptor.RequestCerts) == 0 && !r.options.HasKeys {
		r.addNote(PartSigningKey, "The metadata has no certificate for signing. Without one no signed request can be verified.")
	}
}

// keepBest keeps the certificates with the best dates, as many as are tried.
func (r *spReader) keepBest(list []*x509.Certificate, part Part) []*x509.Certificate {
	if len(list) <= xmldsig.MaxCertificates {
		return list
	}
	rest := slices.Clone(list)
	var kept []*x509.Certificate
	for len(kept) < xmldsig.MaxCertificates {
		best := partnercert.Choose(rest, r.now)
		kept = append(kept, best)
		rest = slices.DeleteFunc(rest, best.Equal)
	}
	r.addNote(part, "The metadata has %d certificates of one use; %d are kept, those that are valid now and the newest first.", len(list), len(kept))
	return kept
}

// readCertificate reads the certificate of a KeyDescriptor. It returns nil and records a fault
// if it finds no usable one.
func (r *spReader) readCertificate(key *xmltree.Element, part Part, where string) *x509.Certificate {
	var texts, beside []string
	unread := ""
	for _, info := range key.Children(xmldsig.Namespace, "KeyInfo") {
		for e := range info.Elements() {
			beside = append(beside, e.Local)
		}
		for _, data := range info.Children(xmldsig.Namespace, "X509Data") {
			for _, c := range data.Children(xmldsig.Namespace, "X509Certificate") {
				switch text := strings.TrimSpace(c.Text()); {
				case text != "":
					texts = append(texts, text)
				case len(c.Nodes) > 1:
					unread = "has other elements in it"
				default:
					unread = "is empty"
				}
			}
		}
	}
	switch {
	case len(texts) == 0 && unread != "":
		r.addFault(part, "%s cannot be used: its X509Certificate %s.", where, unread)
		return nil
	case len(texts) == 0:
		r.addFault(part, "%s cannot be used: %s. The certificate itself is needed, in KeyInfo/X509Data/X509Certificate.", where, describeKeyInfo(key, beside))
		return nil
	}
	listed, err := partnercert.Read([]byte(texts[0]))
	if err != nil {
		r.addFault(part, "%s cannot be used: what is in its X509Certificate cannot be read: %v.", where, err)
		return nil
	}
	for _, text := range texts[1:] {
		if more, err := partnercert.Read([]byte(text)); err == nil {
			listed = append(listed, more...)
		}
	}
	// A chain would let its CA sign requests, so only certificates with the key of the first
	// one count.
	same := slices.DeleteFunc(slices.Clone(listed), func(c *x509.Certificate) bool { return !equalKeys(c, listed[0]) })
	cert := partnercert.Choose(same, r.now)
	if slices.ContainsFunc(listed, func(c *x509.Certificate) bool { return !c.Equal(cert) }) || len(listed) < len(texts) {
		r.addNote(PartChain, "%s lists several certificates; only %s is used.", where, nameCertificate(cert))
	}
	if !r.isUsable(cert, part, where) {
		return nil
	}
	return cert
}

// describeKeyInfo describes the content that a KeyDescriptor has in place of a certificate.
// beside lists the elements in its KeyInfo.
func describeKeyInfo(key *xmltree.Element, beside []string) string {
	if len(beside) > 0 {
		return "its KeyInfo has no X509Certificate, only " + strings.Join(slices.Compact(beside), ", ")
	}
	for e := range key.Elements() {
		if e.Local == "KeyInfo" && e.Space != xmldsig.Namespace {
			return fmt.Sprintf("its KeyInfo is in the namespace %q, not in %q", e.Space, xmldsig.Namespace)
		}
	}
	return "it has no KeyInfo, or an empty one"
}

func equalKeys(a, b *x509.Certificate) bool {
	key, ok := a.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return a == b || ok && key.Equal(b.PublicKey)
}

// nameCertificate describes a certificate for an operator.
func nameCertificate(cert *x509.Certificate) string {
	if name := cert.Subject.String(); name != "" {
		return name
	}
	return "the one with SHA-256 " + certs.CertSHA256(cert)[:16] + "…"
}

// isUsable checks a certificate's key and dates, and that it is not ours. It records a fault
// if one check fails.
func (r *spReader) isUsable(cert *x509.Certificate, part Part, where string) bool {
	if slices.ContainsFunc(r.options.OurCerts, cert.Equal) {
		r.addFault(part, "%s cannot be used: this is our own signing certificate (%s). The service provider must publish its own certificate here.", where, nameCertificate(cert))
		return false
	}
	if what := partnercert.CheckKey(cert); what != "" {
		r.addFault(part, "%s cannot be used: it is the certificate %s, and %s.", where, nameCertificate(cert), what)
		return false
	}
	switch {
	case r.now.After(cert.NotAfter):
		r.addNote(part, "%s: the certificate ended on %s. It still works here, but should be replaced.", where, cert.NotAfter.UTC().Format(saml.TimeFormat))
	case r.now.Before(cert.NotBefore):
		r.addNote(part, "%s: the certificate begins only on %s.", where, cert.NotBefore.UTC().Format(saml.TimeFormat))
	}
	return true
}

// Key transports that an EncryptionMethod may name beside AlgorithmOAEP.
const (
	algorithmPKCS1  = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
	algorithmOAEP11 = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
)

// chooseEncryption chooses the algorithms: the first supported one that the provider lists,
// for the content and for the digest inside OAEP. It records unsupported ones if no other
// fits.
func (r *spReader) chooseEncryption(methods []*xmltree.Element) {
	r.descriptor.Encryption = ""
	oaep, pkcs1, oaep11 := false, false, false
	var content []string
	for _, m := range methods {
		algorithm, _ := m.Attr("Algorithm")
		switch algorithm = strings.TrimSpace(algorithm); algorithm {
		case xmlenc.AlgorithmCBC:
			r.descriptor.Encryption = cmp.Or(r.descriptor.Encryption, idp.EncryptionCBC)
		case xmlenc.AlgorithmGCM:
			r.descriptor.Encryption = cmp.Or(r.descriptor.Encryption, idp.EncryptionGCM)
		case xmlenc.AlgorithmOAEP:
			if !oaep {
				r.readOAEPDigest(m)
			}
			oaep = true
		case algorithmPKCS1:
			pkcs1 = true
		case algorithmOAEP11:
			oaep11 = true
		case "":
			r.addFault(PartMethod, "An EncryptionMethod without an Algorithm was left out.")
		default:
			content = append(content, algorithm)
		}
	}
	if r.descriptor.Encryption == "" {
		r.descriptor.Encryption = idp.EncryptionCBC
		if len(content) > 0 {
			r.addNote(PartMethod, "The metadata names neither aes256-cbc nor aes256-gcm for encryption (only %s); aes256-cbc is used.", strings.Join(content, ", "))
		}
	}
	switch {
	case oaep:
	case oaep11:
		r.addNote(PartMethod, "The metadata names only RSA-OAEP of XML Encryption 1.1 (%s) for the key; RSA-OAEP of version 1.0 with SHA-1 is used (rsa-oaep-mgf1p).", algorithmOAEP11)
	case pkcs1:
		r.addNote(PartMethod, "The metadata names RSA with PKCS #1 v1.5 for encryption, which is not safe; RSA-OAEP is used.")
	}
}

// readOAEPDigest applies the digest that an EncryptionMethod of RSA-OAEP asks for.
func (r *spReader) readOAEPDigest(method *xmltree.Element) {
	d := method.Child(xmldsig.Namespace, "DigestMethod")
	if d == nil {
		return
	}
	switch a, _ := d.Attr("Algorithm"); strings.TrimSpace(a) {
	case xmlenc.AlgorithmSHA256:
		r.descriptor.EncryptionDigest = idp.DigestSHA256
	case xmlenc.AlgorithmSHA1:
	default:
		r.addNote(PartMethod, "The metadata names the digest %q inside RSA-OAEP, which is not supported; SHA-1 is used.", a)
	}
}
