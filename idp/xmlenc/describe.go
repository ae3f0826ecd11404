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

// Envelope describes encrypted data without decrypting it. All values are claims of the sender.
// Absent values are "".
type Envelope struct {
	Data   string // algorithm of the content, as EncryptionMethod names it
	Key    string // algorithm of the content's key
	Digest string // inside OAEP
	// Certs are the claimed certificates that the content's key is encrypted to. The list may be
	// empty.
	Certs []*x509.Certificate
}

// Describe returns the algorithms and recipients of the EncryptedData in e. It returns false if e
// has no single EncryptedData that Decrypt would read.
func Describe(e *xmltree.Element) (Envelope, bool) {
	data, encryptedKey := findEnvelope(e)
	if data == nil {
		return Envelope{}, false
	}
	envelope := Envelope{Data: readAlgorithm(data), Key: readAlgorithm(encryptedKey)}
	if digest := findOnlyChild(findOnlyChild(encryptedKey, namespace, "EncryptionMethod"), xmldsig.Namespace, "DigestMethod"); digest != nil {
		envelope.Digest, _ = digest.Attr("Algorithm")
	}
	if info := findOnlyChild(encryptedKey, xmldsig.Namespace, "KeyInfo"); info != nil {
		envelope.Certs = ListCertificates(info)
	}
	return envelope, true
}

// maxCertificates bounds the certificates that are read from one element.
const maxCertificates = 8

// ListCertificates returns the certificates in an element without duplicates, at most
// maxCertificates.
func ListCertificates(parent *xmltree.Element) (list []*x509.Certificate) {
	for e := range parent.All() {
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
func (v Envelope) IsEncryptedTo(publicKey crypto.PublicKey) (isMatch, hasCert bool) {
	key, ok := publicKey.(*rsa.PublicKey)
	for _, c := range v.Certs {
		if ok && key.Equal(c.PublicKey) {
			return true, true
		}
	}
	return false, len(v.Certs) > 0
}

// findEnvelope returns the EncryptedData in e and its EncryptedKey, which is in its KeyInfo or
// next to it (saml-core §2.2.4). Either may be nil.
func findEnvelope(e *xmltree.Element) (data, encryptedKey *xmltree.Element) {
	if data = findOnlyChild(e, namespace, "EncryptedData"); data == nil {
		return nil, nil
	}
	encryptedKey = findOnlyChild(findOnlyChild(data, xmldsig.Namespace, "KeyInfo"), namespace, "EncryptedKey")
	if encryptedKey == nil {
		encryptedKey = findOnlyChild(e, namespace, "EncryptedKey")
	}
	return data, encryptedKey
}
