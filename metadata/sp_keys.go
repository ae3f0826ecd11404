package metadata

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// maxRSABits bounds what a stranger's key can cost us at each signature.
const maxRSABits = 16384

// keys sorts the certificates by use. One without a use could serve both
// purposes by the standard (saml-metadata §2.4.1.1); here it is a request
// certificate alone, because much software publishes one without being able to
// decrypt anything.
func (r *spReader) keys(sp *xmltree.Element) {
	var methods []*xmltree.Element
	for i, e := range sp.Children(namespace, "KeyDescriptor") {
		use, said := e.Attr("use")
		where := fmt.Sprintf("KeyDescriptor %d (use=%q)", i+1, use)
		if !said {
			where = fmt.Sprintf("KeyDescriptor %d (without use)", i+1)
		}
		if said && use != "signing" && use != "encryption" {
			r.problem("%s: use must be signing or encryption.", where)
			continue
		}
		cert := r.certificate(e, where)
		if cert == nil {
			continue
		}
		list := &r.d.RequestCerts
		if use == "encryption" {
			list = &r.d.EncryptionCerts
			methods = append(methods, e.Children(namespace, "EncryptionMethod")...)
		}
		if !slices.ContainsFunc(*list, cert.Equal) {
			*list = append(*list, cert)
		}
	}
	if len(r.d.EncryptionCerts) > 0 {
		r.encryption(methods)
	}
}

// certificate reads the one certificate of a KeyDescriptor; nil with a problem
// noted if there is none that can be used.
func (r *spReader) certificate(key *xmltree.Element, where string) *x509.Certificate {
	var texts []string
	for _, info := range key.Children(namespaceDsig, "KeyInfo") {
		for _, data := range info.Children(namespaceDsig, "X509Data") {
			for _, c := range data.Children(namespaceDsig, "X509Certificate") {
				texts = append(texts, c.Text())
			}
		}
	}
	if len(texts) == 0 {
		r.problem("%s has no X509Certificate. A key's name or bare value is not enough.", where)
		return nil
	}
	listed := make([]*x509.Certificate, 0, len(texts))
	for _, text := range texts {
		certs, err := parseCertificates(text)
		if err != nil {
			r.problem("%s: the certificate cannot be read: %v.", where, err)
			return nil
		}
		listed = append(listed, certs...)
	}
	// A chain would let its authority sign requests; only the first counts.
	cert := listed[0]
	if slices.ContainsFunc(listed, func(c *x509.Certificate) bool { return !c.Equal(cert) }) {
		r.warn("%s lists %d certificates; only the first one, %s, is used.", where, len(listed), cert.Subject)
	}
	if !r.usable(cert, where) {
		return nil
	}
	return cert
}

// usable checks a certificate's key and dates, and that it is not ours.
func (r *spReader) usable(cert *x509.Certificate, where string) bool {
	if slices.Contains(r.ours, FingerprintOf(cert)) {
		r.problem("%s: this is our own signing certificate (%s). The service provider must publish its own request certificate here.", where, cert.Subject)
		return false
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		r.problem("%s: the certificate has a key of type %s; only RSA is supported.", where, cert.PublicKeyAlgorithm)
		return false
	}
	if bits := key.N.BitLen(); bits < xmldsig.MinRSABits || bits > maxRSABits {
		r.problem("%s: the RSA key has %d bits; between %d and %d are supported.", where, bits, xmldsig.MinRSABits, maxRSABits)
		return false
	}
	switch {
	case r.now.After(cert.NotAfter):
		r.warn("%s: the certificate ended on %s. It still works here, but should be replaced.", where, cert.NotAfter.UTC().Format(saml.TimeFormat))
	case r.now.Before(cert.NotBefore):
		r.warn("%s: the certificate begins only on %s.", where, cert.NotBefore.UTC().Format(saml.TimeFormat))
	}
	return true
}

// parseCertificates reads base64 as people paste it: wrapped, indented, with the
// armour of a PEM file around it, without padding. Some software puts a whole
// chain into one value.
func parseCertificates(text string) ([]*x509.Certificate, error) {
	text = strings.ReplaceAll(text, "-----BEGIN CERTIFICATE-----", "")
	text = strings.ReplaceAll(text, "-----END CERTIFICATE-----", "")
	text = strings.TrimRight(strings.Join(strings.Fields(text), ""), "=")
	if text == "" {
		return nil, errors.New("it is empty")
	}
	der, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return x509.ParseCertificates(der)
}

// encryption chooses the algorithms: the first that the provider lists and we
// have, for the content and for the digest inside OAEP.
func (r *spReader) encryption(methods []*xmltree.Element) {
	r.d.Encryption = ""
	digest := ""
	var other []string
	for _, m := range methods {
		algorithm, _ := m.Attr("Algorithm")
		switch strings.TrimSpace(algorithm) {
		case xmlenc.AlgorithmCBC:
			r.setEncryption(idp.EncryptionCBC)
		case xmlenc.AlgorithmGCM:
			r.setEncryption(idp.EncryptionGCM)
		case xmlenc.AlgorithmOAEP:
			if digest == "" {
				digest = oaepDigest(m)
			}
		default:
			other = append(other, algorithm)
		}
	}
	if digest != "" {
		r.d.EncryptionDigest = digest
	}
	if r.d.Encryption == "" {
		r.d.Encryption = idp.EncryptionCBC
		if len(other) > 0 {
			r.warn("The metadata names neither aes256-cbc nor aes256-gcm for encryption (only %s); aes256-cbc is used.", strings.Join(other, ", "))
		}
	}
	if digest == "" && slices.Contains(other, "http://www.w3.org/2001/04/xmlenc#rsa-1_5") {
		r.warn("The metadata names RSA with PKCS #1 v1.5 for encryption, which is not safe; RSA-OAEP is used.")
	}
}

func (r *spReader) setEncryption(e string) {
	if r.d.Encryption == "" {
		r.d.Encryption = e
	}
}

// oaepDigest is the digest that an EncryptionMethod of RSA-OAEP asks for.
func oaepDigest(method *xmltree.Element) string {
	d := method.Child(namespaceDsig, "DigestMethod")
	if d == nil {
		return idp.DigestSHA1
	}
	if a, _ := d.Attr("Algorithm"); strings.TrimSpace(a) == xmlenc.AlgorithmSHA256 {
		return idp.DigestSHA256
	}
	return idp.DigestSHA1
}
