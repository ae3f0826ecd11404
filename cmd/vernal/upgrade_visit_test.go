package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
)

// Who is in the store of the earlier version, testdata/upgrade.
const (
	oldBase   = "http://localhost:8080"
	adaEmail  = "ada@agency.example"
	adaSecret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" // base32
	bobEmail  = "bob@agency.example"
	// The password of both.
	oldPassword = "plum jam on nine windows"
)

// oldSP is one of the service providers there.
type oldSP struct {
	entityID, acs string
	key           string // the file in testdata/keys that it signs with; "" if it does not
}

var (
	parks  = oldSP{entityID: "https://parks.example/sp", acs: "https://parks.example/acs", key: "sp1.key"}
	harbor = oldSP{entityID: "https://harbor.example/sp", acs: "https://harbor.example/acs"}
)

// begin is the address that the provider sends a browser to: HTTP-Redirect, with
// the message as plain XML.
func (p oldSP) begin(t *testing.T, year idp.Year, id string, now time.Time) string {
	t.Helper()
	to := oldBase + "/api/saml/auth" + string(year)
	message := fmt.Sprintf(`<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" `+
		`ID="%s" Version="2.0" IssueInstant="%s" Destination="%s"><saml:Issuer>%s</saml:Issuer></samlp:AuthnRequest>`,
		id, now.UTC().Format(time.RFC3339), to, p.entityID)
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(message)))
	if p.key == "" {
		return to + "?" + query
	}
	query += "&SigAlg=" + url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "keys", p.key))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(query))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return to + "?" + query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sig))
}

// oldVisitor is a visitor for whom the server at address is the one of oldBase.
func oldVisitor(t *testing.T, address string) *visitor {
	t.Helper()
	v := newVisitor(t)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	v.dial = transport
	return v
}

// signInAsAda goes from the sign-in page to the response page.
func signInAsAda(t *testing.T, v *visitor, page *idptest.Page, now time.Time) *idptest.Page {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(adaSecret)
	if err != nil {
		t.Fatal(err)
	}
	code, err := account.CodeAt(idp.TOTP{Secret: secret, Period: 30}, now)
	if err != nil {
		t.Fatal(err)
	}
	return v.send(v.send(page, "email", adaEmail, "password", oldPassword), "code", code)
}

var nameIDElement = regexp.MustCompile(`<(?:\w+:)?NameID[^>]*>([^<]+)</`)

// told is the NameID in the Response on a page.
func told(t *testing.T, page *idptest.Page) string {
	t.Helper()
	found := nameIDElement.FindSubmatch(page.Response())
	if found == nil {
		t.Fatalf("no Response on %s (%d):\n%s", page.URL, page.Status, page.Text())
	}
	return string(found[1])
}
