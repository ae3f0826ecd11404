package certs

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
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/rotation"
)

// issueCert returns a certificate of an authority for the key; change makes its fault.
func issueCert(t testing.TB, pub crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	authority := &x509.Certificate{Subject: pkix.Name{CommonName: "Agency CA"}}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(1), 100), Subject: pkix.Name{CommonName: "login.example.gov"},
		NotBefore: at("2027-01-19"), NotAfter: at("2028-04-01"),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, pub, testRSA()[1])
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// span2027 is the time that the certificate of 2027 must cover if it is imported in January.
var span2027 = rotation.Span{LatestBeginAt: at("2027-02-01"), EarliestEndAt: at("2028-03-01"), EndAt: at("2028-04-01")}

// TestCheckImport gives certificates with one fault each. Codes of problems have
// a "!" in front.
func TestCheckImport(t *testing.T) {
	t.Parallel()
	key := testRSA()[0]
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signedBy := func(a x509.SignatureAlgorithm) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.SignatureAlgorithm = a }
	}
	ends := func(text string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotAfter = at(text) }
	}
	begins := func(text string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore = at(text) }
	}
	tests := []struct {
		name   string
		change func(*x509.Certificate) // before it is signed
		after  func(*x509.Certificate) // what cannot be made, or takes long
		want   []string
	}{
		{"as it should be", nil, nil, nil},
		{"begins on the publishing date", begins("2027-02-01"), nil, []string{"begins_ahead"}},
		{"begins a second later", begins("2027-02-01T00:00:01Z"), nil, []string{"!begins_late"}},
		{"has ended", ends("2027-01-20"), nil, []string{"!ended"}},
		{"ends before the next year is preferred", ends("2028-02-28T23:59:59Z"), nil, []string{"!ends_early"}},
		{"ends on the least day", ends("2028-02-29"), nil, []string{"!ends_early"}},
		{"ends when the next year is preferred", ends("2028-03-01"), nil, []string{"ends_sooner"}},
		{"ends a second before the calendar's", ends("2028-03-31T23:59:59Z"), nil, []string{"ends_sooner"}},
		{"ends years later", ends("2031-01-01"), nil, nil},
		{"SHA-384", signedBy(x509.SHA384WithRSA), nil, nil},
		{"SHA-1", signedBy(x509.SHA1WithRSA), nil, []string{"sha1"}},
		{"PSS", signedBy(x509.SHA256WithRSAPSS), nil, []string{"signature_algorithm"}},
		{"MD5", nil, signedBy(x509.MD5WithRSA), []string{"!signature_algorithm"}},
		{"unknown algorithm", nil, signedBy(x509.UnknownSignatureAlgorithm), []string{"signature_algorithm"}},
		{"authority", func(c *x509.Certificate) { c.IsCA = true }, nil, []string{"ca"}},
		{"no key usage", func(c *x509.Certificate) { c.KeyUsage = 0 }, nil, nil},
		{"encryption only", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, nil, []string{"key_usage"}},
		{"for TLS", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, nil, []string{"extended_key_usage"}},
		{"for anything", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, nil, nil},
		{"critical extension", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, nil, []string{"critical_extension"}},
		{"serial 0", nil, func(c *x509.Certificate) { c.SerialNumber = new(big.Int) }, []string{"serial"}},
		{"serial 1", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1) }, nil, []string{"serial"}},
		{"serial of 8 octets", func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 60) }, nil, nil},
		{"serial of 20 octets", func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 158) }, nil, nil},
		{"serial of 21 octets", nil, func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 159) }, []string{"serial"}},
		{"empty subject", func(c *x509.Certificate) { c.Subject = pkix.Name{} }, nil, []string{"name"}},
		{"version 1", nil, func(c *x509.Certificate) { c.Version = 1 }, []string{"version"}},
		{"key too short", nil, func(c *x509.Certificate) {
			c.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2046), E: 65537}
		}, []string{"!key_size"}},
		{"slow key", nil, func(c *x509.Certificate) {
			c.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8191), E: 65537}
		}, []string{"long_key"}},
		{"key too long", nil, func(c *x509.Certificate) {
			c.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8192), E: 65537}
		}, []string{"!key_size"}},
		{"exponent 3", nil, func(c *x509.Certificate) { c.PublicKey = &rsa.PublicKey{N: key.N, E: 3} }, []string{"exponent"}},
		{"exponent 1", nil, func(c *x509.Certificate) { c.PublicKey = &rsa.PublicKey{N: key.N, E: 1} }, []string{"!exponent"}},
		{"not RSA", nil, func(c *x509.Certificate) { c.PublicKey, c.PublicKeyAlgorithm = &ec.PublicKey, x509.ECDSA }, []string{"!not_rsa"}},
		{"names itself as issuer", nil, func(c *x509.Certificate) { c.RawIssuer = c.RawSubject }, []string{"not_self_signed"}},
		{"several things", func(c *x509.Certificate) { c.IsCA, c.SerialNumber, c.NotAfter = true, big.NewInt(7), at("2028-01-01") }, nil,
			[]string{"!ends_early", "ca", "serial"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := issueCert(t, &key.PublicKey, tt.change)
			if tt.after != nil {
				tt.after(c)
			}
			f := ExternalCert{Year: "2027", Cert: c, Public: c.PublicKey, Keys: []*Key{madeKey(t, "2027")}, Span: span2027}
			got := codes(CheckImport(f, at("2027-01-20")))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func codes(problems, warnings []Finding) (all []string) {
	for _, f := range problems {
		all = append(all, "!"+string(f.Code))
	}
	for _, f := range warnings {
		all = append(all, string(f.Code))
	}
	return all
}

// TestCheckImportAgainstOthers checks that a certificate of another key is reported as only
// that, and that a key or serial number of another year is reported even if that year is over.
func TestCheckImportAgainstOthers(t *testing.T) {
	t.Parallel()
	now := at("2027-01-20")
	key, other := testRSA()[0], testRSA()[1]
	old := issueCert(t, &other.PublicKey, nil)
	gone := []*Key{{Year: "2024", Cert: old}}
	mismatch := issueCert(t, &other.PublicKey, func(c *x509.Certificate) { c.IsCA = true })
	if got := codes(CheckImport(ExternalCert{Year: "2027", Cert: mismatch, Public: &key.PublicKey, Span: span2027}, now)); !cmp.Equal(got, []string{"!key_mismatch"}) {
		t.Errorf("another key: %q", got)
	}
	if got := codes(CheckImport(ExternalCert{Year: "2027", Cert: issueCert(t, &other.PublicKey, func(c *x509.Certificate) {
		c.SerialNumber = new(big.Int).Lsh(big.NewInt(3), 100)
	}), Public: &other.PublicKey, Keys: gone, Span: span2027}, now)); !cmp.Equal(got, []string{"!key_reused"}) {
		t.Errorf("the key of a year that is over: %q", got)
	}
	if got := codes(CheckImport(ExternalCert{Year: "2027", Cert: issueCert(t, &key.PublicKey, nil), Public: &key.PublicKey, Keys: gone, Span: span2027}, now)); !cmp.Equal(got, []string{"serial_reused"}) {
		t.Errorf("its serial number: %q", got)
	}
}

// TestPickFindsCertificateOfKey checks that Pick finds the certificate of the key anywhere in a
// chain. If there are two, it picks the one that expires last.
func TestPickFindsCertificateOfKey(t *testing.T) {
	t.Parallel()
	key, other := testRSA()[0], testRSA()[1]
	ca := issueCert(t, &other.PublicKey, nil)
	first := issueCert(t, &key.PublicKey, func(c *x509.Certificate) { c.NotAfter = at("2027-06-01") })
	renewed := issueCert(t, &key.PublicKey, nil)
	for name, chain := range map[string][]*x509.Certificate{
		"first": {renewed, ca}, "last": {ca, renewed}, "two": {first, ca, renewed}, "two the other way": {renewed, first},
	} {
		leaf, rest := Pick(chain, &key.PublicKey)
		if leaf != renewed || len(rest) != len(chain)-1 {
			t.Errorf("%s: picked %s until %s, left over %d", name, leaf.Subject, leaf.NotAfter, len(rest))
		}
	}
	if leaf, _ := Pick([]*x509.Certificate{ca}, &key.PublicKey); leaf != ca {
		t.Error("none matches: want the first")
	}
}

// TestRequestIsDeterministicAndSigned checks that a certificate request is the same each
// time, has the content of a self-signed certificate, and asks for signing.
func TestRequestIsDeterministicAndSigned(t *testing.T) {
	t.Parallel()
	spec, key := Spec{Subject: Subject{Organization: "Agency"}}, testRSA()[0]
	der, err := CreateRequest(rand.Reader, key, "2027", spec, "https://login.example.gov:8443")
	if err != nil {
		t.Fatal(err)
	}
	again, err := CreateRequest(rand.Reader, key, "2027", spec, "https://login.example.gov:8443")
	if err != nil || !bytes.Equal(der, again) {
		t.Errorf("the second request differs: %v", err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CheckSignature(); err != nil || r.SignatureAlgorithm != x509.SHA256WithRSA {
		t.Errorf("signature %v: %v", r.SignatureAlgorithm, err)
	}
	if r.Subject.String() != "CN=login.example.gov,O=Agency" || len(r.Extensions) != 1 || !bytes.Equal(r.Extensions[0].Value, []byte{3, 2, 7, 0x80}) {
		t.Errorf("subject %s, extensions %v", r.Subject, r.Extensions)
	}
}

// TestImportErrorNamesEveryProblem checks that an error names each problem on a line of its
// own.
func TestImportErrorNamesEveryProblem(t *testing.T) {
	t.Parallel()
	f := ExternalCert{Year: "2027", Cert: issueCert(t, &testRSA()[0].PublicKey, func(c *x509.Certificate) {
		c.IsCA, c.NotAfter, c.NotBefore = true, at("2027-06-01"), at("2027-05-01")
	}), Public: &testRSA()[0].PublicKey, Span: span2027}
	problems, warnings := CheckImport(f, at("2027-01-20"))
	text := (&ImportError{Year: "2027", Problems: problems, Warnings: warnings}).Error()
	for _, want := range []string{
		"import 2027 refused:\n  it expires on 2027-06-01", "ask the authority for a certificate that is valid from 2027-02-01 at the latest until 2028-04-01",
		"\n  it is not valid before 2027-05-01T00:00:00Z, and year 2027 is published on 2027-02-01", "\n  warning: it is a CA certificate",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Count(text, "\n") != len(problems)+len(warnings) {
		t.Errorf("%d findings in\n%s", len(problems)+len(warnings), text)
	}
}

// TestImportRefusesRecordedKeyOfOtherYear checks that a key of another year is refused even
// if that year has lost it: the holder of a revoked key could otherwise bring it back as the
// next year's.
func TestImportRefusesRecordedKeyOfOtherYear(t *testing.T) {
	t.Parallel()
	k := madeKey(t, "2027")
	pair, err := Certify(bytes.NewReader(bytes.Repeat([]byte{9}, 1024)), k.Signer, "2028", endOf("2028"), Spec{}, "https://idp.example.gov", at("2027-02-15"))
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]*Key{nil, {k}} {
		problems, _ := CheckImport(ExternalCert{
			Year: "2028", Cert: pair.Cert, Public: k.Signer.Public(), Keys: keys, KeyDigests: map[idp.Year]string{"2027": PublicKeySHA256(k.Public())},
		}, at("2027-02-15"))
		n := 0
		for _, p := range problems {
			if p.Code == FoundReused {
				n++
			}
		}
		if n != 1 {
			t.Errorf("with %d keys in the folder: %v, want %s once", len(keys), problems, FoundReused)
		}
	}
}
