//go:build realsp

package realsp

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"text/template"
	"time"

	"vernal/idp/idptest/binary"
)

// startTime is how long a service provider may take until it answers.
const startTime = 30 * time.Second

// startMellon starts Apache as two service providers: "mellon", and
// "mellon-encrypted", whose metadata is taken as mellon makes it, with a key
// for encryption in it.
func (w *deployment) startMellon(t *testing.T) {
	t.Helper()
	key, cert := newKey(t, "mellon")
	keyFile := w.write(t, "apache/sp.key", key)
	w.write(t, "apache/sp.crt", cert)
	w.write(t, "apache/idp.xml", w.read(t, filepath.Join(w.dir, "idp.xml")))
	for _, name := range []string{"secret.shtml", "signed-out.html"} {
		w.write(t, "apache/www/"+name, w.read(t, filepath.Join(w.data, name)))
	}
	port := binary.FreePort(t)
	conf := w.write(t, "apache/apache.conf", fill(t, filepath.Join(w.data, "apache.conf"), map[string]any{
		"Dir": filepath.Join(w.dir, "apache"), "Port": port, "Root": os.Getuid() == 0,
		"Modules": "/usr/lib/apache2/modules", "Plain": "mellon.localhost", "Encrypted": "mellon-encrypted.localhost",
	}))
	p := binary.Start(t, "apache", exec.Command(binary.Need(t, "apache2"), "-f", conf, "-DFOREGROUND"))

	plain := &provider{name: "Mellon", base: fmt.Sprintf("http://mellon.localhost:%d", port), key: keyFile}
	encrypted := &provider{
		name: "Mellon, encrypted", base: fmt.Sprintf("http://mellon-encrypted.localhost:%d", port),
		key: keyFile, encrypted: true, signedResponse: true,
	}
	w.await(t, p, plain.base+"/mellon/metadata")
	for _, sp := range []*provider{plain, encrypted} {
		sp.logOut = "/mellon/logout?ReturnTo=" + url.QueryEscape(sp.signedOut())
	}
	// Mellon's metadata always names a key for encryption, even if its administrator does
	// not want that. Mellon accepts a posted LogoutResponse without saying so in its
	// metadata, and refuses an unsigned one.
	plain.signedLogout = true
	w.register(t, "mellon", plain, plain.base+"/mellon/metadata", "--encryption", "none",
		"--logout-url", plain.base+"/mellon/logout", "--sign-logout-response")
	w.register(t, "mellon-encrypted", encrypted, encrypted.base+"/mellon/metadata", "--sign-response",
		"--logout-url", encrypted.base+"/mellon/logout")
}

// startShibboleth starts Debian's Shibboleth SP, which is shibd and an Apache module, as two
// service providers: "shibboleth", and "shibboleth-encrypted", which is registered with the
// metadata that Shibboleth generates, with a key for encryption and its algorithms.
func (w *deployment) startShibboleth(t *testing.T) {
	t.Helper()
	port := binary.FreePort(t)
	values := map[string]any{
		"Dir": filepath.Join(w.dir, "shibboleth"), "Port": port, "Root": os.Getuid() == 0,
		"Modules": "/usr/lib/apache2/modules", "Plain": "shibboleth.localhost", "Encrypted": "shibboleth-encrypted.localhost",
		"IdP": w.idp.BaseURL + "/api/saml", "Metadata": w.idp.BaseURL + "/api/saml/metadata", "Cert": w.cert, "File": "",
	}
	if w.metadataFiles {
		values["File"] = w.write(t, "shibboleth/idp.xml", w.read(t, filepath.Join(w.dir, "idp.xml")))
	}
	place := func(name, as string) string {
		return w.write(t, filepath.Join("shibboleth", as), fill(t, filepath.Join(w.data, "shibboleth", name), values))
	}
	for _, use := range []string{"signing", "encryption"} {
		key, cert := newKey(t, use)
		w.write(t, "shibboleth/"+use+".key", key)
		w.write(t, "shibboleth/"+use+".crt", cert)
	}
	place("log.conf", "log.conf")
	place("attribute-map.xml", "attribute-map.xml")
	place("secret.shtml", "www/secret.shtml")
	w.write(t, "shibboleth/www/signed-out.html", w.read(t, filepath.Join(w.data, "signed-out.html")))
	config, apache := place("shibboleth2.xml", "shibboleth2.xml"), place("apache.conf", "apache.conf")

	pid := filepath.Join(w.dir, "shibboleth/shibd.pid")
	shibd := binary.Start(t, "shibd", exec.Command(binary.Need(t, "shibd"), "-F", "-f", "-c", config, "-p", pid))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("shibd:\n%s", shibd.Output())
		}
	})
	p := binary.Start(t, "apache with shibboleth", exec.Command(binary.Need(t, "apache2"), "-f", apache, "-DFOREGROUND"))

	const metadata = "/Shibboleth.sso/Metadata"
	plain := &provider{name: "Shibboleth", base: fmt.Sprintf("http://shibboleth.localhost:%d", port)}
	encrypted := &provider{
		name: "Shibboleth, encrypted", base: fmt.Sprintf("http://shibboleth-encrypted.localhost:%d", port),
		key: filepath.Join(w.dir, "shibboleth/encryption.key"), encrypted: true, signedResponse: true,
	}
	w.await(t, p, plain.base+metadata)
	if shibd.HasEnded() {
		t.Fatalf("shibd ended with code %d:\n%s", shibd.ExitCode(), shibd.Output())
	}
	for _, sp := range []*provider{plain, encrypted} {
		sp.logOut = "/Shibboleth.sso/Logout?return=" + url.QueryEscape(sp.signedOut())
	}
	plain.signedLogout = true // it refuses an unsigned LogoutResponse
	w.register(t, "shibboleth", plain, plain.base+metadata, "--encryption", "none", "--sign-logout-response")
	w.register(t, "shibboleth-encrypted", encrypted, encrypted.base+metadata, "--sign-response")
}

// rubyOptions are those of one provider in the configuration of ruby_sp.rb.
type rubyOptions struct {
	Key       string `json:"key"`
	Cert      string `json:"cert"`
	Binding   string `json:"binding"`
	Encrypted bool   `json:"encrypted"`
	// Context is the RequestedAuthnContext, that of the script if empty.
	Context []string `json:"context,omitempty"`
}

// startRuby starts the ruby-saml application as four service providers. Two of
// them, "ruby-get" and "ruby-encrypted", belong to one agency; "ruby-verified"
// asks for proofed identities.
func (w *deployment) startRuby(t *testing.T) {
	t.Helper()
	port := binary.FreePort(t)
	kinds := []struct {
		key, name string
		options   rubyOptions
		flags     []string
	}{
		{"ruby-get", "Ruby", rubyOptions{Binding: "get"}, []string{"--agency", "Gems"}},
		{"ruby-post", "Ruby by POST", rubyOptions{Binding: "post"}, nil},
		{"ruby-encrypted", "Ruby, encrypted", rubyOptions{Binding: "get", Encrypted: true}, []string{"--agency", "Gems"}},
		{"ruby-verified", "Ruby, verified", rubyOptions{Binding: "get", Encrypted: true, Context: proofedContext}, proofedFlags},
	}
	providers := map[string]rubyOptions{}
	for _, k := range kinds {
		key, cert := newKey(t, k.key)
		w.write(t, k.key+".key", key)
		k.options.Key, k.options.Cert = string(key), string(cert)
		providers[k.key+".localhost"] = k.options
	}
	config, err := json.Marshal(map[string]any{
		"port": port, "idp_metadata": filepath.Join(w.dir, "idp.xml"), "providers": providers,
	})
	if err != nil {
		t.Fatal(err)
	}
	script, file := filepath.Join(w.data, "ruby_sp.rb"), w.write(t, "ruby.json", config)
	p := binary.Start(t, "ruby", exec.Command(binary.Need(t, "ruby"), script, file))

	for _, k := range kinds {
		sp := &provider{
			name: k.name, base: fmt.Sprintf("http://%s.localhost:%d", k.key, port),
			key: filepath.Join(w.dir, k.key+".key"), encrypted: k.options.Encrypted,
			logOut: "/log-out",
		}
		w.await(t, p, sp.base+"/saml/metadata")
		w.register(t, k.key, sp, sp.base+"/saml/metadata", append(k.flags, "--sp-initiated-login-url", sp.start())...)
	}
}

// await waits until the process answers at url.
func (w *deployment) await(t *testing.T, p *binary.Process, url string) {
	t.Helper()
	client := binary.Client()
	binary.WaitUntil(t, startTime, url+" answers", func() error {
		if p.HasEnded() {
			t.Fatalf("process ended with code %d:\n%s", p.ExitCode(), p.Output())
		}
		_, err := binary.Get(t, client, url)
		return err
	})
}

func (w *deployment) read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fill reads a text template and fills it.
func fill(t *testing.T, path string, values any) []byte {
	t.Helper()
	tmpl, err := template.ParseFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, values); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newKey makes a private key and a self-signed certificate, both PEM.
func newKey(t *testing.T, name string) (key, cert []byte) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
