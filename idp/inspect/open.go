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

// Opened is what Open made of the encrypted assertion in a message.
type Opened struct {
	// XML is the assertion; "" if it did not open.
	XML string `json:"xml,omitempty"`
	// Fault is why it did not.
	Fault string `json:"fault,omitempty"`
}

// Open decrypts the assertion in a message with the private key of the service
// provider that it is for. It is for the process of whoever has that key: the
// service is given the assertion, never the key. nil: there is nothing to open.
func Open(s Sent, key *rsa.PrivateKey) *Opened {
	msg, _, err := new(Report).readMessage(s)
	if err != nil {
		return nil
	}
	sealed := encryptedAssertion(msg.Root)
	if sealed == nil {
		return nil
	}
	envelope, ok := xmlenc.Describe(sealed)
	if !ok {
		return &Opened{Fault: "there is not exactly one EncryptedData in it"}
	}
	if name := envelope.NotTaken(); name != "" {
		return &Opened{Fault: "it is encrypted with " + name + ", which Vernal never does and cannot open"}
	}
	if is, said := envelope.IsFor(key.Public()); said && !is {
		return &Opened{Fault: "the key given is not the one of the certificate that it is encrypted to: " + nameCertificate(envelope.Certs[0])}
	}
	plain, err := xmlenc.Decrypt(sealed, key)
	if err != nil {
		return &Opened{Fault: "it does not open with the key given: it is encrypted to another one, or was changed on the way"}
	}
	return &Opened{XML: string(plain)}
}

// encryptedAssertion is the EncryptedAssertion of a Response; nil if there is none.
func encryptedAssertion(root *xmltree.Element) *xmltree.Element {
	if !root.Is(saml.NamespaceProtocol, "Response") {
		return nil
	}
	return root.Child(saml.NamespaceAssertion, "EncryptedAssertion")
}

// assertionIn gives the assertion that was opened, read where it stood.
func (o *Opened) assertionIn(root, sealed *xmltree.Element) (*xmltree.Element, error) {
	a, err := xmltree.ParseWithin([]byte(o.XML), xmltree.MessageLimits(), root, sealed)
	if err != nil {
		return nil, idp.Refuse(idp.RefusedXML, "EncryptedAssertion", "").With(err)
	}
	if !a.Is(saml.NamespaceAssertion, "Assertion") {
		return nil, idp.Refuse(idp.RefusedMessageType, "EncryptedAssertion", a.Local)
	}
	return a, nil
}

// describeEncryption says how something is encrypted, and to whom.
func describeEncryption(e *xmltree.Element) (seen string, certs []*x509.Certificate) {
	v, ok := xmlenc.Describe(e)
	if !ok {
		return "without exactly one EncryptedData", nil
	}
	seen = algorithmName(v.Data) + ", its key by " + algorithmName(v.Key)
	if v.Digest != "" {
		seen += " with " + algorithmName(v.Digest)
	}
	if len(v.Certs) == 0 {
		return seen + ", to a certificate that it does not name", nil
	}
	return seen + ", to the certificate " + nameCertificate(v.Certs[0]), v.Certs
}

// algorithmName is the last word of an algorithm's name, which tells them apart.
func algorithmName(uri string) string {
	return cmp.Or(uri[strings.IndexByte(uri, '#')+1:], "nothing named")
}

// nameCertificate names a certificate for people.
func nameCertificate(c *x509.Certificate) string {
	return fmt.Sprintf("%s… (%s, ends %s)", certs.CertSHA256(c)[:16], certificateSubject(c), c.NotAfter.UTC().Format("2006-01-02"))
}

func certificateSubject(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return "CN=" + c.Subject.CommonName
	}
	if s := c.Subject.String(); s != "" {
		return s
	}
	return "serial " + hex.EncodeToString(c.SerialNumber.Bytes())
}
