//go:build realsp

package realsp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"vernal/idp/idptest/binary"
)

// proofedContext is the requested context of a benefits portal, and proofedFlags its
// registration.
var (
	proofedContext = []string{
		"urn:acr.login.gov:verified",
		"http://idmanagement.gov/ns/assurance/aal/2",
		"http://idmanagement.gov/ns/requested_attributes?ReqAttr=email,phone,first_name,last_name,ssn",
	}
	proofedFlags = []string{
		"--ial", "verified", "--encryption", "aes256-cbc",
		"--attribute", "email", "--attribute", "phone", "--attribute", "first_name", "--attribute", "last_name", "--attribute", "ssn",
	}
)

// systemPython is Debian's, which has Debian's packages.
const systemPython = "/usr/bin/python3"

// startPython starts the application on python3-saml as the service provider
// "python-verified".
func (w *deployment) startPython(t *testing.T) {
	t.Helper()
	if err := exec.Command(systemPython, "-c", "import onelogin.saml2").Run(); err != nil {
		binary.ReportMissing(t, "python3-onelogin-saml2")
	}
	const key = "python-verified"
	port := binary.FreePort(t)
	private, cert := newKey(t, key)
	w.write(t, key+".key", private)
	config, err := json.Marshal(map[string]any{
		"port": port, "idp_metadata": filepath.Join(w.dir, "idp.xml"), "host": key + ".localhost",
		"key": string(private), "cert": string(cert), "context": proofedContext,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := binary.Start(t, "python", exec.Command(systemPython, "-B", filepath.Join(w.data, "python_sp.py"), w.write(t, "python.json", config)))
	sp := &provider{
		name: "Python, verified", base: fmt.Sprintf("http://%s.localhost:%d", key, port),
		key: filepath.Join(w.dir, key+".key"), encrypted: true, signedResponse: true,
	}
	w.await(t, p, sp.base+"/saml/metadata")
	w.register(t, key, sp, sp.base+"/saml/metadata", append([]string{"--sign-response"}, proofedFlags...)...)
}

// testProofed checks that a service provider that asks for a proofed identity at aal/2 gets
// the requested attributes, encrypted, and that a user without one gets no further than the
// password.
func testProofed(t *testing.T, w *deployment, key string) {
	sp, person := w.sps[key], w.idp.AddUser(t, key+"@example.org")
	b := w.profile(t)
	b.open(sp.secret("first"))
	b.givePassword(person)
	b.expect(pageOther)

	profile := w.write(t, key+".json", []byte(
		`{"first_name": "Zoë", "last_name": "O'Brien & Sons", "ssn": "900-11-2222", "phone": "+12025550123", "dob": "1990-02-28"}`))
	w.idp.Run(t, "", "user", "verify", person.Email, "--level", "verified", "--file", profile)
	nameID := b.signIn(sp, "second", person)
	w.checkResponse(t, sp, b.response(), nameID)
	for id, want := range map[string]string{
		"authn-context": proofedContext[1], "attribute-ial": proofedContext[0], "attribute-aal": proofedContext[1],
		"attribute-first_name": "Zoë", "attribute-last_name": "O'Brien & Sons",
		"attribute-ssn": "900-11-2222", "attribute-phone": "+12025550123",
	} {
		if got := b.text(id); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
}

// testMellonCiphers checks that mod_auth_mellon decrypts both encryption algorithms.
func testMellonCiphers(t *testing.T, w *deployment) {
	sp, person := w.sps["mellon-encrypted"], w.idp.AddUser(t, "ciphers@example.org")
	for _, c := range []struct{ registered, algorithm string }{
		{"aes256-gcm", "http://www.w3.org/2009/xmlenc11#aes256-gcm"}, {"aes256-cbc", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"},
	} {
		w.idp.Run(t, "", "sp", "edit", sp.entityID(), "--encryption", c.registered)
		b := w.profile(t)
		nameID := b.signIn(sp, "first", person)
		response := b.response()
		w.checkResponse(t, sp, response, nameID)
		if !bytes.Contains(response, []byte(`"`+c.algorithm+`"`)) {
			t.Errorf("encrypted by another algorithm than %s:\n%s", c.algorithm, response)
		}
	}
}
