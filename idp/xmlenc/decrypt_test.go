package xmlenc_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest/binary"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

const secretName = `<NameID xmlns="urn:oasis:names:tc:SAML:2.0:assertion">ada@example.gov</NameID>`

// encryptedID returns an EncryptedID to recipientKey.
func encryptedID(t testing.TB, mode, digest string) string {
	t.Helper()
	e, err := xmlenc.New(certFor(t, recipientKey()), mode, digest)
	if err != nil {
		t.Fatal(err)
	}
	w := xmltree.NewWriter(nil)
	w.Start("saml", "urn:oasis:names:tc:SAML:2.0:assertion", "EncryptedID")
	if err := e.Write(w, []byte(secretName)); err != nil {
		t.Fatal(err)
	}
	w.End()
	doc, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func decrypt(t testing.TB, doc string, key *rsa.PrivateKey) ([]byte, error) {
	t.Helper()
	root, err := xmltree.Parse([]byte(doc), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	return xmlenc.Decrypt(root, key)
}

func TestDecryptReadsEncryptedID(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{idp.EncryptionCBC, idp.EncryptionGCM} {
		for _, digest := range []string{idp.DigestSHA1, idp.DigestSHA256} {
			t.Run(mode+" "+digest, func(t *testing.T) {
				t.Parallel()
				doc := encryptedID(t, mode, digest)
				if got, err := decrypt(t, doc, recipientKey()); err != nil || string(got) != secretName {
					t.Errorf("%q, %v", got, err)
				}
				// The EncryptedKey may be beside the data.
				from, to := strings.Index(doc, "<ds:KeyInfo"), strings.Index(doc, "</xenc:EncryptedKey>")+len("</xenc:EncryptedKey></ds:KeyInfo>")
				beside := strings.TrimSuffix(doc[from:to], "</ds:KeyInfo>")
				beside = beside[strings.Index(beside, "<xenc:EncryptedKey"):]
				beside = strings.Replace(beside, "<xenc:EncryptedKey", `<xenc:EncryptedKey xmlns:ds="`+nsDsig+`" xmlns:xenc="`+nsEnc+`"`, 1)
				moved := strings.Replace(doc[:from]+doc[to:], "</saml:EncryptedID>", beside+"</saml:EncryptedID>", 1)
				if got, err := decrypt(t, moved, recipientKey()); err != nil || string(got) != secretName {
					t.Errorf("key beside the data: %q, %v", got, err)
				}
			})
		}
	}
}

func TestDecryptRefusesTamperedMessage(t *testing.T) {
	t.Parallel()
	doc := encryptedID(t, idp.EncryptionGCM, idp.DigestSHA256)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	value := strings.LastIndex(doc, "<xenc:CipherValue>") + len("<xenc:CipherValue>")
	flip := func(s string, at int) string {
		c := byte('A')
		if s[at] == c {
			c = 'B'
		}
		return s[:at] + string(c) + s[at+1:]
	}
	tests := []struct {
		name, doc string
		key       *rsa.PrivateKey
	}{
		{"another key", doc, other},
		{"changed content", flip(doc, value+20), recipientKey()},
		{"changed key", flip(doc, strings.Index(doc, "<xenc:CipherValue>")+40), recipientKey()},
		{"PKCS #1 v1.5", strings.Replace(doc, "xmlenc#rsa-oaep-mgf1p", "xmlenc#rsa-1_5", 1), recipientKey()},
		{"Triple-DES", strings.Replace(doc, "http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#tripledes-cbc", 1), recipientKey()},
		{"a shorter cipher than the key", strings.Replace(doc, "aes256-gcm", "aes128-gcm", 1), recipientKey()},
		{"unknown digest", strings.Replace(doc, "xmlenc#sha256", "xmlenc#md5", 1), recipientKey()},
		{"no data", `<saml:EncryptedID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"></saml:EncryptedID>`, recipientKey()},
		{"shorter than a nonce", doc[:value] + "AAAAAAAAAAAAAAA=" + doc[strings.LastIndex(doc, "</xenc:CipherValue>"):], recipientKey()},
		{"a nonce alone", doc[:value] + "AAAAAAAAAAAAAAAA" + doc[strings.LastIndex(doc, "</xenc:CipherValue>"):], recipientKey()},
		{"nothing encrypted", doc[:value] + doc[strings.LastIndex(doc, "</xenc:CipherValue>"):], recipientKey()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := decrypt(t, tt.doc, tt.key); !errors.Is(err, xmlenc.ErrDecrypt) || err != xmlenc.ErrDecrypt || got != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestDecryptOpensXmlsecOutput(t *testing.T) {
	t.Parallel()
	binary.Need(t, "xmlsec1")
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const template = `<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element">` +
		`<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#">` +
		`<EncryptedKey xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"/>` +
		`<CipherData><CipherValue/></CipherData></EncryptedKey></KeyInfo><CipherData><CipherValue/></CipherData></EncryptedData>`
	out, err := exec.CommandContext(t.Context(), "xmlsec1", "--encrypt", "--pubkey-cert-pem", "../../testdata/keys/sp1.crt", "--session-key", "aes-128",
		"--xml-data", write("plain.xml", []byte(secretName)), write("template.xml", []byte(template))).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, out, _ = bytes.Cut(out, []byte("?>"))
	doc := `<saml:EncryptedID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + string(bytes.TrimSpace(out)) + `</saml:EncryptedID>`
	got, err := decrypt(t, doc, testKey(t, "sp1"))
	if err != nil || string(got) != secretName {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzDecrypt(f *testing.F) {
	key := recipientKey()
	for _, mode := range []string{idp.EncryptionCBC, idp.EncryptionGCM} {
		f.Add(encryptedID(f, mode, idp.DigestSHA1))
	}
	f.Fuzz(func(t *testing.T, doc string) {
		root, err := xmltree.Parse([]byte(doc), xmltree.MessageLimits())
		if err != nil {
			return
		}
		if _, err := xmlenc.Decrypt(root, key); err != nil && err != xmlenc.ErrDecrypt {
			t.Errorf("the error contains something: %v", err)
		}
	})
}

// testKey returns a key of the corpus.
func testKey(t *testing.T, name string) *rsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile("../../testdata/keys/" + name + ".key")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}
