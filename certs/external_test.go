package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"vernal/idp/partnercert"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// TestParseForeign reads the file formats that operators have, and checks the error for each
// file that cannot be used.
func TestParseForeign(t *testing.T) {
	t.Parallel()
	key := testRSA()[0]
	cert := issueCert(t, &key.PublicKey, nil).Raw
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pfx, err := asn1.Marshal(struct {
		Version int
		Content struct{ Type asn1.ObjectIdentifier }
	}{3, struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	p7, err := asn1.Marshal(struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}})
	if err != nil {
		t.Fatal(err)
	}
	// 02 10 is the serial number; its first octet with the high bit set makes it
	// negative.
	negative := slices.Clone(cert)
	i := strings.Index(string(negative), "\x02\x0d\x10")
	negative[i+2] = 0x90
	version9 := []byte(strings.Replace(string(cert), "\xa0\x03\x02\x01\x02", "\xa0\x03\x02\x01\x09", 1))
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	pemCert, pemKey := block("CERTIFICATE", cert), block("PRIVATE KEY", pkcs8)

	certs := []struct {
		name string
		file []byte
		n    int
		want partnercert.Code
	}{
		{"PEM", pemCert, 1, ""},
		{"with text before it", append([]byte("subject=CN\r\n\r\n"), pemCert...), 1, ""},
		{"byte order mark and indentation", []byte("\ufeff  " + strings.ReplaceAll(string(pemCert), "\n", "\n  ")), 1, ""},
		{"base64", []byte(base64.StdEncoding.EncodeToString(cert)), 1, ""},
		{"chain", slices.Concat(pemCert, pemCert, pemCert), 3, ""},
		{"with its key", slices.Concat(pemKey, pemCert), 1, ""},
		{"DER", cert, 1, ""},
		{"endless chain", slices.Repeat(pemCert, 21), 0, partnercert.TooMany},
		{"PKCS#12", pfx, 0, partnercert.IsPKCS12},
		{"PKCS#7", p7, 0, partnercert.IsPKCS7},
		{"PKCS#7 as PEM", block("PKCS7", p7), 0, partnercert.IsPKCS7},
		{"request", block("CERTIFICATE REQUEST", []byte{1}), 0, partnercert.IsRequest},
		{"negative serial", block("CERTIFICATE", negative), 0, partnercert.NotStrict},
		{"version that is none", block("CERTIFICATE", version9), 0, partnercert.NotStrict},
		{"cut off", block("CERTIFICATE", cert[:100]), 0, partnercert.CutShort},
		{"key only", pemKey, 0, partnercert.IsPrivateKey},
		{"empty", nil, 0, partnercert.IsEmpty},
		{"too long", make([]byte, MaxExternalFile+1), 0, partnercert.TooLong},
	}
	for _, tt := range certs {
		t.Run("certificate/"+tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseCertificates(tt.file)
			var code partnercert.Code
			if e, ok := errors.AsType[*partnercert.Error](err); ok {
				code = e.Code
			}
			if len(got) != tt.n || (err == nil) != (tt.want == "") || code != tt.want {
				t.Errorf("%d certificates, %v; want %d, %q", len(got), err, tt.n, tt.want)
			}
		})
	}
	keys := []struct {
		name string
		file []byte
		want partnercert.Code
	}{
		{"PKCS#8", pemKey, ""},
		{"PKCS#1", pkcs1, ""},
		{"byte order mark", append([]byte("\ufeff"), pemKey...), ""},
		{"UTF-16", utf16LE(string(pemKey)), ""},
		{"indented, CRLF", []byte("  " + strings.ReplaceAll(string(pemKey), "\n", "\r\n  ")), ""},
		{"with its certificate", slices.Concat(pemCert, pemKey), ""},
		{"encrypted PKCS#8", block("ENCRYPTED PRIVATE KEY", pkcs8), KeyFileEncrypted},
		{"encrypted the old way", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte{1},
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}}), KeyFileEncrypted},
		{"two", slices.Concat(pemKey, pkcs1), KeyFileSeveral},
		{"PKCS#12", pfx, partnercert.IsPKCS12},
		{"DER", pkcs8, partnercert.BadDER},
		{"elliptic curve", block("PRIVATE KEY", ecDER), KeyFileNotRSA},
		{"elliptic curve the old way", block("EC PRIVATE KEY", []byte{1}), KeyFileNotRSA},
		{"broken", block("PRIVATE KEY", pkcs8[:50]), KeyFileUnreadable},
		{"certificate only", pemCert, partnercert.NotFound},
		{"too long", make([]byte, MaxExternalFile+1), partnercert.TooLong},
	}
	for _, tt := range keys {
		t.Run("key/"+tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePrivateKey(tt.file)
			var code partnercert.Code
			if e, ok := errors.AsType[*partnercert.Error](err); ok {
				code = e.Code
			}
			if (got == nil) != (tt.want != "") || (err == nil) != (tt.want == "") || code != tt.want {
				t.Errorf("%T, %v; want %q", got, err, tt.want)
			}
			if got != nil && !EqualPublic(got.Public(), &key.PublicKey) {
				t.Error("another key came out")
			}
		})
	}
}

func utf16LE(ascii string) []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range []byte(ascii) {
		out = append(out, c, 0)
	}
	return out
}

// FuzzParseForeign checks that an external file never ends the process and that every
// certificate read from one can be checked.
func FuzzParseForeign(f *testing.F) {
	key := testRSA()[0]
	cert := issueCert(f, &key.PublicKey, nil)
	f.Add(cert.Raw)
	f.Add(block("CERTIFICATE", cert.Raw))
	f.Add(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)))
	now := at("2027-01-20")
	f.Fuzz(func(t *testing.T, data []byte) {
		if chain, err := ParseCertificates(data); err == nil {
			leaf, _ := Pick(chain, &key.PublicKey)
			CheckImport(ExternalCert{Year: "2027", Cert: leaf, Public: leaf.PublicKey, Span: span2027}, now)
		}
		_, _ = ParsePrivateKey(data)
	})
}
