// Package partnercert reads certificates in the formats that users have, from files, options,
// metadata and messages.
//
// [Extract] finds the DER in a file: PEM, even damaged by copying, bare base64, DER or UTF-16.
// [Parse] reads one certificate of a partner. Only its public key and dates are used, so other
// parts of it may be broken. [Read] does both. Our own certificates only pass through Extract and must
// parse completely.
//
// An *Error names the kind of file and how to fix it. It never quotes the file, nor the error
// of another parser, which does not help an operator.
package partnercert

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptoasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"vernal/idp/filetext"
)

// Bounds on a file.
const (
	// MaxFile is the longest file with certificates, in bytes.
	MaxFile = 256 << 10
	// MaxCertificates is how many certificates one file may contain.
	MaxCertificates = 20
	// maxLayers bounds the nesting of base64 within base64.
	maxLayers = 3
)

// Code identifies the problem with a file, for programs.
type Code string

// The codes of an Error.
const (
	IsEmpty      Code = "empty"
	TooLong      Code = "too_long"
	TooMany      Code = "too_many"
	CutShort     Code = "cut_short"      // PEM without an end
	NotBase64    Code = "not_base64"     // within PEM
	NotFound     Code = "not_found"      // text without a certificate
	BadEncoding  Code = "encoding"       // of characters
	BadDER       Code = "der"            // it begins like a certificate, but is damaged
	BadKey       Code = "key"            // of a certificate
	BadDates     Code = "dates"          // of a certificate
	NotStrict    Code = "not_strict"     // our own certificate breaks a rule
	IsPrivateKey Code = "private_key"    // also with other contents
	IsPublicKey  Code = "public_key"     // without a certificate
	IsRequest    Code = "request"        // PKCS#10
	IsPKCS7      Code = "pkcs7"          // .p7b
	IsPKCS12     Code = "pkcs12"         // .pfx, .p12
	IsCRL        Code = "crl"            // a revocation list
	IsMetadata   Code = "metadata"       // of a service provider
	IsIdP        Code = "idp_metadata"   // of an identity provider
	IsOther      Code = "something_else" // a kind that package filetext names
)

// Error reports why no certificate was read.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string { return e.Text }

func newError(code Code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// File is the result of Extract.
type File struct {
	// Certificates are the DER of each, in the order of the file.
	Certificates [][]byte
	// HasPrivateKey is set if the file also contains a private key.
	HasPrivateKey bool
}

// Read reads the certificates of a partner. It refuses a file with a private key, because the key
// has now been disclosed to a party that must not have it.
func Read(data []byte) ([]*x509.Certificate, error) {
	file, err := Extract(data)
	if file.HasPrivateKey {
		return nil, newError(IsPrivateKey, "it contains a private key: give a file with the certificate alone, "+
			"and treat the key as leaked if it has left its machine")
	}
	if err != nil {
		return nil, err
	}
	out := make([]*x509.Certificate, len(file.Certificates))
	for i, der := range file.Certificates {
		if out[i], err = Parse(der); err == nil {
			continue
		}
		if problem := identifyDER(der); problem != nil {
			return nil, problem
		}
		return nil, err
	}
	return out, nil
}

// Extract returns the certificates in a file, at least one unless it fails. The error is an
// *Error. File.HasPrivateKey is valid even with an error.
func Extract(data []byte) (File, error) {
	r := reader{}
	if len(data) > MaxFile {
		return r.file, newError(TooLong, "it is longer than %d bytes, so it is not a certificate: give the certificate alone", MaxFile)
	}
	if err := r.read(data, 0); err != nil {
		return r.file, err
	}
	if len(r.file.Certificates) == 0 {
		return r.file, r.explainEmpty()
	}
	return r.file, nil
}

// reader reads one file.
type reader struct {
	file File
	// otherContent names the first content of a file other than a certificate.
	otherContent *Error
}

func (r *reader) explainEmpty() error {
	switch {
	case r.otherContent != nil:
		return r.otherContent
	case r.file.HasPrivateKey:
		return newError(IsPrivateKey, "it contains a private key and no certificate: give a file with the certificate")
	}
	return newError(NotFound, "it contains no certificate: give a PEM file (-----BEGIN CERTIFICATE-----), DER, or base64 of DER")
}

func (r *reader) add(der []byte) error {
	if len(r.file.Certificates) == MaxCertificates {
		return newError(TooMany, "it contains more than %d certificates: give a file with the certificates of the partner alone", MaxCertificates)
	}
	r.file.Certificates = append(r.file.Certificates, der)
	return nil
}

// read reads bytes of any kind. layer counts the base64 layers around them.
func (r *reader) read(data []byte, layer int) error {
	kind := filetext.DetectKind(data)
	if kind == filetext.DER {
		return r.readDER(data)
	}
	text, err := filetext.Decode(data)
	switch kind {
	case filetext.Empty:
		return newError(IsEmpty, "it is empty: give the file with the certificate")
	case filetext.PEM:
		return r.readPEM(string(text), layer)
	case filetext.XML:
		return identifyXML(text)
	case filetext.HTML, filetext.Gzip, filetext.Zip, filetext.PDF:
		return newError(IsOther, "it is %s, not a certificate: give the certificate", kind.Article())
	case filetext.Keystore:
		return newError(IsOther, "it is a Java keystore: export the certificate with keytool -exportcert -rfc -keystore FILE -alias NAME -file cert.pem")
	}
	if err != nil {
		if kind == filetext.Binary && bytes.IndexByte(data, 0) < 0 {
			return newError(BadEncoding, "%v", err)
		}
		return newError(IsOther, "it is binary data, not a certificate: give the certificate")
	}
	return r.readText(string(text), kind, layer)
}

func identifyXML(text []byte) error {
	switch {
	case bytes.Contains(text, []byte("SPSSODescriptor")):
		return newError(IsMetadata, "it is SAML metadata, not a certificate: register it as metadata")
	case bytes.Contains(text, []byte("IDPSSODescriptor")):
		return newError(IsIdP, "it is the metadata of an identity provider, not a certificate: give the certificate of the service provider")
	}
	return newError(IsOther, "it is an XML document, not a certificate: give the certificate")
}

// readText reads a text without PEM lines: base64 or hex digits.
func (r *reader) readText(text string, kind filetext.Kind, layer int) error {
	if armourLine.MatchString(text) {
		return r.readPEM(armourLine.ReplaceAllString(text, "-----$1 $2-----"), layer)
	}
	text = compact(strings.Trim(strings.TrimSpace(unescape(text)), `"'`))
	der, err := decodeBase64(text)
	if digits := strings.ReplaceAll(text, ":", ""); strings.HasPrefix(digits, "308") {
		if b, hexErr := hex.DecodeString(digits); hexErr == nil {
			der, err = b, nil
		}
	}
	if err == nil && layer < maxLayers {
		switch filetext.DetectKind(der) {
		case filetext.DER, filetext.PEM:
			return r.read(der, layer+1)
		case filetext.Text: // base64 of base64
			if content := compact(string(der)); strings.HasPrefix(content, "MI") {
				return r.read(der, layer+1)
			}
		}
	}
	if kind == filetext.JSON {
		return newError(IsOther, "it is JSON, not a certificate: give the certificate")
	}
	if strings.HasPrefix(text, "MI") { // the beginning of DER in base64
		if err != nil {
			return newError(NotBase64, "it begins like a certificate in base64, but contains a character that is not base64: copy the certificate again")
		}
		return newError(CutShort, "it begins like a certificate in base64, but is truncated: copy the certificate again")
	}
	return nil
}

// armourLine matches a PEM line whose hyphens an editor has changed or copying has truncated.
var armourLine = regexp.MustCompile(`(?m)[-\x{2010}-\x{2015}\x{2212}]+[ ]?(BEGIN|END) ([A-Z0-9 ]{1,40}?)[ ]?(?:[-\x{2010}-\x{2015}\x{2212}]+|$)`)

var (
	beginLine = regexp.MustCompile(`-----BEGIN ([A-Z0-9# ]{1,40})-----`)
	endLine   = regexp.MustCompile(`-----END ([A-Z0-9# ]{1,40})-----`)
)

// readPEM reads the PEM blocks in a text (RFC 7468) and ignores the text around them. It accepts
// any line ends, indentation, and lines of any length.
func (r *reader) readPEM(text string, layer int) error {
	text = unescape(text)
	// Find it in any position, even if its lines are damaged.
	r.file.HasPrivateKey = r.file.HasPrivateKey || strings.Contains(text, "PRIVATE KEY")
	for {
		match := beginLine.FindStringSubmatchIndex(text)
		if match == nil {
			return nil
		}
		label, body := text[match[2]:match[3]], text[match[1]:]
		endMatch := endLine.FindStringIndex(body)
		nextMatch := beginLine.FindStringIndex(body)
		switch {
		case strings.HasSuffix(label, "PRIVATE KEY"):
		case endMatch == nil, nextMatch != nil && nextMatch[0] < endMatch[0]:
			return newError(CutShort, "its PEM text is truncated, because the line -----END %s----- is missing: copy it again with that line", label)
		default:
			if err := r.readBlock(label, body[:endMatch[0]], layer); err != nil {
				return err
			}
		}
		if endMatch == nil {
			return nil
		}
		text = body[endMatch[1]:]
	}
}

func (r *reader) readBlock(label, body string, layer int) error {
	switch label {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		der, err := decodeBase64(compact(body))
		switch {
		case err != nil:
			return newError(NotBase64, "between its lines -----BEGIN %s----- and -----END %s----- is a character that is not base64: copy the certificate again", label, label)
		case len(der) == 0:
			return newError(IsEmpty, "it has no data between its lines -----BEGIN %s----- and -----END %s-----: copy the certificate again", label, label)
		case filetext.DetectKind(der) == filetext.PEM && layer < maxLayers:
			return r.read(der, layer+1)
		}
		return r.readCertificate(der)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		r.otherContent = cmp.Or(r.otherContent, newError(IsRequest, requestHelp))
	case "PKCS7", "CMS":
		r.otherContent = cmp.Or(r.otherContent, newError(IsPKCS7, pkcs7Help))
	case "X509 CRL":
		r.otherContent = cmp.Or(r.otherContent, newError(IsCRL, "it is a revocation list: give the certificate"))
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		r.otherContent = cmp.Or(r.otherContent, newError(IsPublicKey, publicHelp))
	}
	return nil // ignore parameters of Diffie-Hellman and others
}

const (
	requestHelp = "it contains a certification request: give the certificate that the authority issued for it"
	pkcs7Help   = "it is PKCS#7 (.p7b): run openssl pkcs7 -in FILE -print_certs -out cert.pem first, with -inform DER if it is not PEM"
	pkcs12Help  = "it is PKCS#12 (.pfx, .p12): run openssl pkcs12 -in FILE -nokeys -out cert.pem first"
	publicHelp  = "it is a public key without a certificate: give the certificate"
)

// readCertificate reads the first element of der and ignores the rest: OpenSSL writes another element
// after a trusted certificate, and careless software appends a byte or two.
func (r *reader) readCertificate(der []byte) error {
	input := cryptobyte.String(der)
	var first cryptobyte.String
	if !input.ReadASN1Element(&first, cryptoasn1.SEQUENCE) {
		if readLength(der) > len(der) {
			return newError(CutShort, "the certificate is truncated to %d of %d bytes: copy it again", len(der), readLength(der))
		}
		return newError(BadDER, notCertificate)
	}
	return r.add(first)
}

const notCertificate = "it is not a certificate, or a damaged one (no X.509 structure): ask the partner for the file again"

// readLength returns the encoded length of the element at the beginning of der.
func readLength(der []byte) int {
	if len(der) < 2 || der[1] < 0x80 || der[1] > 0x84 || len(der) < 2+int(der[1]&0x7f) {
		return 0
	}
	n := 0
	for _, c := range der[2 : 2+int(der[1]&0x7f)] {
		n = n<<8 | int(c)
	}
	return n + 2 + int(der[1]&0x7f)
}

// readDER reads concatenated certificates, as some software writes a chain.
func (r *reader) readDER(data []byte) error {
	if problem := identifyDER(data); problem != nil {
		if problem.Code == IsPrivateKey {
			r.file.HasPrivateKey = true
		}
		r.otherContent = problem
		return nil
	}
	if err := r.readCertificate(data); err != nil {
		return err
	}
	input := cryptobyte.String(data)
	var element cryptobyte.String
	input.SkipASN1(cryptoasn1.SEQUENCE)
	for input.ReadASN1Element(&element, cryptoasn1.SEQUENCE) {
		if _, ok := splitCertificate(element); !ok {
			break
		}
		if err := r.add(element); err != nil {
			return err
		}
	}
	return nil
}

// unescape restores the line ends of a text that went through JSON or a shell variable.
func unescape(text string) string {
	return strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(text)
}

var blanks = regexp.MustCompile(`[\s\x{00a0}\x{200b}\x{feff}]+`)

// compact removes all white space, including that of web pages.
func compact(text string) string { return blanks.ReplaceAllString(text, "") }

// decodeBase64 decodes base64 with or without padding.
func decodeBase64(text string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
}
