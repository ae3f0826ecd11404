//go:build realsp

package realsp

import (
	"crypto/sha1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vernal/idp/idptest/binary"
)

// startSample starts the ruby-saml application with the settings of 18F's sample for
// Login.gov, registered as Login.gov's partner portal has it: by hand, encrypted, and
// with compat.
func (w *deployment) startSample(t *testing.T) *provider {
	t.Helper()
	const key = "sample"
	private, cert := newKey(t, key)
	w.write(t, key+".key", private)
	block, _ := pem.Decode(w.read(t, w.cert))
	port := binary.FreePort(t)
	config, err := json.Marshal(map[string]any{
		"port": port, "idp_metadata": filepath.Join(w.dir, "idp.xml"),
		"providers": map[string]any{key + ".localhost": map[string]any{
			"key": string(private), "cert": string(cert), "binding": "get",
			"sample": map[string]string{
				"sso":         w.idp.BaseURL + "/api/saml/auth" + w.year,
				"slo":         w.idp.BaseURL + "/api/saml/logout" + w.year,
				"fingerprint": strings.ReplaceAll(fmt.Sprintf("% X", sha1.Sum(block.Bytes)), " ", ":"),
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := binary.Start(t, "ruby", exec.Command(binary.Need(t, "ruby"), filepath.Join(w.data, "ruby_sp.rb"), w.write(t, "sample.json", config)))
	sp := &provider{
		name: "Sample", base: fmt.Sprintf("http://%s.localhost:%d", key, port), key: filepath.Join(w.dir, key+".key"),
		issuer: "urn:gov:gsa:SAML:2.0.profiles:sp:sso:localhost", encrypted: true, logOut: "/log-out",
	}
	w.await(t, p, sp.base+"/")
	flags := []string{"sp", "add", "--entity-id", sp.issuer, "--name", sp.name, "--cert", w.write(t, key+".crt", cert),
		"--acs-url", sp.base + "/consume", "--logout-url", sp.base + "/slo_logout", "--return-to-sp-url", sp.base + "/",
		"--compat", "login.gov", "--consent", "none", "--encryption", "aes256-cbc", "--ial", "facial-match", "--allow-ialmax"}
	for _, name := range []string{"email", "all_emails", "first_name", "last_name", "address1", "city", "state", "zipcode", "phone", "ssn", "x509_presented"} {
		flags = append(flags, "--attribute", name)
	}
	w.idp.Run(t, "", flags...)
	w.sps[key] = sp
	return sp
}

// TestLoginGovSampleSignsIn walks 18F's sample through the choices of its start page.
func TestLoginGovSampleSignsIn(t *testing.T) {
	w := newIdP(t, binary.Build{}, "ruby", "chromium", "xmlsec1", "xmllint")
	sp := w.startSample(t)
	w.startBrowser(t)
	const (
		ns   = "http://idmanagement.gov/ns/assurance/"
		duo  = "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo"
		auth = "&attributes=email,x509_presented"
		data = "&attributes=email,ssn,phone,address1,city,state,zipcode,x509_presented"
	)
	person := w.idp.AddUser(t, "sample@example.org")
	b := w.profile(t)
	said := func(what, ial, aal, classRef string) {
		t.Helper()
		for id, want := range map[string]string{"authn-context": classRef, "attribute-ial": ial, "attribute-aal": aal} {
			if got := b.text(id); got != want {
				t.Errorf("%s: %s is %q, want %q", what, id, got, want)
			}
		}
	}
	proofed := func(what string) {
		t.Helper()
		if got := b.text("attribute-ssn"); got != "900-11-2222" {
			t.Errorf("%s: ssn %q", what, got)
		}
		if b.text("attribute-verified_at") == "" {
			t.Errorf("%s: no verified_at, which Login.gov sends with proofed data", what)
		}
	}
	again := func(path string) {
		t.Helper()
		b.open(sp.base + "/sign-out")
		b.passThrough(sp, path, person)
	}

	nameID := b.signIn(sp, "first?ial=1&aal=2"+auth, person)
	w.checkResponse(t, sp, b.response(), nameID)
	said("ial=1, aal=2", ns+"ial/1", ns+"aal/2", ns+"aal/2")

	again("second?ial=1&aal=sp&binding=post" + auth)
	said("no aal, by POST", ns+"ial/1", duo, duo)
	again("third?ial=1&aal=2&skip_encryption=true" + auth)
	said("skip_encryption, which is passed over", ns+"ial/1", ns+"aal/2", ns+"aal/2")

	for _, binding := range []string{"get", "post"} {
		path := "forced-" + binding + "?ial=1&aal=2&force_authn=true&binding=" + binding + auth
		b.open(sp.base + "/sign-out")
		b.open(sp.secret(path))
		b.givePassword(person)
		b.giveCode(person)
		if name := b.arrived(sp, path, person); name != nameID {
			t.Errorf("NameID is %s, was %s", name, nameID)
		}
	}

	// Proofing: first a user without a proofed identity, then a user with one.
	b.open(sp.base + "/sign-out")
	b.open(sp.secret("fourth?ial=2&aal=2" + data))
	b.expect(pageOther)
	profile := w.write(t, "sample-profile.json", []byte(`{"first_name": "Ada", "last_name": "Byron", "ssn": "900-11-2222",
		"phone": "+12025550123", "address1": "1 Main St", "city": "Nice", "state": "NY", "zipcode": "12345", "dob": "1990-02-28"}`))
	w.idp.Run(t, "", "user", "verify", person.Email, "--level", "verified", "--file", profile)
	for _, tt := range []struct{ path, ial, aal, classRef string }{
		{"ial2?ial=2&aal=2", ns + "ial/2", ns + "aal/2", ns + "aal/2"},
		{"ial2-post?ial=2&aal=2&binding=post", ns + "ial/2", ns + "aal/2", ns + "aal/2"},
		{"ial2-alone?ial=2&aal=sp", ns + "ial/2", duo, duo},
		{"sp?ial=sp&aal=sp", ns + "ial/2", duo, duo},
		{"max?ial=0&aal=2", ns + "ial/2", ns + "aal/2", ns + "aal/2"},
		{"preferred?ial=facial-match-preferred&aal=2", ns + "ial/2", ns + "aal/2", ns + "aal/2"},
	} {
		again(tt.path + data)
		said(tt.path, tt.ial, tt.aal, tt.classRef)
		proofed(tt.path)
	}

	// Logout, which names the user alone, ends the session here too.
	b.open(sp.base + sp.logOut)
	b.expect(pageSignedOut)
	w.checkLogoutResponse(t, sp, b.last())
	if name := b.signIn(sp, "last?ial=2&aal=2"+data, person); name != nameID {
		t.Errorf("NameID is %s, was %s", name, nameID)
	}
	proofed("after the logout")
}
