package xmldsig

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// These are the parts of the only form of signature that we write: RSA-SHA256 over a single
// Reference with the transforms enveloped-signature and exclusive canonicalization (saml-core
// §5.4). SignedInfo is digested with its namespace declared on itself. The document omits that
// declaration, because ds:Signature contains it.
const (
	signatureStart  = `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`
	signedInfoCanonical = `<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`
	signedInfoStart = `<ds:SignedInfo>`
	signedInfoBeforeID  = `<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>` +
		`<ds:Reference URI="#`
	signedInfoBeforeDigest = `"><ds:Transforms>` +
		`<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>` +
		`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform>` +
		`</ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>`
	signedInfoEnd  = `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	signatureValue = `<ds:SignatureValue>`
	keyInfoStart   = `</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>`
	signatureEnd   = `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>`
)

// Signer signs our documents with one year's key. It is read-only after NewSigner and may be
// shared.
type Signer struct {
	// Cert is our signing certificate, which KeyInfo contains.
	Cert *x509.Certificate

	key  crypto.Signer
	tail []byte // everything after the signature value
}

// NewSigner checks that the key is RSA of at least idp.MinKeyBits and matches the certificate.
// The key may be in a security module. It does not check the certificate's dates, because a
// year in grace continues to sign.
func NewSigner(key crypto.Signer, cert *x509.Certificate) (*Signer, error) {
	if key == nil || cert == nil {
		return nil, errors.New("signer needs a key and a certificate")
	}
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("signing key is %T, not RSA", key.Public())
	}
	if bits := public.N.BitLen(); bits < idp.MinKeyBits {
		return nil, fmt.Errorf("signing key has %d bits, fewer than %d", bits, idp.MinKeyBits)
	}
	if !public.Equal(cert.PublicKey) {
		return nil, errors.New("signing key and certificate do not belong together")
	}
	tail := append([]byte(keyInfoStart), base64.StdEncoding.EncodeToString(cert.Raw)...)
	return &Signer{Cert: cert, key: key, tail: append(tail, signatureEnd...)}, nil
}

// Sign returns a copy of doc with its signature at the byte offset at; see
// SignFrom.
func (s *Signer) Sign(doc []byte, id string, at int) ([]byte, error) {
	return s.SignFrom(slices.Concat(doc), 0, id, at)
}

// SignFrom signs the element that begins at buf[start] and ends with buf, and inserts the
// ds:Signature at buf[at], which must be a valid position for a child of that element. The
// element must be exclusive-canonical, as xmltree.Writer writes it, and id must be the value
// of its ID attribute. It performs one operation with the private key. The result may or may
// not use the memory of buf.
func (s *Signer) SignFrom(buf []byte, start int, id string, at int) ([]byte, error) {
	if start < 0 || at <= start || at >= len(buf) || buf[start] != '<' || buf[at] != '<' {
		return nil, fmt.Errorf("sign: no place for a signature at byte %d of an element from %d to %d", at, start, len(buf))
	}
	if !IsPlainID(id) {
		return nil, fmt.Errorf("sign: %q is not an ID", id)
	}
	digest := sha256.Sum256(buf[start:])
	var room [1024]byte // on the stack; slightly larger than its content
	info := append(room[:0], signedInfoCanonical...)
	info = appendSignedInfo(info, id, digest[:])
	sum := sha256.Sum256(info)
	value, err := s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign with the key of %s: %w", s.Cert.Subject, err)
	}
	info = info[len(signedInfoCanonical):]

	end := len(buf)
	size := len(signatureStart) + len(signedInfoStart) + len(info) + len(signatureValue) +
		base64.StdEncoding.EncodedLen(len(value)) + len(s.tail)
	buf = slices.Grow(buf, size)[:end+size]
	copy(buf[at+size:], buf[at:end])
	out := append(buf[:at], signatureStart...)
	out = append(out, signedInfoStart...)
	out = append(out, info...)
	out = append(out, signatureValue...)
	out = base64.StdEncoding.AppendEncode(out, value)
	copy(buf[len(out):], s.tail)
	return buf, nil
}

// appendSignedInfo appends the content and the end tag of SignedInfo.
func appendSignedInfo(b []byte, id string, digest []byte) []byte {
	b = append(b, signedInfoBeforeID...)
	b = append(b, id...)
	b = append(b, signedInfoBeforeDigest...)
	b = base64.StdEncoding.AppendEncode(b, digest)
	return append(b, signedInfoEnd...)
}

// MaxID bounds an ID, in bytes.
const MaxID = 256

// IsPlainID reports whether id is an ID (xsd:ID) of ASCII characters. Such an ID can be
// returned as InResponseTo and needs no escaping in a Reference.
func IsPlainID(id string) bool { return len(id) <= MaxID && xmltree.IsName(id) }
