package partnercert

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptoasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"vernal/idp"
)

// maxKeyBits bounds the numbers of an RSA key before CheckKey sees them, so that reading one
// is never expensive.
const maxKeyBits = 32768

// Parse reads the certificate of a partner in DER. If crypto/x509 refuses it, Parse reads only the
// public key, the dates and, if possible, the names, because a negative serial number, a URI with a
// space or a character in the wrong alphabet does not affect the key. Such a certificate has Raw,
// PublicKey, PublicKeyAlgorithm, NotBefore and NotAfter, and no extensions. A key of an unknown
// kind is nil. The error is an *Error.
func Parse(der []byte) (*x509.Certificate, error) {
	if c, err := x509.ParseCertificate(der); err == nil {
		return c, nil
	}
	input := cryptobyte.String(der)
	var element cryptobyte.String
	if !input.ReadASN1Element(&element, cryptoasn1.SEQUENCE) {
		return nil, newError(BadDER, notCertificate)
	}
	if len(input) > 0 { // trailing bytes
		if c, err := x509.ParseCertificate(element); err == nil {
			return c, nil
		}
	}
	parts, ok := splitCertificate(element)
	if !ok {
		return nil, newError(BadDER, notCertificate)
	}
	c := &x509.Certificate{
		Raw: element, RawTBSCertificate: parts.tbs, RawSubjectPublicKeyInfo: parts.key,
		RawIssuer: parts.issuer, RawSubject: parts.subject, SerialNumber: new(big.Int).SetBytes(parts.serial),
	}
	if len(parts.serial) > 0 && parts.serial[0] >= 0x80 { // two's complement
		c.SerialNumber.Sub(c.SerialNumber, new(big.Int).Lsh(big.NewInt(1), uint(8*len(parts.serial))))
	}
	if c.NotBefore, c.NotAfter, ok = parseValidity(parts.validity); !ok {
		return nil, newError(BadDates, "the dates of the certificate cannot be read: ask the partner for another certificate")
	}
	var err error
	if c.PublicKeyAlgorithm, c.PublicKey, err = parsePublicKey(parts.key); err != nil {
		return nil, err
	}
	fillName(&c.Subject, parts.subject)
	fillName(&c.Issuer, parts.issuer)
	return c, nil
}

// parts are elements of a TBSCertificate (RFC 5280 §4.1).
type parts struct{ tbs, serial, issuer, validity, subject, key cryptobyte.String }

// splitCertificate parses the elements of a certificate, up to its key.
func splitCertificate(der []byte) (p parts, ok bool) {
	input := cryptobyte.String(der)
	var outer, body cryptobyte.String
	if !input.ReadASN1(&outer, cryptoasn1.SEQUENCE) || !outer.ReadASN1Element(&p.tbs, cryptoasn1.SEQUENCE) {
		return p, false
	}
	tbs := p.tbs
	return p, tbs.ReadASN1(&body, cryptoasn1.SEQUENCE) &&
		body.SkipOptionalASN1(cryptoasn1.Tag(0).Constructed().ContextSpecific()) &&
		body.ReadASN1(&p.serial, cryptoasn1.INTEGER) &&
		body.SkipASN1(cryptoasn1.SEQUENCE) &&
		body.ReadASN1Element(&p.issuer, cryptoasn1.SEQUENCE) &&
		body.ReadASN1(&p.validity, cryptoasn1.SEQUENCE) &&
		body.ReadASN1Element(&p.subject, cryptoasn1.SEQUENCE) &&
		body.ReadASN1Element(&p.key, cryptoasn1.SEQUENCE)
}

// parseValidity reads a Validity. OpenSSL accepts both forms for any year.
func parseValidity(validity []byte) (beginAt, endAt time.Time, ok bool) {
	input := cryptobyte.String(validity)
	for _, t := range []*time.Time{&beginAt, &endAt} {
		var value cryptobyte.String
		var tag cryptoasn1.Tag
		if !input.ReadAnyASN1(&value, &tag) {
			return beginAt, endAt, false
		}
		if *t, ok = parseTime(string(value), tag); !ok {
			return beginAt, endAt, false
		}
	}
	return beginAt, endAt, true
}

func parseTime(s string, tag cryptoasn1.Tag) (time.Time, bool) {
	if len(s) > 30 {
		return time.Time{}, false
	}
	layouts := []string{"20060102150405Z0700", "200601021504Z0700", "20060102150405", "20060102150405.999999999Z0700"}
	if tag == cryptoasn1.UTCTime {
		layouts = []string{"060102150405Z0700", "0601021504Z0700", "060102150405"}
	} else if tag != cryptoasn1.GeneralizedTime {
		return time.Time{}, false
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if tag == cryptoasn1.UTCTime && t.Year() >= 2050 { // RFC 5280 §4.1.2.5.1; time.Parse divides at 69
			t = t.AddDate(-100, 0, 0)
		}
		return t.UTC(), true
	}
	return time.Time{}, false
}

// CheckKey returns the reason why the key of a certificate can neither verify requests nor encrypt
// assertions, or "" if it can. The text follows the name of the certificate.
func CheckKey(c *x509.Certificate) string {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	switch {
	case c.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm:
		return "its key is of an unknown kind, such as RSASSA-PSS or a rare elliptic curve: only plain RSA is supported"
	case !ok:
		return fmt.Sprintf("its key is %s: only RSA is supported", c.PublicKeyAlgorithm)
	}
	if bits := key.N.BitLen(); bits < idp.MinKeyBits || bits > idp.MaxKeyBits {
		return fmt.Sprintf("its RSA key has %d bits: only %d to %d are accepted", bits, idp.MinKeyBits, idp.MaxKeyBits)
	}
	if key.E < 3 || key.E%2 == 0 {
		return fmt.Sprintf("its RSA key has the public exponent %d, with which anyone can forge a signature", key.E)
	}
	return ""
}

var oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}

// parsePublicKey reads a SubjectPublicKeyInfo. A key of an unknown kind is nil.
func parsePublicKey(spki []byte) (x509.PublicKeyAlgorithm, any, error) {
	input := cryptobyte.String(spki)
	var outer, algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	var bits asn1.BitString
	if !input.ReadASN1(&outer, cryptoasn1.SEQUENCE) || !outer.ReadASN1(&algorithm, cryptoasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) || !outer.ReadASN1BitString(&bits) {
		return 0, nil, newError(BadKey, badKeyText)
	}
	if !oid.Equal(oidRSA) {
		switch key, _ := x509.ParsePKIXPublicKey(spki); key := key.(type) {
		case *ecdsa.PublicKey:
			return x509.ECDSA, key, nil
		case ed25519.PublicKey:
			return x509.Ed25519, key, nil
		}
		return x509.UnknownPublicKeyAlgorithm, nil, nil
	}
	der := cryptobyte.String(bits.RightAlign())
	n, e := new(big.Int), new(big.Int)
	var numbers cryptobyte.String
	if len(der) > maxKeyBits/8+64 || !der.ReadASN1(&numbers, cryptoasn1.SEQUENCE) ||
		!numbers.ReadASN1Integer(n) || !numbers.ReadASN1Integer(e) ||
		n.Sign() <= 0 || n.BitLen() > maxKeyBits || e.Sign() <= 0 || e.BitLen() > 31 {
		return 0, nil, newError(BadKey, badKeyText)
	}
	return x509.RSA, &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

const badKeyText = "the public key in the certificate cannot be read: ask the partner for another certificate"

// fillName reads a name for display. An unreadable one stays empty.
func fillName(name *pkix.Name, der []byte) {
	var rdn pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &rdn); err == nil {
		name.FillFromRDNSequence(&rdn)
	}
}

// identifyDER returns an error that names DER other than a certificate, or nil if it may be one.
func identifyDER(der []byte) *Error {
	input := cryptobyte.String(der)
	var body cryptobyte.String
	if !input.ReadASN1(&body, cryptoasn1.SEQUENCE) {
		return nil
	}
	if isPrivateKey(der) {
		return newError(IsPrivateKey, "it is a private key: give the certificate alone, and treat the key as leaked if it has left its machine")
	}
	_, pkixErr := x509.ParsePKIXPublicKey(der)
	if _, pkcs1Err := x509.ParsePKCS1PublicKey(der); pkixErr == nil || pkcs1Err == nil {
		return newError(IsPublicKey, publicHelp)
	}
	var oid asn1.ObjectIdentifier
	if info := body; info.ReadASN1ObjectIdentifier(&oid) {
		if oid.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}) { // signed-data, RFC 2315 §9
			return newError(IsPKCS7, pkcs7Help)
		}
		return nil
	}
	var version int
	if pfx := body; pfx.ReadASN1Integer(&version) && version == 3 { // RFC 7292 §4
		return newError(IsPKCS12, pkcs12Help)
	}
	if isRequest(body) {
		return newError(IsRequest, requestHelp)
	}
	return nil
}

// isRequest reports whether body is that of a CertificationRequest (RFC 2986 §4): a version
// and a name, where a certificate has a serial number, an algorithm and more.
func isRequest(body cryptobyte.String) bool {
	var info cryptobyte.String
	var version int
	return body.ReadASN1(&info, cryptoasn1.SEQUENCE) && info.ReadASN1Integer(&version) && version == 0 &&
		info.SkipASN1(cryptoasn1.SEQUENCE) && info.SkipASN1(cryptoasn1.SEQUENCE) &&
		info.PeekASN1Tag(cryptoasn1.Tag(0).Constructed().ContextSpecific())
}

// maxPrivateKey bounds the data that is tried as a private key, in bytes, because the time to
// check a key grows with the cube of its length.
const maxPrivateKey = 16 << 10

// isPrivateKey reports whether der is a private key in one of its usual forms.
func isPrivateKey(der []byte) bool {
	if len(der) > maxPrivateKey {
		return false
	}
	_, pkcs8Err := x509.ParsePKCS8PrivateKey(der)
	_, pkcs1Err := x509.ParsePKCS1PrivateKey(der)
	_, ecErr := x509.ParseECPrivateKey(der)
	return pkcs8Err == nil || pkcs1Err == nil || ecErr == nil
}
