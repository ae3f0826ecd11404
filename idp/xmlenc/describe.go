package xmlenc

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"

	"vernal/idp/partnercert"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// Envelope describes encrypted data without the key to it. All of it is claimed by the sender.
// Absent values are "".
type Envelope struct {
	Data   string // algorithm of the content, as EncryptionMethod names it
	Key    string // algorithm of the content's key
	Digest string // inside OAEP
	// Certs are the certificates that the content's key is allegedly encrypted to. There may
	// be none.
	Certs []*x509.Certificate
}

// Describe returns how the EncryptedData in e is encrypted, and to whom. It returns false if e
// has no single EncryptedData that Decrypt would read.
func Describe(e *xmltree.Element) (Envelope, bool) {
	data, wrapped := findEnvelope(e)
	if data == nil {
		return Envelope{}, false
	}
	v := Envelope{Data: readAlgorithm(data), Key: readAlgorithm(wrapped)}
	if digest := findOnlyChild(findOnlyChild(wrapped, namespace, "EncryptionMethod"), xmldsig.Namespace, "DigestMethod"); digest != nil {
		v.Digest, _ = digest.Attr("Algorithm")
	}
	if info := findOnlyChild(wrapped, xmldsig.Namespace, "KeyInfo"); info != nil {
		v.Certs = ListCertificates(info)
	}
	return v, true
}

// maxCertificates bounds the certificates that are read from one element.
const maxCertificates = 8

// ListCertificates returns the certificates in the KeyInfo within an element, without
// duplicates, and at most maxCarried.
func ListCertificates(within *xmltree.Element) (list []*x509.Certificate) {
	for e := range within.All() {
		if !e.Is(xmldsig.Namespace, "X509Certificate") || len(list) == maxCertificates {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(e.Text()), ""))
		if err != nil {
			continue
		}
		if c, err := partnercert.Parse(der); err == nil && !slices.ContainsFunc(list, c.Equal) {
			list = append(list, c)
		}
	}
	return list
}

// FindUnsupported returns the first algorithm that Decrypt does not accept, or "".
func (v Envelope) FindUnsupported() string {
	switch {
	case keySizes[v.Data] == 0:
		return v.Data
	case v.Key != AlgorithmOAEP && v.Key != algorithmOAEP11:
		return v.Key
	case v.Digest != "" && digestHashes[v.Digest] == 0:
		return v.Digest
	}
	return ""
}

// IsEncryptedTo reports whether one of the named certificates has the public key, and whether any
// certificate is named.
func (v Envelope) IsEncryptedTo(public crypto.PublicKey) (is, said bool) {
	key, ok := public.(*rsa.PublicKey)
	for _, c := range v.Certs {
		if ok && key.Equal(c.PublicKey) {
			return true, true
		}
	}
	return false, len(v.Certs) > 0
}

// findEnvelope returns the EncryptedData in e and its EncryptedKey, which is in its KeyInfo or
// beside it (saml-core §2.2.4). Either may be nil.
func findEnvelope(e *xmltree.Element) (data, wrapped *xmltree.Element) {
	if data = findOnlyChild(e, namespace, "EncryptedData"); data == nil {
		return nil, nil
	}
	wrapped = findOnlyChild(findOnlyChild(data, xmldsig.Namespace, "KeyInfo"), namespace, "EncryptedKey")
	if wrapped == nil {
		wrapped = findOnlyChild(e, namespace, "EncryptedKey")
	}
	return data, wrapped
}
