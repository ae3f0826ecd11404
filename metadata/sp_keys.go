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
		use, hasUse := e.Attr("use")
		label := fmt.Sprintf("KeyDescriptor %d (use=%q)", i+1, use)
		if !hasUse {
			label = fmt.Sprintf("KeyDescriptor %d (without use)", i+1)
		}
		part, list := PartSigningKey, &r.descriptor.RequestCerts
		switch strings.ToLower(strings.TrimSpace(use)) {
		case "encryption":
			part, list = PartEncryptionKey, &r.descriptor.EncryptionCerts
		case "signing", "":
		default:
			r.addFault(PartUse, "%s cannot be used: use is neither signing nor encryption.", label)
			continue
		}
		cert := r.readCertificate(e, part, label)
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
		r.addNote(PartSigningKey, "The metadata has no certificate for signing. Without a certificate, signed requests cannot be verified.")
	}
}

// keepBest keeps the certificates with the best dates, at most xmldsig.MaxCertificates.
func (r *spReader) keepBest(list []*x509.Certificate, part Part) []*x509.Certificate {
	if len(list) <= xmldsig.MaxCertificates {
		return list
	}
	rest := slices.Clone(list)
	var result []*x509.Certificate
	for len(result) < xmldsig.MaxCertificates {
		best := partnercert.Choose(rest, r.now)
		result = append(result, best)
		rest = slices.DeleteFunc(rest, best.Equal)
	}
	r.addNote(part, "The metadata has %d certificates of one use. Only %d are used, valid and new ones first.", len(list), len(result))
	return result
}

// readCertificate reads the certificate of a KeyDescriptor. It returns nil and records a fault
// if it finds no usable one.
func (r *spReader) readCertificate(key *xmltree.Element, part Part, label string) *x509.Certificate {
	var texts, elements []string
	fault := ""
	for _, info := range key.Children(xmldsig.Namespace, "KeyInfo") {
		for e := range info.Elements() {
			elements = append(elements, e.Local)
		}
		for _, data := range info.Children(xmldsig.Namespace, "X509Data") {
			for _, c := range data.Children(xmldsig.Namespace, "X509Certificate") {
				switch text := strings.TrimSpace(c.Text()); {
				case text != "":
					texts = append(texts, text)
				case len(c.Nodes) > 1:
					fault = "contains other elements"
				default:
					fault = "is empty"
				}
			}
		}
	}
	switch {
	case len(texts) == 0 && fault != "":
		r.addFault(part, "%s cannot be used: its X509Certificate %s.", label, fault)
		return nil
	case len(texts) == 0:
		r.addFault(part, "%s cannot be used: %s. The certificate itself is needed, in KeyInfo/X509Data/X509Certificate.", label, describeKeyInfo(key, elements))
		return nil
	}
	parsedCerts, err := partnercert.Read([]byte(texts[0]))
	if err != nil {
		r.addFault(part, "%s cannot be used: its X509Certificate cannot be read: %v.", label, err)
		return nil
	}
	for _, text := range texts[1:] {
		if chain, err := partnercert.Read([]byte(text)); err == nil {
			parsedCerts = append(parsedCerts, chain...)
		}
	}
	// A chain would let its CA sign requests, so only certificates with the key of the first
	// one count.
	candidates := slices.DeleteFunc(slices.Clone(parsedCerts), func(c *x509.Certificate) bool { return !equalKeys(c, parsedCerts[0]) })
	cert := partnercert.Choose(candidates, r.now)
	if slices.ContainsFunc(parsedCerts, func(c *x509.Certificate) bool { return !c.Equal(cert) }) || len(parsedCerts) < len(texts) {
		r.addNote(PartChain, "%s lists several certificates. Only %s is used.", label, nameCertificate(cert))
	}
	if !r.isUsable(cert, part, label) {
		return nil
	}
	return cert
}

// describeKeyInfo describes the content that a KeyDescriptor has in place of a certificate.
// elements lists the elements in its KeyInfo.
func describeKeyInfo(key *xmltree.Element, elements []string) string {
	if len(elements) > 0 {
		return "its KeyInfo has no X509Certificate, only " + strings.Join(slices.Compact(elements), ", ")
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
func (r *spReader) isUsable(cert *x509.Certificate, part Part, label string) bool {
	if slices.ContainsFunc(r.options.OurCerts, cert.Equal) {
		r.addFault(part, "%s cannot be used: this is our own signing certificate (%s). The service provider must publish its own certificate here.", label, nameCertificate(cert))
		return false
	}
	if reason := partnercert.CheckKey(cert); reason != "" {
		r.addFault(part, "%s cannot be used: it is the certificate %s, and %s.", label, nameCertificate(cert), reason)
		return false
	}
	switch {
	case r.now.After(cert.NotAfter):
		r.addNote(part, "%s: the certificate expired on %s. Vernal still accepts it, but the provider should replace it.", label, cert.NotAfter.UTC().Format(saml.TimeFormat))
	case r.now.Before(cert.NotBefore):
		r.addNote(part, "%s: the certificate is not valid before %s.", label, cert.NotBefore.UTC().Format(saml.TimeFormat))
	}
	return true
}

// Key transports that an EncryptionMethod may name in addition to AlgorithmOAEP.
const (
	algorithmPKCS1  = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
	algorithmOAEP11 = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
)

// chooseEncryption chooses the algorithms: the first supported one that the provider lists,
// for the content and for the digest inside OAEP. It records the unsupported ones if it
// finds no other.
func (r *spReader) chooseEncryption(methods []*xmltree.Element) {
	r.descriptor.Encryption = ""
	hasOAEP, hasPKCS1, hasOAEP11 := false, false, false
	var otherAlgorithms []string
	for _, m := range methods {
		algorithm, _ := m.Attr("Algorithm")
		switch algorithm = strings.TrimSpace(algorithm); algorithm {
		case xmlenc.AlgorithmCBC:
			r.descriptor.Encryption = cmp.Or(r.descriptor.Encryption, idp.EncryptionCBC)
		case xmlenc.AlgorithmGCM:
			r.descriptor.Encryption = cmp.Or(r.descriptor.Encryption, idp.EncryptionGCM)
		case xmlenc.AlgorithmOAEP:
			if !hasOAEP {
				r.readOAEPDigest(m)
			}
			hasOAEP = true
		case algorithmPKCS1:
			hasPKCS1 = true
		case algorithmOAEP11:
			hasOAEP11 = true
		case "":
			r.addFault(PartMethod, "An EncryptionMethod without an Algorithm was left out.")
		default:
			otherAlgorithms = append(otherAlgorithms, algorithm)
		}
	}
	if r.descriptor.Encryption == "" {
		r.descriptor.Encryption = idp.EncryptionCBC
		if len(otherAlgorithms) > 0 {
			r.addNote(PartMethod, "The metadata names neither aes256-cbc nor aes256-gcm for encryption (only %s). aes256-cbc is used.", strings.Join(otherAlgorithms, ", "))
		}
	}
	switch {
	case hasOAEP:
	case hasOAEP11:
		r.addNote(PartMethod, "The metadata names only RSA-OAEP of XML Encryption 1.1 (%s) for the key. RSA-OAEP of version 1.0 with SHA-1 is used (rsa-oaep-mgf1p).", algorithmOAEP11)
	case hasPKCS1:
		r.addNote(PartMethod, "The metadata names RSA with PKCS #1 v1.5 for encryption, which is not secure. RSA-OAEP is used.")
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
		r.addNote(PartMethod, "The metadata names the digest %q inside RSA-OAEP, which is not supported. SHA-1 is used.", a)
	}
}
