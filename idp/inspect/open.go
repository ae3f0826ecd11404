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
	// Fault is the reason why it could not be decrypted.
	Fault string `json:"fault,omitempty"`
}

// Open decrypts the assertion in a message with the private key of its service provider. It runs
// in the process of the user who has that key. The service gets only the assertion, never the key.
// Open returns nil for a message without an encrypted assertion.
func Open(s FoundMessage, key *rsa.PrivateKey) *OpenedAssertion {
	msg, _, err := new(Report).readMessage(s)
	if err != nil {
		return nil
	}
	encryptedElement := findEncryptedAssertion(msg.Root)
	if encryptedElement == nil {
		return nil
	}
	envelope, ok := xmlenc.Describe(encryptedElement)
	if !ok {
		return &OpenedAssertion{Fault: "it does not contain exactly one EncryptedData"}
	}
	if name := envelope.FindUnsupported(); name != "" {
		return &OpenedAssertion{Fault: "it is encrypted with " + name + ", which Vernal neither uses nor decrypts"}
	}
	if isMatch, hasCert := envelope.IsEncryptedTo(key.Public()); hasCert && !isMatch {
		return &OpenedAssertion{Fault: "the private key does not match the certificate that the assertion is encrypted to: " + nameCertificate(envelope.Certs[0])}
	}
	xml, err := xmlenc.Decrypt(encryptedElement, key)
	if err != nil {
		return &OpenedAssertion{Fault: "the private key does not decrypt it: use the key that it is encrypted to, and paste the message unchanged"}
	}
	return &OpenedAssertion{XML: string(xml)}
}

// findEncryptedAssertion returns the EncryptedAssertion of a Response, or nil.
func findEncryptedAssertion(root *xmltree.Element) *xmltree.Element {
	if !root.Is(saml.NamespaceProtocol, "Response") {
		return nil
	}
	return root.Child(saml.NamespaceAssertion, "EncryptedAssertion")
}

// parseWithin parses the decrypted assertion in the context of its original position.
func (o *OpenedAssertion) parseWithin(root, encryptedElement *xmltree.Element) (*xmltree.Element, error) {
	assertion, err := xmltree.ParseWithin([]byte(o.XML), xmltree.MessageLimits(), root, encryptedElement)
	if err != nil {
		return nil, idp.Refuse(idp.RefusedXML, "EncryptedAssertion", "EncryptedData").WithCause(err)
	}
	if !assertion.Is(saml.NamespaceAssertion, "Assertion") {
		return nil, idp.Refuse(idp.RefusedMessageType, "EncryptedAssertion", assertion.Local)
	}
	return assertion, nil
}

// describeEncryption describes the encryption of an element, and returns the certificates that it
// is encrypted to.
func describeEncryption(e *xmltree.Element) (seen string, certs []*x509.Certificate) {
	description, ok := xmlenc.Describe(e)
	if !ok {
		return "without exactly one EncryptedData", nil
	}
	seen = shortenAlgorithm(description.Data) + ", its key with " + shortenAlgorithm(description.Key)
	if description.Digest != "" {
		seen += " and " + shortenAlgorithm(description.Digest)
	}
	if len(description.Certs) == 0 {
		return seen + ", to an unnamed certificate", nil
	}
	return seen + ", to the certificate " + nameCertificate(description.Certs[0]), description.Certs
}

// shortenAlgorithm returns the last part of an algorithm's URI, which identifies it.
func shortenAlgorithm(uri string) string {
	return cmp.Or(uri[strings.IndexByte(uri, '#')+1:], "an unnamed algorithm")
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
