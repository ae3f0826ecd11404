package xmlenc_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml/xmlenc"

	"vernal/idp"
	"vernal/idp/idptest/binary"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

const (
	nsEnc  = "http://www.w3.org/2001/04/xmlenc#"
	nsDsig = "http://www.w3.org/2000/09/xmldsig#"
)

// recipientKey returns one key for all tests, because generating it is slow.
var recipientKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func certFor(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)}
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

// encrypted wraps an EncryptedData in an element that shares no namespace.
func encrypted(t testing.TB, mode, digest string, plaintext []byte) []byte {
	t.Helper()
	e, err := xmlenc.New(certFor(t, recipientKey()), mode, digest)
	if err != nil {
		t.Fatal(err)
	}
	w := xmltree.NewWriter(nil)
	w.Start("", "urn:oasis:names:tc:SAML:2.0:assertion", "EncryptedAssertion")
	if err := e.Write(w, plaintext); err != nil {
		t.Fatal(err)
	}
	w.End()
	doc, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

var modes = []struct {
	name, mode, digest string
	// byCrewjam reports whether crewjam's package can decrypt it: it has no AES-256-GCM, and
	// uses the hash of OAEP for MGF1, too.
	byCrewjam bool
	// byXmlsec reports whether xmlsec1 can: before 1.3 it has no OAEP with SHA-256.
	byXmlsec bool
	hash     crypto.Hash
}{
	{"CBC with SHA-1", idp.EncryptionCBC, idp.DigestSHA1, true, true, crypto.SHA1},
	{"CBC with SHA-256", idp.EncryptionCBC, idp.DigestSHA256, false, false, crypto.SHA256},
	{"GCM with SHA-1", idp.EncryptionGCM, idp.DigestSHA1, false, true, crypto.SHA1},
	{"GCM with SHA-256", idp.EncryptionGCM, idp.DigestSHA256, false, false, crypto.SHA256},
}

// plaintexts covers every remainder of the block size.
func plaintexts() [][]byte {
	var out [][]byte
	for n := range 18 {
		out = append(out, []byte("<a>"+strings.Repeat("x", n)+"</a>"))
	}
	return append(out, []byte("<a>"+strings.Repeat("\U0001F600", 2000)+"</a>"))
}

func TestCrewjamDecrypts(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		if !m.byCrewjam {
			continue
		}
		for _, plaintext := range plaintexts() {
			d := etree.NewDocument()
			if err := d.ReadFromBytes(encrypted(t, m.mode, m.digest, plaintext)); err != nil {
				t.Fatal(err)
			}
			data := d.FindElement("//EncryptedData")
			got, err := crewjam.Decrypt(recipientKey(), data)
			if err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
			if !bytes.Equal(got, plaintext) {
				t.Errorf("%s: decrypted %q, want %q", m.name, got, plaintext)
			}
		}
	}
}

func TestXmlsecDecrypts(t *testing.T) {
	t.Parallel()
	xmlsec := binary.Need(t, "xmlsec1")
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "key.pem")
	writeFile(t, keyFile, pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(recipientKey()),
	}))
	const plaintext = `<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion">secret</Assertion>`
	for _, m := range modes {
		if !m.byXmlsec {
			continue
		}
		file := filepath.Join(dir, "doc.xml")
		writeFile(t, file, encrypted(t, m.mode, m.digest, []byte(plaintext)))
		out, err := exec.CommandContext(t.Context(), xmlsec, "--decrypt", "--privkey-pem", keyFile, file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, out)
			continue
		}
		want := `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion">` + plaintext + `</EncryptedAssertion>`
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: xmlsec1 made %s", m.name, out)
		}
	}
}

// TestOpenSSLOpensTheKey decrypts the content key of every mode with an independent program,
// including modes that xmlsec1 has no OAEP for. The digest is the one in the EncryptionMethod,
// and MGF1 always uses SHA-1.
func TestOpenSSLOpensTheKey(t *testing.T) {
	t.Parallel()
	openssl := binary.Need(t, "openssl")
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	writeFile(t, keyFile, pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(recipientKey()),
	}))
	const plaintext = "<a>secret</a>"
	for _, m := range modes {
		root, err := xmltree.Parse(encrypted(t, m.mode, m.digest, []byte(plaintext)), xmltree.MessageLimits())
		if err != nil {
			t.Fatal(err)
		}
		data := root.Child(nsEnc, "EncryptedData")
		cmd := exec.CommandContext(t.Context(), openssl, "pkeyutl", "-decrypt", "-inkey", keyFile, "-pkeyopt", "rsa_padding_mode:oaep",
			"-pkeyopt", "rsa_oaep_md:"+m.digest, "-pkeyopt", "rsa_mgf1_md:sha1")
		cmd.Stdin = bytes.NewReader(readCipherValue(t, data.Child(nsDsig, "KeyInfo").Child(nsEnc, "EncryptedKey")))
		key, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if got := open(t, m.mode, key, readCipherValue(t, data)); string(got) != plaintext {
			t.Errorf("%s: decrypted %q", m.name, got)
		}
	}
}

// TestEncryptionFollowsStandard decrypts every mode exactly as the standard says: MGF1 with
// SHA-1, whatever the digest, and the last byte of CBC is the length of the padding.
func TestEncryptionFollowsStandard(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, plaintext := range plaintexts() {
			root, err := xmltree.Parse(encrypted(t, m.mode, m.digest, plaintext), xmltree.MessageLimits())
			if err != nil {
				t.Fatal(err)
			}
			data := root.Child(nsEnc, "EncryptedData")
			key, err := recipientKey().Decrypt(nil, readCipherValue(t, data.Child(nsDsig, "KeyInfo").Child(nsEnc, "EncryptedKey")),
				&rsa.OAEPOptions{Hash: m.hash, MGFHash: crypto.SHA1})
			if err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
			if got := open(t, m.mode, key, readCipherValue(t, data)); !bytes.Equal(got, plaintext) {
				t.Errorf("%s: decrypted %q, want %q", m.name, got, plaintext)
			}
		}
	}
}

func readCipherValue(t *testing.T, e *xmltree.Element) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(e.Child(nsEnc, "CipherData").Child(nsEnc, "CipherValue").Text())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t *testing.T, mode string, key, sealed []byte) []byte {
	t.Helper()
	if len(key) != 32 {
		t.Fatalf("content key has %d bytes", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	if mode == idp.EncryptionGCM {
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		plaintext, err := gcm.Open(nil, sealed[:12], sealed[12:], nil)
		if err != nil {
			t.Fatal(err)
		}
		return plaintext
	}
	content := sealed[16:]
	cipher.NewCBCDecrypter(block, sealed[:16]).CryptBlocks(content, content)
	pad := int(content[len(content)-1])
	if pad < 1 || pad > 16 {
		t.Fatalf("padding of %d bytes", pad)
	}
	return content[:len(content)-pad]
}

// TestEncryptedDataNamesAlgorithmsAndRecipient checks the parts that service providers read.
func TestEncryptedDataNamesAlgorithmsAndRecipient(t *testing.T) {
	t.Parallel()
	root, err := xmltree.Parse(encrypted(t, idp.EncryptionGCM, idp.DigestSHA256, []byte("<a></a>")), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	attr := func(e *xmltree.Element, name string) string {
		v, _ := e.Attr(name)
		return v
	}
	data := root.Child(nsEnc, "EncryptedData")
	key := data.Child(nsDsig, "KeyInfo").Child(nsEnc, "EncryptedKey")
	method := key.Child(nsEnc, "EncryptionMethod")
	checks := []struct{ name, got, want string }{
		{"Type", attr(data, "Type"), nsEnc + "Element"},
		{"data algorithm", attr(data.Child(nsEnc, "EncryptionMethod"), "Algorithm"), "http://www.w3.org/2009/xmlenc11#aes256-gcm"},
		{"key algorithm", attr(method, "Algorithm"), nsEnc + "rsa-oaep-mgf1p"},
		{"digest", attr(method.Child(nsDsig, "DigestMethod"), "Algorithm"), nsEnc + "sha256"},
		{"reference", attr(key.Child(nsEnc, "ReferenceList").Child(nsEnc, "DataReference"), "URI"), "#" + attr(data, "Id")},
	}
	for _, c := range checks {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.name, c.got, c.want)
		}
	}
	der, err := base64.StdEncoding.DecodeString(key.Child(nsDsig, "KeyInfo").Child(nsDsig, "X509Data").Child(nsDsig, "X509Certificate").Text())
	if err != nil {
		t.Fatal(err)
	}
	if cert, err := x509.ParseCertificate(der); err != nil || !recipientKey().PublicKey.Equal(cert.PublicKey) {
		t.Errorf("the certificate that the key was encrypted to is not named: %v", err)
	}
	if attr(data, "Id") == attr(key, "Id") {
		t.Error("EncryptedData and EncryptedKey have the same Id")
	}
}

func TestKeysAndIVsAreNeverReused(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		a := string(encrypted(t, m.mode, m.digest, []byte("<a></a>")))
		b := string(encrypted(t, m.mode, m.digest, []byte("<a></a>")))
		for _, name := range []string{`<xenc:CipherValue>`, ` Id="`} {
			pa, pb := strings.Split(a, name), strings.Split(b, name)
			if len(pa) != 3 || len(pb) != 3 {
				t.Fatalf("%s: not two of %s", m.name, name)
			}
			for i := 1; i < 3; i++ {
				if pa[i][:20] == pb[i][:20] {
					t.Errorf("%s: two documents have the same %s", m.name, name)
				}
			}
		}
	}
}

func TestNewRefusesUnfitKeyOrMode(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, mode, digest string
		key                crypto.Signer
	}{
		{"not RSA", idp.EncryptionCBC, idp.DigestSHA1, curve},
		{"1024 bits", idp.EncryptionCBC, idp.DigestSHA1, weak},
		{"no mode", idp.EncryptionNone, idp.DigestSHA1, recipientKey()},
		{"unknown mode", "aes128-cbc", idp.DigestSHA1, recipientKey()},
		{"no digest", idp.EncryptionCBC, "", recipientKey()},
	}
	for _, c := range cases {
		if _, err := xmlenc.New(certFor(t, c.key), c.mode, c.digest); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkEncrypt(b *testing.B) {
	e, err := xmlenc.New(certFor(b, recipientKey()), idp.EncryptionCBC, idp.DigestSHA1)
	if err != nil {
		b.Fatal(err)
	}
	plaintext := []byte("<a>" + strings.Repeat("x", 4000) + "</a>")
	buf := make([]byte, 0, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Write(xmltree.NewWriter(buf), plaintext); err != nil {
			b.Fatal(err)
		}
	}
}
