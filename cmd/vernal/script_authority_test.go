package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vernal/idp/rotation"
)

// authorityKey is that of an agency's certification authority.
var authorityKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// authority is the script command that acts as a CA: it signs certificate requests and makes
// key pairs with a certificate.
func authority(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case neg || len(args) < 3:
		ts.Fatalf("usage: authority issue REQUEST CERT [ended|sha1], authority pair KEY CERT")
	case args[0] == "pair":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		ts.Check(err)
		text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), certificate(ts, key.Public(), pkix.Name{CommonName: "brought"}, ""), 0o600))
	default:
		block, _ := pem.Decode([]byte(ts.ReadFile(args[1])))
		if block == nil {
			ts.Fatalf("%s holds no PEM", args[1])
		}
		request, err := x509.ParseCertificateRequest(block.Bytes)
		ts.Check(err)
		ts.Check(request.CheckSignature())
		chain := certificate(ts, authorityKey().Public(), pkix.Name{CommonName: "Agency CA"}, "")
		leaf := certificate(ts, request.PublicKey, request.Subject, append(args, "")[3])
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), append(chain, leaf...), 0o600))
	}
}

// certificate returns a certificate that is valid for years, except for the given fault.
func certificate(ts *testscript.TestScript, pub crypto.PublicKey, subject pkix.Name, fault string) []byte {
	now := time.Now()
	serial := make([]byte, 16)
	rand.Read(serial)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(append([]byte{1}, serial...)), Subject: subject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(4, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	switch fault {
	case "ended":
		template.NotAfter = now.Add(-time.Minute)
	case "sha1":
		template.SignatureAlgorithm = x509.SHA1WithRSA
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "Agency CA"}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, authorityKey())
	ts.Check(err)
	var text bytes.Buffer
	ts.Check(pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return text.Bytes()
}

// calendar sets $FIRST to the year that the calendar prefers today and $LATER to
// the one after it.
func calendar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: calendar")
	}
	n := string(rotation.DefaultPolicy().FirstYears(time.Now())[0])
	next, err := strconv.Atoi(n)
	ts.Check(err)
	ts.Setenv("FIRST", n)
	ts.Setenv("LATER", strconv.Itoa(next+1))
}
