package partnercert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"vernal/idp/partnercert"
)

var (
	rsaKey    = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey     = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	beginLine = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	endLine   = time.Date(2032, 1, 1, 0, 0, 0, 0, time.UTC)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newCert returns a certificate for a key, modified by change if that is not nil.
func newCert(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234567), Subject: pkix.Name{CommonName: "sp.example"}, NotBefore: beginLine, NotAfter: endLine,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func block(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func wide(order binary.AppendByteOrder, text string) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

// TestReadAcceptsCopiedForms reads one certificate in the forms that copying leaves it in.
func TestReadAcceptsCopiedForms(t *testing.T) {
	t.Parallel()
	der := newCert(t, rsaKey(), nil)
	text := block("CERTIFICATE", der)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	forms := map[string]string{
		"PEM":                       text,
		"CRLF":                      strings.ReplaceAll(text, "\n", "\r\n"),
		"CR":                        strings.ReplaceAll(text, "\n", "\r"),
		"byte order mark":           "\ufeff" + text,
		"UTF-16LE with a mark":      wide(binary.LittleEndian, "\ufeff"+text),
		"UTF-16BE with a mark":      wide(binary.BigEndian, "\ufeff"+text),
		"UTF-16LE without a mark":   wide(binary.LittleEndian, text),
		"base64 in UTF-16":          wide(binary.LittleEndian, "\ufeff"+b64(der)),
		"indented":                  "      " + strings.Join(lines, "\n      "),
		"YAML":                      "cert: |\n\t" + strings.Join(lines, "\n\t") + "\n",
		"one line":                  strings.Join(lines, ""),
		"one line with spaces":      strings.Join(lines, " "),
		"escaped line ends":         strings.Join(lines, `\n`),
		"JSON string":               `"` + strings.Join(lines, `\r\n`) + `"`,
		"base64 as a JSON string":   `"` + b64(der) + `"`,
		"PEM without padding":       strings.ReplaceAll(text, "=", ""),
		"spaces of a web page":      strings.ReplaceAll(text, "\n", "\u00a0\u200b\n"),
		"Bag Attributes":            "Bag Attributes\n    friendlyName: sp\n    localKeyID: 01 02\nsubject=CN = sp\n" + text,
		"text of openssl x509":      "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + text,
		"X509 CERTIFICATE":          block("X509 CERTIFICATE", der),
		"TRUSTED CERTIFICATE":       block("TRUSTED CERTIFICATE", append(slices.Clone(der), 0x30, 0x0c, 0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2)),
		"dashes of an editor":       strings.NewReplacer("-----BEGIN", "——-BEGIN", "-----END", "——-END", "-----", "—–").Replace(text),
		"hyphens cut":               strings.ReplaceAll(text, "-----", "----"),
		"hyphens cut at the end":    strings.TrimRight(strings.Replace(text, "-----BEGIN", "-BEGIN", 1), "-\n"),
		"beside parameters":         block("DH PARAMETERS", []byte{1}) + text,
		"base64":                    b64(der),
		"base64 in lines":           strings.Join(lines[1:len(lines)-1], "\n  "),
		"base64 without padding":    strings.TrimRight(b64(der), "="),
		"base64 of a PEM":           b64([]byte(text)),
		"base64 of base64":          b64([]byte(b64(der))),
		"PEM of base64 of a PEM":    "-----BEGIN CERTIFICATE-----\n" + b64([]byte(text)) + "\n-----END CERTIFICATE-----",
		"DER":                       string(der),
		"DER and a byte":            string(der) + "\x00",
		"DER and a line end":        string(der) + "\r\n",
		"base64 of DER and a byte":  b64(append(slices.Clone(der), 0)),
		"hex":                       hex.EncodeToString(der),
		"hex with colons, capitals": strings.ToUpper(strings.TrimSuffix(regexp.MustCompile("..").ReplaceAllString(hex.EncodeToString(der), "$0:"), ":")),
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := partnercert.Read([]byte(form))
			if err != nil || len(got) != 1 || !bytes.Equal(got[0].Raw, der) {
				t.Errorf("%d certificates, %v", len(got), err)
			}
		})
	}
	other := newCert(t, ecKey(), nil)
	for name, form := range map[string]string{
		"PEM": text + block("CERTIFICATE", other), "one line": strings.Join(lines, "") + strings.ReplaceAll(block("CERTIFICATE", other), "\n", ""),
		"DER": string(der) + string(other), "base64": b64(slices.Concat(der, other)),
	} {
		if got, err := partnercert.Read([]byte(form)); err != nil || len(got) != 2 || !bytes.Equal(got[0].Raw, der) || !bytes.Equal(got[1].Raw, other) {
			t.Errorf("two in %s: %d certificates, %v", name, len(got), err)
		}
	}
}

// rawText matches the beginnings of error texts of the standard library's parsers.
var rawText = regexp.MustCompile(`x509: |asn1: |pem: |encoding/|illegal base64`)

// TestReadNamesOtherFileKinds checks that the error names the kind of a file that is no
// certificate.
func TestReadNamesOtherFileKinds(t *testing.T) {
	t.Parallel()
	der := newCert(t, rsaKey(), nil)
	text := block("CERTIFICATE", der)
	key := must(x509.MarshalPKCS8PrivateKey(rsaKey()))
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaKey().(*rsa.PrivateKey))
	public := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	request := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, rsaKey()))
	ec := must(x509.MarshalECPrivateKey(ecKey().(*ecdsa.PrivateKey)))
	oid := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, n} }
	pfx := must(asn1.Marshal(struct {
		Version int
		Content struct{ Type asn1.ObjectIdentifier }
		Rest    []byte
	}{3, struct{ Type asn1.ObjectIdentifier }{oid(1)}, make([]byte, 300)}))
	p7 := must(asn1.Marshal(struct {
		Type asn1.ObjectIdentifier
		Rest []byte
	}{oid(2), make([]byte, 300)}))
	broken := strings.Replace(text, "\n", "\n????", 1)
	tests := []struct {
		name, in string
		want     partnercert.Code
	}{
		{"nothing", "", partnercert.IsEmpty},
		{"white space", "\ufeff \r\n", partnercert.IsEmpty},
		{"lines without a certificate", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", partnercert.IsEmpty},
		{"too long", strings.Repeat(" ", partnercert.MaxFile+1), partnercert.TooLong},
		{"too many", strings.Repeat(text, partnercert.MaxCertificates+1), partnercert.TooMany},
		{"text", "hello", partnercert.NotFound},
		{"no end", text[:400], partnercert.CutShort},
		{"no end before another", text[:400] + "\n" + text, partnercert.CutShort},
		{"cut in the middle", block("CERTIFICATE", der[:200]), partnercert.CutShort},
		{"base64 that is cut", b64(der)[:400], partnercert.CutShort},
		{"characters between", broken, partnercert.NotBase64},
		{"characters in base64", b64(der)[:300] + "…" + b64(der)[300:], partnercert.NotBase64},
		{"another structure", block("CERTIFICATE", []byte{0x30, 3, 2, 1, 5}), partnercert.BadDER},
		{"not DER", block("CERTIFICATE", []byte("hello")), partnercert.BadDER},
		{"private key", block("PRIVATE KEY", key), partnercert.IsPrivateKey},
		{"private key and certificate", block("PRIVATE KEY", key) + text, partnercert.IsPrivateKey},
		{"certificate and private key", text + block("RSA PRIVATE KEY", pkcs1), partnercert.IsPrivateKey},
		{"certificate and the beginning of a private key", text + block("RSA PRIVATE KEY", pkcs1)[:100], partnercert.IsPrivateKey},
		{"private key with dashes of an editor", strings.ReplaceAll(block("PRIVATE KEY", key), "-----", "—–"), partnercert.IsPrivateKey},
		{"certificate and a private key with dashes of an editor", text + strings.ReplaceAll(block("PRIVATE KEY", key), "-----", "—–"), partnercert.IsPrivateKey},
		{"private key as DER", string(key), partnercert.IsPrivateKey},
		{"private key as base64", b64(pkcs1), partnercert.IsPrivateKey},
		{"EC private key as DER", string(ec), partnercert.IsPrivateKey},
		{"private key in UTF-16", wide(binary.LittleEndian, "\ufeff"+text+block("PRIVATE KEY", key)), partnercert.IsPrivateKey},
		{"private key in base64 of a PEM", b64([]byte(text + block("PRIVATE KEY", key))), partnercert.IsPrivateKey},
		{"public key", block("PUBLIC KEY", public), partnercert.IsPublicKey},
		{"public key as DER", string(public), partnercert.IsPublicKey},
		{"request", block("CERTIFICATE REQUEST", request), partnercert.IsRequest},
		{"request as DER", string(request), partnercert.IsRequest},
		{"request as a certificate", block("CERTIFICATE", request), partnercert.IsRequest},
		{"PKCS#7", string(p7), partnercert.IsPKCS7},
		{"PKCS#7 in PEM", block("PKCS7", p7), partnercert.IsPKCS7},
		{"PKCS#7 as base64", b64(p7), partnercert.IsPKCS7},
		{"PKCS#12", string(pfx), partnercert.IsPKCS12},
		{"PKCS#12 as base64", b64(pfx), partnercert.IsPKCS12},
		{"revocation list", block("X509 CRL", []byte{1}), partnercert.IsCRL},
		{"Java keystore", "\xfe\xed\xfe\xed\x00\x00\x00\x02", partnercert.IsOther},
		{"HTML", "<!DOCTYPE html><html></html>", partnercert.IsOther},
		{"JSON", `{"cert": "x"}`, partnercert.IsOther},
		{"ZIP", "PK\x03\x04\x00\x00", partnercert.IsOther},
		{"binary", "\x00\x01\x02\xff\xff", partnercert.IsOther},
		{"metadata", `<EntityDescriptor><SPSSODescriptor>` + text + `</SPSSODescriptor></EntityDescriptor>`, partnercert.IsMetadata},
		{"metadata of an identity provider", `<EntityDescriptor><IDPSSODescriptor/></EntityDescriptor>`, partnercert.IsIdP},
		{"ISO-8859-1", "caf\xe9", partnercert.BadEncoding},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := partnercert.Read([]byte(tt.in))
			var e *partnercert.Error
			if !errors.As(err, &e) || e.Code != tt.want || got != nil {
				t.Fatalf("%d certificates, %v; want the code %q", len(got), err, tt.want)
			}
			if raw := rawText.FindString(err.Error()); raw != "" {
				t.Errorf("the text of a parser is shown: %q in %v", raw, err)
			}
		})
	}
}

// A DER certificate is read to its last byte, even if that byte is white space: one signature
// in forty ends so.
func TestReadDERToItsEnd(t *testing.T) {
	t.Parallel()
	for n := range 400 {
		der := newCert(t, ecKey(), func(c *x509.Certificate) { c.SerialNumber = big.NewInt(int64(n + 1)) })
		if got, err := partnercert.Read(der); err != nil || len(got) != 1 || !bytes.Equal(got[0].Raw, der) {
			t.Fatalf("a certificate that ends in %#x: %v", der[len(der)-1], err)
		}
	}
}

// altNames returns an extension subjectAltName with the given content.
func altNames(content ...byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: append([]byte{0x30, byte(len(content))}, content...)}
}

// changed replaces bytes that occur once by the same number of other bytes.
func changed(t testing.TB, der []byte, old, with string) []byte {
	t.Helper()
	if len(old) != len(with) || bytes.Count(der, []byte(old)) < 1 {
		t.Fatalf("%x is in it %d times", old, bytes.Count(der, []byte(old)))
	}
	return bytes.ReplaceAll(der, []byte(old), []byte(with))
}

// TestParseReadsCertificatesGoRefuses reads the key and the dates of certificates that
// crypto/x509 refuses, and of some that it accepts.
func TestParseReadsCertificatesGoRefuses(t *testing.T) {
	t.Parallel()
	plain := newCert(t, rsaKey(), nil)
	uri := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{altNames(append([]byte{0x86, byte(len(s))}, s...)...)}
		}
	}
	constraints := func(value ...byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: value}}
		}
	}
	tests := []struct {
		name   string
		der    []byte
		strict bool // crypto/x509 accepts it
	}{
		{"plain", plain, true},
		{"negative serial number", changed(t, plain, "\x02\x04\x01\x23\x45\x67", "\x02\x04\x81\x23\x45\x67"), false},
		{"URI with a space", newCert(t, rsaKey(), uri("https://a b/")), false},
		{"URI that is none", newCert(t, rsaKey(), uri("https://%zz/")), false},
		{"URI beyond ASCII", newCert(t, rsaKey(), uri("https://\xe9/")), false},
		{"dNSName beyond ASCII", newCert(t, rsaKey(), func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{altNames(0x82, 3, 'a', 0xe9, 'b')}
		}), false},
		{"iPAddress of five bytes", newCert(t, rsaKey(), func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{altNames(0x87, 5, 1, 2, 3, 4, 5)}
		}), false},
		{"boolean that is 1", newCert(t, rsaKey(), constraints(0x30, 3, 1, 1, 1)), false},
		{"extension twice", newCert(t, rsaKey(), func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{altNames(0x82, 1, 'a'), altNames(0x82, 1, 'b')}
		}), false},
		{"extension cut short", newCert(t, rsaKey(), constraints(0x30, 9, 1)), false},
		{"unknown critical extension", newCert(t, rsaKey(), func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), true},
		{"long serial number", newCert(t, rsaKey(), func(c *x509.Certificate) {
			c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 235)
		}), true},
		{"name in no alphabet", changed(t, plain, "\x13\x0asp.example", "\x16\x0asp.exampl\xe9"), false},
		{"name of an unknown type", changed(t, plain, "\x13\x0asp.example", "\x1d\x0asp.example"), false},
		{"version 9", changed(t, plain, "\xa0\x03\x02\x01\x02", "\xa0\x03\x02\x01\x09"), false},
		{"two signature algorithms", append(slices.Clone(plain[:len(plain)-276]), changed(t, plain[len(plain)-276:], "\x01\x01\x0b", "\x01\x01\x0c")...), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := x509.ParseCertificate(tt.der); (err == nil) != tt.strict {
				t.Fatalf("crypto/x509: %v; the case is not what it says", err)
			}
			c, err := partnercert.Parse(tt.der)
			if err != nil {
				t.Fatal(err)
			}
			if !rsaKey().Public().(*rsa.PublicKey).Equal(c.PublicKey) || c.PublicKeyAlgorithm != x509.RSA {
				t.Errorf("another key: %v", c.PublicKey)
			}
			if !c.NotBefore.Equal(beginLine) || !c.NotAfter.Equal(endLine) || !bytes.Equal(c.Raw, tt.der) || c.SerialNumber == nil {
				t.Errorf("dates %v to %v, serial number %v", c.NotBefore, c.NotAfter, c.SerialNumber)
			}
			if tt.name == "negative serial number" && c.SerialNumber.Sign() >= 0 {
				t.Errorf("serial number %v", c.SerialNumber)
			}
		})
	}
}

// TestParseReadsNonstandardDates reads dates that RFC 5280 does not allow but software writes.
func TestParseReadsNonstandardDates(t *testing.T) {
	t.Parallel()
	// The odd extension prevents crypto/x509 from reading it first.
	der := newCert(t, rsaKey(), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{altNames(0x87, 5, 1, 2, 3, 4, 5)}
	})
	const was = "\x17\x0d320101000000Z"
	tests := []struct {
		name, until string
		want        time.Time // zero: refused
	}{
		{"UTCTime", was, endLine},
		{"UTCTime of the last century", "\x17\x0d990101000000Z", time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"UTCTime at its end", "\x17\x0d491231235959Z", time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)},
		{"UTCTime at its beginning", "\x17\x0d500101000000Z", time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"UTCTime without a zone", "\x17\x0c320101000000", endLine},
		{"UTCTime without seconds", "\x17\x0b3201010000Z", endLine},
		{"UTCTime with an offset", "\x17\x11320101020000+0200", endLine},
		{"GeneralizedTime", "\x18\x0f20320101000000Z", endLine},
		{"GeneralizedTime with a fraction", "\x18\x1320320101000000.000Z", endLine},
		{"a month that is none", "\x17\x0d321301000000Z", time.Time{}},
		{"another type", "\x0c\x0d320101000000Z", time.Time{}},
		{"no end", "", time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := partnercert.Parse(spliced(t, der, was, tt.until))
			if tt.want.IsZero() {
				var e *partnercert.Error
				if !errors.As(err, &e) || e.Code != partnercert.BadDates {
					t.Fatalf("%v, want the code %q", err, partnercert.BadDates)
				}
				return
			}
			if err != nil || !c.NotAfter.Equal(tt.want) {
				t.Errorf("%v, %v; want %v", c, err, tt.want)
			}
		})
	}
}

// spliced replaces an element by one of another length, and corrects the lengths of the three
// around it.
func spliced(t testing.TB, der []byte, old, with string) []byte {
	t.Helper()
	out := bytes.Replace(der, []byte(old), []byte(with), 1)
	grow := len(with) - len(old)
	for _, at := range []int{2, 6} { // 30 82 LL LL 30 82 LL LL
		binary.BigEndian.PutUint16(out[at:], uint16(int(binary.BigEndian.Uint16(out[at:]))+grow))
	}
	validity := bytes.Index(out, []byte("\x17\x0d300101000000Z")) - 1
	out[validity] = byte(int(out[validity]) + grow)
	return out
}

// TestParseRefusesDamagedKey checks that a key of an unknown kind is nil and a damaged one is
// an error.
func TestParseRefusesDamagedKey(t *testing.T) {
	t.Parallel()
	odd := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{altNames(0x87, 5, 1, 2, 3, 4, 5)}
	}
	der := newCert(t, rsaKey(), odd)
	spki := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	const rsaOID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
	pss := changed(t, der, rsaOID, rsaOID[:8]+"\x0a")
	if c, err := partnercert.Parse(pss); err != nil || c.PublicKey != nil || c.PublicKeyAlgorithm != x509.UnknownPublicKeyAlgorithm {
		t.Errorf("RSASSA-PSS: %v", err)
	}
	if c, err := partnercert.Parse(newCert(t, ecKey(), odd)); err != nil || c.PublicKeyAlgorithm != x509.ECDSA || !ecKey().Public().(*ecdsa.PublicKey).Equal(c.PublicKey) {
		t.Errorf("EC: %v", err)
	}
	modulus := string(spki[28:40])
	for name, bad := range map[string][]byte{
		"negative modulus": changed(t, der, modulus, strings.Replace(modulus, "\x01\x01\x00", "\x01\x01\x80", 1)),
		"exponent zero":    changed(t, der, "\x02\x03\x01\x00\x01", "\x02\x03\x00\x00\x00"),
	} {
		if bytes.Equal(bad, der) {
			t.Fatalf("%s: nothing was changed", name)
		}
		var e *partnercert.Error
		if _, err := partnercert.Parse(bad); !errors.As(err, &e) || e.Code != partnercert.BadKey {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range len(der) {
		if c, err := partnercert.Parse(der[:n]); err == nil {
			t.Fatalf("the first %d bytes of %d are read: %v", n, len(der), c)
		}
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	cert := func(bits uint, e int) *x509.Certificate {
		return &x509.Certificate{PublicKeyAlgorithm: x509.RSA, PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: e}}
	}
	tests := []struct {
		name string
		cert *x509.Certificate
		good bool
	}{
		{"2048 bits", cert(2048, 65537), true},
		{"exponent 3", cert(2048, 3), true},
		{"4096 bits", cert(4096, 65537), true},
		{"8192 bits", cert(8192, 65537), true},
		{"8193 bits", cert(8193, 65537), false},
		{"2047 bits", cert(2047, 65537), false},
		{"exponent 1", cert(2048, 1), false},
		{"even exponent", cert(2048, 65536), false},
		{"EC", &x509.Certificate{PublicKeyAlgorithm: x509.ECDSA, PublicKey: ecKey().Public()}, false},
		{"unknown", &x509.Certificate{}, false},
	}
	for _, tt := range tests {
		if what := partnercert.CheckKey(tt.cert); (what == "") != tt.good {
			t.Errorf("%s: %q", tt.name, what)
		}
	}
}

func TestChoosePrefersValidCertificate(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)
	cert := func(name string, from, until int) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(0, from, 0), NotAfter: now.AddDate(0, until, 0)}
	}
	ended, older, newer, next := cert("ended", -24, -1), cert("older", -12, 12), cert("newer", -1, 6), cert("next", 1, 24)
	list := func(c ...*x509.Certificate) []*x509.Certificate { return c }
	tests := []struct {
		name string
		list []*x509.Certificate
		want *x509.Certificate
	}{
		{"none", nil, nil},
		{"one that ended", list(ended), ended},
		{"one to come", list(next), next},
		{"valid before ended", list(ended, older), older},
		{"valid before one to come", list(next, older), older},
		{"the one that began last", list(older, newer), newer},
		{"all", list(ended, next, older, newer), newer},
		{"none valid: the one that ended last", list(cert("long ago", -36, -30), ended, next), ended},
		{"all to come: the one that begins first", list(cert("later", 6, 30), next), next},
		{"dates in reverse count as ended", list(cert("reverse", 6, -6), older), older},
		{"began together: the one that ends last", list(cert("short", -1, 2), newer), newer},
		{"equals: the first", list(older, cert("same", -12, 12)), older},
		{"to the second: not yet begun", list(older, &x509.Certificate{NotBefore: now.Add(time.Second), NotAfter: now.AddDate(1, 0, 0)}), older},
		{"to the second: begun", list(older, cert("now", 0, 12)), nil},
	}
	for _, tt := range tests {
		want := tt.want
		if tt.name == "to the second: begun" {
			want = tt.list[1]
		}
		if got := partnercert.Choose(tt.list, now); got != want {
			t.Errorf("%s: got %v", tt.name, got.Subject)
		}
		if len(tt.list) > 1 && tt.name != "equals: the first" {
			reverse := slices.Clone(tt.list)
			slices.Reverse(reverse)
			if got := partnercert.Choose(reverse, now); got != want {
				t.Errorf("%s: the order of the list matters: got %v", tt.name, got.Subject)
			}
		}
	}
}

// FuzzRead looks for panics, incomplete certificates, and errors that quote a parser.
func FuzzRead(f *testing.F) {
	der := newCert(f, rsaKey(), nil)
	odd := changed(f, der, "\x02\x04\x01\x23\x45\x67", "\x02\x04\x81\x23\x45\x67")
	for _, seed := range [][]byte{
		der, odd, []byte(block("CERTIFICATE", odd)), []byte(b64(odd)), []byte(b64([]byte(block("CERTIFICATE", der)))),
		[]byte(wide(binary.LittleEndian, "\ufeff"+block("CERTIFICATE", der))), []byte("<html>"), []byte(`{"a":1}`),
		newCert(f, ecKey(), nil), []byte(block("PRIVATE KEY", der)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := partnercert.Read(data)
		var e *partnercert.Error
		if err != nil && (!errors.As(err, &e) || e.Code == "" || rawText.MatchString(e.Text)) {
			t.Fatalf("error without a code, or with the text of a parser: %v", err)
		}
		if (err == nil) != (len(list) > 0) || len(list) > partnercert.MaxCertificates {
			t.Fatalf("%d certificates, %v", len(list), err)
		}
		for _, c := range list {
			if len(c.Raw) == 0 || c.SerialNumber == nil || c.PublicKeyAlgorithm == x509.RSA && c.PublicKey == nil {
				t.Fatalf("incomplete: %+v", c)
			}
			again, err := partnercert.Parse(c.Raw)
			if err != nil || !again.Equal(c) || !again.NotAfter.Equal(c.NotAfter) {
				t.Fatalf("read again it is another one: %v", err)
			}
		}
	})
}
