package sso_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/saml"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// An assertion is encrypted to the certificate that is valid when it is issued, without a
// change of the registration.
func TestEncryptsToTheCurrentCertificate(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	now := i.Clock.Now()
	a := i.AddProvider("https://a.example")
	dated := func(serial int64, from, until time.Time) *x509.Certificate {
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "sp"}, NotBefore: from, NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, template, template, a.Key.Public(), a.Key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	ended := dated(1, now.AddDate(-2, 0, 0), now.AddDate(0, 0, -1))
	current := dated(2, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
	next := dated(3, now.Add(48*time.Hour), now.AddDate(2, 0, 0))
	a.Edit(func(p *idp.ServiceProvider) {
		p.Encryption = idp.EncryptionGCM
		p.EncryptionCerts = []string{certs.EncodePEM(ended), certs.EncodePEM(next), certs.EncodePEM(current)}
	})
	user := i.AddUser("ada@example.gov")
	for _, want := range []*x509.Certificate{current, next} {
		browser := i.Browser()
		response := browser.SignIn(browser.Get(a.URL(&idptest.Request{})), user).Response()
		root, err := xmltree.Parse([]byte(response), xmltree.MessageLimits())
		if err != nil {
			t.Fatal(err)
		}
		v, ok := xmlenc.Describe(root.Child(saml.NamespaceAssertion, "EncryptedAssertion"))
		if !ok || len(v.Certs) != 1 || !v.Certs[0].Equal(want) {
			t.Errorf("encrypted to %v, want the certificate with serial number %v", v.Certs, want.SerialNumber)
		}
		i.Clock.Advance(72 * time.Hour)
	}
}
