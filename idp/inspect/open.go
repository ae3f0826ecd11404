package inspect

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// OpenedAssertion is the result of Open for the encrypted assertion in a message.
type OpenedAssertion struct {
	// XML is the assertion, or "" if it could not be decrypted.
	XML string `json:"xml,omitempty"`
	// Fault says why it could not be decrypted.
	Fault string `json:"fault,omitempty"`
}

// Open decrypts the assertion in a message with the private key of the service provider that it is
// for. It runs in the process of the user who has that key, and the service gets only the
// assertion, never the key. It returns nil for a message without an encrypted assertion.
func Open(s FoundMessage, key *rsa.PrivateKey) *OpenedAssertion {
	msg, _, err := new(Report).readMessage(s)
	if err != nil {
		return nil
	}
	sealed := findEncryptedAssertion(msg.Root)
	if sealed == nil {
		return nil
	}
	envelope, ok := xmlenc.Describe(sealed)
	if !ok {
		return &OpenedAssertion{Fault: "it does not contain exactly one EncryptedData"}
	}
	if name := envelope.FindUnsupported(); name != "" {
		return &OpenedAssertion{Fault: "it is encrypted with " + name + ", which Vernal never does and cannot open"}
	}
	if is, said := envelope.IsEncryptedTo(key.Public()); said && !is {
		return &OpenedAssertion{Fault: "the key given is not the one of the certificate that it is encrypted to: " + nameCertificate(envelope.Certs[0])}
	}
	plain, err := xmlenc.Decrypt(sealed, key)
	if err != nil {
		return &OpenedAssertion{Fault: "it does not open with the key given: it is encrypted to another one, or was changed on the way"}
	}
	return &OpenedAssertion{XML: string(plain)}
}

// findEncryptedAssertion returns the EncryptedAssertion of a Response, or nil.
func findEncryptedAssertion(root *xmltree.Element) *xmltree.Element {
	if !root.Is(saml.NamespaceProtocol, "Response") {
		return nil
	}
	return root.Child(saml.NamespaceAssertion, "EncryptedAssertion")
}

// parseWithin parses the decrypted assertion in the context of its original position.
func (o *OpenedAssertion) parseWithin(root, sealed *xmltree.Element) (*xmltree.Element, error) {
	a, err := xmltree.ParseWithin([]byte(o.XML), xmltree.MessageLimits(), root, sealed)
	if err != nil {
		return nil, idp.Refuse(idp.RefusedXML, "EncryptedAssertion", "EncryptedData").WithCause(err)
	}
	if !a.Is(saml.NamespaceAssertion, "Assertion") {
		return nil, idp.Refuse(idp.RefusedMessageType, "EncryptedAssertion", a.Local)
	}
	return a, nil
}

// describeEncryption describes how an element is encrypted, and to whom.
func describeEncryption(e *xmltree.Element) (seen string, certs []*x509.Certificate) {
	v, ok := xmlenc.Describe(e)
	if !ok {
		return "without exactly one EncryptedData", nil
	}
	seen = shortenAlgorithm(v.Data) + ", its key by " + shortenAlgorithm(v.Key)
	if v.Digest != "" {
		seen += " with " + shortenAlgorithm(v.Digest)
	}
	if len(v.Certs) == 0 {
		return seen + ", to a certificate that it does not name", nil
	}
	return seen + ", to the certificate " + nameCertificate(v.Certs[0]), v.Certs
}

// shortenAlgorithm returns the last part of an algorithm's URI, which identifies it.
func shortenAlgorithm(uri string) string {
	return cmp.Or(uri[strings.IndexByte(uri, '#')+1:], "nothing named")
}

// nameCertificate describes a certificate for users.
func nameCertificate(c *x509.Certificate) string {
	return fmt.Sprintf("%s… (%s, ends %s)", certs.CertSHA256(c)[:16], describeSubject(c), c.NotAfter.UTC().Format("2006-01-02"))
}

func describeSubject(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return "CN=" + c.Subject.CommonName
	}
	if s := c.Subject.String(); s != "" {
		return s
	}
	return "serial " + hex.EncodeToString(c.SerialNumber.Bytes())
}
