package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
)

// testRSA are two private keys, made once: they cost a good part of a second.
var testRSA = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

func at(s string) time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	panic("not a time: " + s)
}

// endOf returns when the certificate of a year ends.
func endOf(y idp.Year) time.Time { return at(string(y[:4])+"-04-01").AddDate(1, 0, 0) }

// madeKey returns the key of a year made on its making date.
func madeKey(t testing.TB, y idp.Year) *Key {
	t.Helper()
	k, err := Certify(rand.Reader, testRSA()[0], y, endOf(y), Spec{}, "https://idp.example.gov:8443", at(string(y[:4])+"-01-15"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	now := at("2026-11-22T10:00:00Z")
	k, err := NewKey(rand.Reader, "2026", endOf("2026"), Spec{}, "https://idp.example.gov:8443/x", now)
	if err != nil {
		t.Fatal(err)
	}
	c := k.Cert
	pub, ok := c.PublicKey.(*rsa.PublicKey)
	switch {
	case k.Year != "2026":
		t.Errorf("year = %s", k.Year)
	case !ok || pub.N.BitLen() != 2048:
		t.Errorf("public key is %T", c.PublicKey)
	case !EqualPublic(k.Signer.Public(), pub):
		t.Error("certificate is of another key")
	case c.SignatureAlgorithm != x509.SHA256WithRSA:
		t.Errorf("signed with %v", c.SignatureAlgorithm)
	case !c.NotBefore.Equal(now.Add(-5 * time.Minute)):
		t.Errorf("notBefore = %v", c.NotBefore)
	case !c.NotAfter.Equal(at("2027-04-01")):
		t.Errorf("notAfter = %v", c.NotAfter)
	case c.KeyUsage != x509.KeyUsageDigitalSignature || len(c.ExtKeyUsage) > 0:
		t.Errorf("key usage = %v, extended %v", c.KeyUsage, c.ExtKeyUsage)
	case c.IsCA || !c.BasicConstraintsValid:
		t.Errorf("CA %v, basic constraints %v", c.IsCA, c.BasicConstraintsValid)
	case c.Subject.String() != "CN=idp.example.gov" || c.Issuer.String() != c.Subject.String():
		t.Errorf("subject %s, issuer %s", c.Subject, c.Issuer)
	case c.SerialNumber.BitLen() != 128 || c.SerialNumber.Sign() <= 0:
		t.Errorf("serial number of %d bits", c.SerialNumber.BitLen())
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Errorf("not self-signed: %v", err)
	}
	if c.SerialNumber.Cmp(madeKey(t, "2026").Cert.SerialNumber) == 0 {
		t.Error("two certificates with one serial number")
	}
}

func TestCertificateSubjectDefaultsToHost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		subject Subject
		baseURL string
		want    string // "" for an error
	}{
		{"host", Subject{}, "https://login.example.org", "CN=login.example.org"},
		{"loopback", Subject{}, "http://localhost:8080", "CN=localhost"},
		{"IPv6", Subject{}, "http://[::1]:8080", "CN=::1"},
		{"configured", Subject{CommonName: "Our IdP", Country: "US", Organization: "GSA"}, "https://x.example", "CN=Our IdP,O=GSA,C=US"},
		{"long host is cut", Subject{}, "https://" + strings.Repeat("a", 70) + ".example", "CN=" + strings.Repeat("a", 64)},
		{"no host", Subject{}, "localhost", ""},
		{"not a URL", Subject{}, "https://%zz", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := Certify(rand.Reader, testRSA()[0], "2026", endOf("2026"), Spec{Subject: tt.subject}, tt.baseURL, at("2026-11-22"))
			if tt.want == "" {
				if err == nil {
					t.Errorf("made %s", k.Cert.Subject)
				}
				return
			}
			if err != nil || k.Cert.Subject.String() != tt.want {
				t.Errorf("subject = %v, %v; want %s", k, err, tt.want)
			}
		})
	}
}

func TestCertifyRefusesWrongYearOrEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		year idp.Year
		end  string
		now  string
	}{
		{"not a year", "26", "2027-04-01", "2026-11-22"},
		{"a path", "../2026", "2027-04-01", "2026-11-22"},
		{"past the certificate's end", "2024", "2025-04-01", "2026-11-22"},
		{"at the certificate's end", "2025", "2026-04-01", "2026-04-01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Certify(rand.Reader, testRSA()[0], tt.year, at(tt.end), Spec{}, "https://idp.example", at(tt.now)); err == nil {
				t.Error("made a certificate")
			}
		})
	}
	if k, err := NewKey(rand.Reader, "2026", endOf("2026"), Spec{Bits: 1024}, "https://idp.example", at("2026-11-22")); err == nil {
		t.Errorf("made a key of 1024 bits: %v", k.Year)
	}
}

func TestCheckAcceptsOnlyMatchingRSAKeys(t *testing.T) {
	t.Parallel()
	good := madeKey(t, "2026")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		key  Key
		ok   bool
	}{
		{"complete", *good, true},
		{"key destroyed", Key{Year: "2026", Signer: nil, Cert: good.Cert}, true},
		{"waits for its certificate", Key{Year: "2026", Signer: good.Signer, Cert: nil}, true},
		{"nothing", Key{Year: "2026"}, false},
		{"not a year", Key{Year: "x", Signer: good.Signer, Cert: good.Cert}, false},
		{"certificate of another key", Key{Year: "2026", Signer: testRSA()[1], Cert: good.Cert}, false},
		{"not RSA", Key{Year: "2026", Signer: crypto.Signer(ec), Cert: nil}, false},
		{"too short", Key{Year: "2026", Signer: small, Cert: nil}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.key.check(); (err == nil) != tt.ok {
				t.Errorf("check = %v, want ok %v", err, tt.ok)
			}
		})
	}
}
