//go:build pkcs11 && cgo

package hsm

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/certs/token"
	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/idptest/binary"
	"vernal/idp/rotation"
)

// Elements that carry an ID, as xmlsec1 wants them.
const (
	descriptorName = "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"
	assertionName  = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
)

var assertionOf = regexp.MustCompile(`(?s)<(?:\w+:)?Assertion\b.*</(?:\w+:)?Assertion>`)

// TestYearsRotateInToken checks that the keys of a first start and of the next year are made
// in the token, and that xmlsec1 accepts metadata and assertions signed by them. The key of
// a year that is over must be gone from the token.
func TestYearsRotateInToken(t *testing.T) {
	binary.Need(t, "xmlsec1")
	h := binary.NewSoftHSM(t)
	vault, err := token.Open(token.Config{Module: h.Module, Label: h.Token, PIN: h.PIN, Installation: "test"})
	if err != nil {
		t.Fatal(err)
	}
	i := idptest.New(t, idptest.Options{Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), FirstStart: true, Vault: vault})
	sp, person := i.AddProvider("https://a.example"), i.AddUser("ada@example.gov")
	take := func(kind rotation.StepKind, y idp.Year) {
		t.Helper()
		if _, err := i.Rotation.Take(t.Context(), rotation.Step{Kind: kind, Year: y}, "test", false); err != nil {
			t.Fatal(err)
		}
	}
	take(rotation.StepCreate, "2027")
	take(rotation.StepPublish, "2027")
	for _, y := range []idp.Year{"2026", "2027"} {
		cert := write(t, i.Get("/api/saml/certificate"+string(y)+".pem"))
		verify(t, cert, descriptorName, i.Get("/api/saml/metadata"+string(y)))
		r := &idptest.Request{Year: y}
		b := i.Browser()
		response := b.SignIn(b.Get(sp.URL(r)), person).Response()
		if _, err := sp.Check(r, response); err != nil {
			t.Errorf("%s: %v", y, err)
		}
		verify(t, cert, assertionName, assertionOf.Find(response))
		e, _ := i.Years.Lookup(y, i.Clock.Now())
		if _, kept := e.Key.Signer.(*certs.VaultKey); !kept {
			t.Errorf("the key of %s is %T, not in the token", y, e.Key.Signer)
		}
	}
	e, _ := i.Years.Lookup("2026", i.Clock.Now())
	if _, err := i.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "test"}, "test", false); err != nil {
		t.Fatal(err)
	}
	take(rotation.StepDestroy, "2026")
	if err := vault.CheckReady("2026", e.Key.Cert.PublicKey); err == nil {
		t.Error("the key of 2026 is in the token still")
	}
	i.Stop()
	i.Start()
	if y := i.Year(); y != "2027" {
		t.Errorf("after a restart %s is preferred", y)
	}
	if page := i.Browser().Get(i.URL + "/readyz"); page.Status != http.StatusOK {
		t.Errorf("/readyz answers %d", page.Status)
	}
}

// TestServerRunsWithKeysInToken checks the same through the command line: configuration,
// init, a certificate request for a CA, the running server, and no private key in the
// folder.
func TestServerRunsWithKeysInToken(t *testing.T) {
	h := binary.NewSoftHSM(t)
	dir := t.TempDir()
	pin := filepath.Join(dir, "pin")
	if err := os.WriteFile(pin, []byte(h.PIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := binary.NewWithBuild(t, dir, "localhost", binary.Build{Tags: "pkcs11", Env: []string{
		"VERNAL_ROTATION_KEY_SOURCE=pkcs11", "VERNAL_ROTATION_PKCS11_MODULE=" + h.Module,
		"VERNAL_ROTATION_PKCS11_TOKEN=" + h.Token, "VERNAL_ROTATION_PKCS11_PIN_FILE=" + pin,
	}})
	v.Serve(t)
	y := v.Year(t)
	cert, err := binary.Get(t, binary.Client(), v.BaseURL+"/api/saml/certificate"+y+".pem")
	if err != nil {
		t.Fatal(err)
	}
	verify(t, write(t, cert), descriptorName, []byte(v.Run(t, "", "metadata", "show", y)))
	request := v.Run(t, "", "rotation", "csr", y+"z")
	if again := v.Run(t, "", "rotation", "csr", y+"z"); again != request || !strings.Contains(request, "BEGIN CERTIFICATE REQUEST") {
		t.Errorf("two requests of one key:\n%s\n%s", request, again)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "vernal-data", "keys", "*"))
	if err != nil || len(keys) < 3 {
		t.Errorf("in the folder: %v, %v", keys, err)
	}
	for _, name := range keys {
		if strings.HasSuffix(name, ".key") {
			t.Errorf("a private key is in %s", name)
		}
	}
}

// verify checks a signature with xmlsec1, and that xmlsec1 looks.
func verify(t *testing.T, cert, element string, doc []byte) {
	t.Helper()
	check := func(doc []byte) ([]byte, error) {
		return exec.CommandContext(t.Context(), binary.Need(t, "xmlsec1"), "--verify", "--id-attr:ID", element, "--pubkey-cert-pem", cert,
			"--node-xpath", "/*/*[local-name()='Signature']", write(t, doc)).CombinedOutput()
	}
	if out, err := check(doc); err != nil {
		t.Errorf("xmlsec1 --verify %s: %v\n%s\n%s", element, err, out, doc)
	}
	forged := bytes.Replace(doc, []byte("/api/saml"), []byte("/api/sbml"), 1)
	if _, err := check(forged); err == nil {
		t.Error("xmlsec1 accepts what was changed")
	}
}

// write keeps something in a temporary file.
func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
