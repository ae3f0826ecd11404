package logout_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

const assertionNS = "urn:oasis:names:tc:SAML:2.0:assertion"

// encryptedID returns an EncryptedID that names a user, encrypted to the key of cert.
func encryptedID(t *testing.T, cert *x509.Certificate, algorithm, plain string) string {
	t.Helper()
	e, err := xmlenc.New(cert, algorithm, idp.DigestSHA1)
	if err != nil {
		t.Fatal(err)
	}
	w := xmltree.NewWriter(nil)
	w.Start("saml", assertionNS, "EncryptedID")
	if err := e.Write(w, []byte(plain)); err != nil {
		t.Fatal(err)
	}
	w.End()
	doc, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

var (
	cipherValueOf = regexp.MustCompile(`(<(?:\w+:)?CipherValue>)([^<]*)(</)`)
	encryptedKey  = regexp.MustCompile(`(?s)<xenc:EncryptedKey.*</xenc:EncryptedKey>`)
	// changing matches the parts that differ between two answers of the same kind: IDs, and
	// the link back to the request.
	changing = regexp.MustCompile(`\b[0-9A-Z]{16}\b|_[0-9a-f]{8}-[0-9a-f-]{27}|SAMLRequest(=|%3D)[^"]*`)
)

// spoil changes the n-th CipherValue.
func spoil(doc string, n int, change func([]byte) []byte) string {
	i := -1
	return cipherValueOf.ReplaceAllStringFunc(doc, func(s string) string {
		if i++; i != n {
			return s
		}
		m := cipherValueOf.FindStringSubmatch(s)
		raw, _ := base64.StdEncoding.DecodeString(m[2])
		return m[1] + base64.StdEncoding.EncodeToString(change(raw)) + m[3]
	})
}

// An encrypted name is decrypted only after the SP's signature was verified. If that fails,
// the answer is the same byte for byte, whatever the cause, because any difference would
// disclose to an SP what another one encrypted to us.
func TestEncryptedIDRefusedAlike(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	entry, found := w.Years.Lookup(w.Year(), w.Clock.Now())
	if !found {
		t.Fatal("no year")
	}
	ours := entry.Key.Cert
	good := encryptedID(t, ours, idp.EncryptionCBC, nameXML(w.ada.name))
	gcm := encryptedID(t, ours, idp.EncryptionGCM, nameXML(w.ada.name))
	last := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 0xff; return b }
	first := func(b []byte) []byte { b = bytes.Clone(b); b[0] ^= 0xff; return b }
	key := encryptedKey.FindString(good)
	if key == "" || strings.Count(good, "CipherValue>") != 4 {
		t.Fatalf("not the form that the test changes:\n%s", good)
	}
	unnamed := regexp.MustCompile(` Id="[^"]*"`).ReplaceAllString(key, "") // a repeated ID would be refused earlier
	other := func(plain string) string { return encryptedID(t, ours, idp.EncryptionCBC, plain) }
	cases := []struct{ name, xml string }{
		{"another's key", encryptedID(t, w.NewOtherCert(), idp.EncryptionCBC, nameXML(w.ada.name))},
		{"wrapped key changed", spoil(good, 0, last)},
		{"wrapped key cut", spoil(good, 0, func(b []byte) []byte { return b[:len(b)-1] })},
		{"wrapped key empty", spoil(good, 0, func([]byte) []byte { return nil })},
		{"padding", spoil(good, 1, last)},
		{"first block", spoil(good, 1, func(b []byte) []byte { b = bytes.Clone(b); b[16] ^= 0xff; return b })},
		{"half a block", spoil(good, 1, func(b []byte) []byte { return b[:len(b)-1] })},
		{"one block", spoil(good, 1, func(b []byte) []byte { return b[:16] })},
		{"no ciphertext", spoil(good, 1, func([]byte) []byte { return nil })},
		{"no base64", strings.Replace(good, "CipherValue>", "CipherValue>!", 3)},
		{"GCM tag", spoil(gcm, 1, last)},
		{"GCM nonce", spoil(gcm, 1, first)},
		{"bad XML inside", other("<x")},
		{"nothing inside", other(" ")},
		{"a DTD inside", other("<!DOCTYPE a><a/>")},
		{"a comment inside", other(nameXML(w.ada.name[:5] + "<!-- -->" + w.ada.name[5:]))},
		{"no UTF-8 inside", other(nameXML("\xff"))},
		{"two elements inside", other(nameXML(w.ada.name) + nameXML(w.ada.name))},
		{"another element inside", other(strings.ReplaceAll(nameXML(w.ada.name), "NameID", "Issuer"))},
		{"no namespace inside", other("<NameID>" + w.ada.name + "</NameID>")},
		{"an element in the name", other(nameXML("<b/>"))},
		{"no name", other(nameXML(""))},
		{"a long name", other(nameXML(strings.Repeat("n", 1025)))},
		{"a long attribute", other(strings.Replace(nameXML(w.ada.name), ">", ` Format="`+strings.Repeat("f", 5000)+`">`, 1))},
		{"unknown cipher", strings.Replace(good, "#aes256-cbc", "#tripledes-cbc", 1)},
		{"another cipher", strings.Replace(good, "#aes256-cbc", "#aes128-cbc", 1)},
		{"unknown key transport", strings.Replace(good, "#rsa-oaep-mgf1p", "#rsa-1_5", 1)},
		{"unknown digest", strings.Replace(good, "http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2001/04/xmldsig-more#md5", 1)},
		{"two keys", strings.Replace(good, key, key+unnamed, 1)},
		{"many keys", strings.Replace(good, key, strings.Repeat(unnamed, 20), 1)},
		{"no key", strings.Replace(good, key, "", 1)},
		{"empty", `<saml:EncryptedID xmlns:saml="` + assertionNS + `"></saml:EncryptedID>`},
	}
	want := map[string]string{}
	for _, c := range cases {
		if c.xml == good || c.xml == gcm {
			t.Fatalf("%s: the test changes nothing", c.name)
		}
		for _, channel := range []string{"GET", "POST", "form", "SOAP"} {
			if channel == "GET" && len(c.xml) > 8<<10 {
				continue // too long for a query
			}
			r := &idptest.LogoutRequest{Subject: c.xml, SessionIndexes: []string{w.ada.index}}
			var got string
			switch channel {
			case "GET", "POST":
				page := w.send(w.ada.browser, w.a, r, channel)
				if page.Response() != nil {
					t.Errorf("%s by %s: answered", c.name, channel)
				}
				got = fmt.Sprint(page.Status, " ", string(page.Body))
			case "form":
				a := w.a.SendRemoteLogout(r)
				got = fmt.Sprint(a.Status, " ", a.ContentType, " ", a.Body)
			default:
				a := w.a.SendSOAPLogout(r)
				got = fmt.Sprint(a.Status, " ", a.ContentType, " ", a.Body)
			}
			if !strings.Contains(got, string(idp.RefusedEncryptedID)) {
				t.Errorf("%s by %s: %s", c.name, channel, got)
			}
			got = changing.ReplaceAllString(got, "ID")
			if want[channel] == "" {
				want[channel] = got
			}
			if got != want[channel] {
				t.Errorf("%s by %s differs:\n%s\n\nwant:\n%s", c.name, channel, got, want[channel])
			}
		}
	}
	w.wantSignedIn("ada", "bob")
	for _, id := range []string{good, gcm} {
		r := &idptest.LogoutRequest{Subject: id, SessionIndexes: []string{w.ada.index}}
		checkLogoutResponse(t, w.send(w.ada.browser, w.a, r, http.MethodGet), w.a, r, ok, "")
	}
	w.wantSignedIn("bob")
}
