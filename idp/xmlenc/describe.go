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

// Envelope is what can be said of encrypted data without the key to it. All of
// it is the sender's word. What is absent is "".
type Envelope struct {
	Data   string // the algorithm of the content, as EncryptionMethod names it
	Key    string // that of its key
	Digest string // inside OAEP
	// Certs are the certificates that the content's key is said to be encrypted
	// to; there may be none.
	Certs []*x509.Certificate
}

// Describe tells how the EncryptedData in e is encrypted, and to whom; false if
// there is not the one that Decrypt would open.
func Describe(e *xmltree.Element) (Envelope, bool) {
	data, wrapped := findEnvelope(e)
	if data == nil {
		return Envelope{}, false
	}
	v := Envelope{Data: algorithmOf(data), Key: algorithmOf(wrapped)}
	if digest := onlyChild(onlyChild(wrapped, namespace, "EncryptionMethod"), xmldsig.Namespace, "DigestMethod"); digest != nil {
		v.Digest, _ = digest.Attr("Algorithm")
	}
	if info := onlyChild(wrapped, xmldsig.Namespace, "KeyInfo"); info != nil {
		v.Certs = CertificatesIn(info)
	}
	return v, true
}

// maxCarried bounds the certificates that are read of one element.
const maxCarried = 8

// CertificatesIn are the certificates that the KeyInfo within an element brings along,
// each once, a few at most.
func CertificatesIn(within *xmltree.Element) (list []*x509.Certificate) {
	for e := range within.All() {
		if !e.Is(xmldsig.Namespace, "X509Certificate") || len(list) == maxCarried {
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

// NotTaken is the first of the algorithms that Decrypt does not open; "" if
// there is none.
func (v Envelope) NotTaken() string {
	switch {
	case keySizes[v.Data] == 0:
		return v.Data
	case v.Key != AlgorithmOAEP && v.Key != algorithmOAEP11:
		return v.Key
	case v.Digest != "" && digests[v.Digest] == 0:
		return v.Digest
	}
	return ""
}

// IsFor reports whether one of the certificates named is of the public key, and
// whether any is named at all.
func (v Envelope) IsFor(public crypto.PublicKey) (is, said bool) {
	key, ok := public.(*rsa.PublicKey)
	for _, c := range v.Certs {
		if ok && key.Equal(c.PublicKey) {
			return true, true
		}
	}
	return false, len(v.Certs) > 0
}

// findEnvelope finds the EncryptedData in e and the EncryptedKey to it, which stands
// in its KeyInfo or beside it (saml-core §2.2.4). Either may be nil.
func findEnvelope(e *xmltree.Element) (data, wrapped *xmltree.Element) {
	if data = onlyChild(e, namespace, "EncryptedData"); data == nil {
		return nil, nil
	}
	wrapped = onlyChild(onlyChild(data, xmldsig.Namespace, "KeyInfo"), namespace, "EncryptedKey")
	if wrapped == nil {
		wrapped = onlyChild(e, namespace, "EncryptedKey")
	}
	return data, wrapped
}
