package xmldsig_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"vernal/idp/idptest/binary"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// signingKey returns one key for all tests of signing, because generating it is slow.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func certFor(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	from := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.example"},
		NotBefore: from, NotAfter: from.AddDate(1, 3, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// countingSigner counts private-key operations, and can be set to fail.
type countingSigner struct {
	crypto.Signer
	n    int
	fail error
}

func (s *countingSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.n++
	if s.fail != nil {
		return nil, s.fail
	}
	return s.Signer.Sign(r, digest, opts)
}

// sampleDoc returns a document with an ID, and the position of its signature.
func sampleDoc(t *testing.T, value string) (doc []byte, at int) {
	t.Helper()
	doc = written(t, func(w *xmltree.Writer) {
		w.Start("", "urn:oasis:names:tc:SAML:2.0:assertion", "Assertion", xmltree.Attr{Local: "ID", Value: "_1"})
		w.Element("", "urn:oasis:names:tc:SAML:2.0:assertion", "Issuer", value)
		at = w.Len()
		w.Element("p", "urn:p", "a", value, xmltree.Attr{Local: "b", Value: value})
		w.End()
	})
	return doc, at
}

func TestSignedDocumentVerifiesWithGoxmldsig(t *testing.T) {
	t.Parallel()
	key := &countingSigner{Signer: signingKey()}
	cert := certFor(t, key)
	signer, err := xmldsig.NewSigner(key, cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range trickyValues {
		doc, at := sampleDoc(t, value)
		before := bytes.Clone(doc)
		key.n = 0
		signed, err := signer.Sign(doc, "_1", at)
		if err != nil {
			t.Fatal(err)
		}
		if key.n != 1 {
			t.Errorf("%d private-key operations, want 1", key.n)
		}
		if !bytes.Equal(doc, before) {
			t.Error("Sign changed its argument")
		}
		rest, ok := bytes.CutPrefix(signed[at:], []byte("<ds:Signature "))
		if !bytes.HasPrefix(signed, doc[:at]) || !ok || !bytes.HasSuffix(rest, doc[at:]) {
			t.Errorf("signature is not where it should be: %s", signed)
		}
		canonicalForGoxmldsig(t, signed)
		verifiesWithGoxmldsig(t, signed, cert)
		changed := bytes.Replace(signed, []byte("Issuer>"), []byte("Issuer>x"), 1)
		if verifyWithGoxmldsig(changed, cert) == nil {
			t.Error("a changed document verifies")
		}
	}
}

// TestSigningIsDeterministic checks that the same document results in the same bytes. The
// metadata of a year relies on that.
func TestSigningIsDeterministic(t *testing.T) {
	t.Parallel()
	signer, err := xmldsig.NewSigner(signingKey(), certFor(t, signingKey()))
	if err != nil {
		t.Fatal(err)
	}
	doc, at := sampleDoc(t, "x")
	a, errA := signer.Sign(doc, "_1", at)
	b, errB := signer.Sign(doc, "_1", at)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two signatures differ (errors %v, %v)", errA, errB)
	}
}

// TestSignFromMatchesSign signs an element within others, with and without spare capacity.
func TestSignFromMatchesSign(t *testing.T) {
	t.Parallel()
	cert := certFor(t, signingKey())
	signer, err := xmldsig.NewSigner(signingKey(), cert)
	if err != nil {
		t.Fatal(err)
	}
	doc, at := sampleDoc(t, "x")
	alone, err := signer.Sign(doc, "_1", at)
	if err != nil {
		t.Fatal(err)
	}
	for _, spare := range []int{0, 1, 1 << 16} {
		buf := append(make([]byte, 0, 10+len(doc)+spare), "<outside/>"...)
		got, err := signer.SignFrom(append(buf, doc...), 10, "_1", 10+at)
		if err != nil {
			t.Fatal(err)
		}
		if want := "<outside/>" + string(alone); string(got) != want {
			t.Errorf("with %d bytes to spare: got %s\nwant %s", spare, got, want)
		}
	}
}

func TestSignedDocumentVerifies(t *testing.T) {
	t.Parallel()
	cert := certFor(t, signingKey())
	signer, err := xmldsig.NewSigner(signingKey(), cert)
	if err != nil {
		t.Fatal(err)
	}
	doc, at := sampleDoc(t, "a & <b>\r\n")
	signed, err := signer.Sign(doc, "_1", at)
	if err != nil {
		t.Fatal(err)
	}
	root, err := xmltree.Parse(signed, xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	v, err := xmldsig.VerifyEnveloped(root, []*x509.Certificate{cert})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Element.Child("urn:p", "a").Text(); got != "a & <b>\r\n" {
		t.Errorf("verified text is %q", got)
	}
}

func TestSignVerifiesWithXmlsec(t *testing.T) {
	t.Parallel()
	xmlsec := binary.Need(t, "xmlsec1")
	cert := certFor(t, signingKey())
	signer, err := xmldsig.NewSigner(signingKey(), cert)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, docFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "doc.xml")
	writeFile(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	verify := func(doc []byte) error {
		writeFile(t, docFile, doc)
		out, err := exec.CommandContext(t.Context(), xmlsec, "--verify", "--pubkey-cert-pem", certFile,
			"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", docFile).CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	doc, at := sampleDoc(t, strings.Join(trickyValues, "|"))
	signed, err := signer.Sign(doc, "_1", at)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(signed); err != nil {
		t.Error(err)
	}
	if verify(bytes.Replace(signed, []byte("Issuer>"), []byte("Issuer>x"), 1)) == nil {
		t.Error("a changed document verifies")
	}
}

func TestSignRefusesWrongIDOrPosition(t *testing.T) {
	t.Parallel()
	broken := errors.New("module is gone")
	key := &countingSigner{Signer: signingKey()}
	signer, err := xmldsig.NewSigner(key, certFor(t, signingKey()))
	if err != nil {
		t.Fatal(err)
	}
	doc, at := sampleDoc(t, "x")
	cases := []struct {
		name string
		id   string
		at   int
	}{
		{"before the element", "_1", 0},
		{"past the end", "_1", len(doc)},
		{"within a name", "_1", at + 1},
		{"negative", "_1", -1},
		{"no ID", "", at},
		{"ID with a quote", `_"1`, at},
		{"ID that begins with a digit", "1", at},
	}
	for _, c := range cases {
		if _, err := signer.Sign(doc, c.id, c.at); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
	if key.n != 0 {
		t.Errorf("%d private-key operations for what is refused", key.n)
	}
	key.fail = broken
	if _, err := signer.Sign(doc, "_1", at); !errors.Is(err, broken) {
		t.Errorf("error is %v, want %v", err, broken)
	}
}

func TestNewSignerRefusesUnfitKey(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := certFor(t, signingKey())
	cases := []struct {
		name string
		key  crypto.Signer
		cert *x509.Certificate
		want string
	}{
		{"no key", nil, good, "needs a key"},
		{"no certificate", signingKey(), nil, "needs a key"},
		{"not RSA", curve, certFor(t, curve), "not RSA"},
		{"1024 bits", weak, certFor(t, weak), "1024 bits"},
		{"of another key", signingKey(), certFor(t, weak), "does not match"},
	}
	for _, c := range cases {
		if _, err := xmldsig.NewSigner(c.key, c.cert); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
}

func verifiesWithGoxmldsig(t *testing.T, doc []byte, cert *x509.Certificate) {
	t.Helper()
	if err := verifyWithGoxmldsig(doc, cert); err != nil {
		t.Errorf("goxmldsig: %v in %s", err, doc)
	}
}

func verifyWithGoxmldsig(doc []byte, cert *x509.Certificate) error {
	d := etree.NewDocument()
	if err := d.ReadFromBytes(doc); err != nil {
		return err
	}
	v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	v.IdAttribute = "ID"
	v.Clock = dsig.NewFakeClockAt(cert.NotBefore.Add(time.Hour))
	_, err := v.Validate(d.Root())
	return err
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkSign and BenchmarkRSA show the cost of a signature beyond RSA.
func BenchmarkSign(b *testing.B) {
	signer, err := xmldsig.NewSigner(signingKey(), &x509.Certificate{PublicKey: signingKey().Public(), Raw: make([]byte, 900)})
	if err != nil {
		b.Fatal(err)
	}
	doc := []byte(`<a ID="_1"><b></b>` + strings.Repeat("x", 2000) + `</a>`)
	buf := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.SignFrom(append(buf[:0], doc...), 0, "_1", 11); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRSA(b *testing.B) {
	var digest [32]byte
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signingKey().Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}
