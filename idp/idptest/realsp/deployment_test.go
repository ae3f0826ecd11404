//go:build realsp

package realsp

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"vernal/idp/idptest/binary"
)

// deployment is shared by all tests.
type deployment struct {
	idp    *binary.Vernal
	server *binary.Process // vernal serve
	year   string          // the preferred one
	cert   string          // file with that year's certificate
	dir    string          // readable by the user that Apache runs as
	data   string          // testdata/realsp
	sps    map[string]*provider
	// witness is the key of a service provider whose sign-ins show that a session with us
	// still lives.
	witness string
	browser context.Context
	// metadataFiles is set if Shibboleth has our metadata of one year in a
	// file, as Mellon always has, instead of loading the stable document.
	metadataFiles bool
}

// provider is a service provider that runs.
type provider struct {
	name string // display name on our pages
	base string // its base URL, without a final slash
	// issuer is its entity ID, if that does not derive from its base URL.
	issuer string
	key    string // file with its private key
	// encrypted is set if its assertions are, signedResponse if the Response is
	// signed beside the Assertion.
	encrypted, signedResponse bool
	// logOut is the path at which a logout begins at the provider;
	// signedLogout is set if it is registered for signed LogoutResponses.
	logOut       string
	signedLogout bool
}

// entityID returns the service provider's entity ID.
func (p *provider) entityID() string {
	if p.issuer != "" {
		return p.issuer
	}
	return p.base + "/sp"
}

// start returns the URL that starts a sign-in at the service provider.
func (p *provider) start() string { return p.secret("start") }

// secret returns a page that needs a sign-in; the provider shows the path back.
func (p *provider) secret(path string) string { return p.base + "/secret/" + path }

// newDeployment starts everything.
func newDeployment(t *testing.T) *deployment {
	w := newIdP(t, binary.Build{}, "apache2", "shibd", "ruby", "chromium", "xmlsec1", "xmllint")
	w.startMellon(t)
	w.startShibboleth(t)
	w.startRuby(t)
	w.startPython(t)
	w.startBrowser(t)
	w.witness = "shibboleth-encrypted"
	return w
}

// newIdP starts our side alone, if the programs are there that the test needs.
func newIdP(t *testing.T, b binary.Build, programs ...string) *deployment {
	t.Helper()
	for _, program := range programs {
		binary.Need(t, program)
	}
	w := &deployment{dir: sharedDir(t), sps: map[string]*provider{}}
	data, err := filepath.Abs("../../../testdata/realsp")
	if err != nil {
		t.Fatal(err)
	}
	w.data = data

	w.idp = binary.NewWithBuild(t, t.TempDir(), "idp.localhost", b)
	w.server = w.idp.Serve(t)
	w.year = w.idp.Year(t)
	w.cert = w.certificate(t, w.year)
	w.write(t, "idp.xml", w.metadata(t, w.year))
	return w
}

// metadata returns our metadata of the year.
func (w *deployment) metadata(t *testing.T, year string) []byte {
	t.Helper()
	return w.get(t, w.idp.BaseURL+"/api/saml/metadata"+year)
}

// certificate returns a file with the certificate of the year.
func (w *deployment) certificate(t *testing.T, year string) string {
	t.Helper()
	return w.write(t, "idp"+year+".crt", w.get(t, w.idp.BaseURL+"/api/saml/certificate"+year+".pem"))
}

// register adds the provider from the metadata that it makes itself.
func (w *deployment) register(t *testing.T, key string, p *provider, metadata string, flags ...string) {
	t.Helper()
	w.sps[key] = p
	flags = append(flags, "--name", p.name)
	w.idp.AddSP(t, w.get(t, metadata), flags...)
}

// get fetches a page of any of our hosts.
func (w *deployment) get(t *testing.T, url string) []byte {
	t.Helper()
	body, err := binary.Get(t, binary.Client(), url)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// write makes a file in the shared folder that every process may read.
func (w *deployment) write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// sharedDir returns a temporary folder that other users can read: Apache, started by
// root, gives its rights up. Nothing in it is secret beyond this test.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vernal-realsp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
