//go:build realsp

package realsp

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"vernal/idp/idptest/binary"
)

// other is one of the service providers that a test application on a third-party library
// plays. The application distinguishes them by the host.
type other struct {
	key, name string
	// options are the application's own, in its configuration.
	options map[string]any
	// signedResponse, encrypted and signedLogout are as in provider.
	encrypted, signedResponse, signedLogout bool
	flags                                   []string
	// logoutPath, if not empty, is registered for LogoutResponses, because the metadata
	// names no URL for those by HTTP-POST.
	logoutPath string
}

// proofed returns a service provider that asks for a proofed identity, and in addition to
// proofedContext for an attribute that the user has no value for.
func proofed(key, name string, options map[string]any) other {
	context := slices.Clone(proofedContext)
	context[2] += ",middle_name"
	options["context"] = context
	return other{
		key: key, name: name, encrypted: true, signedResponse: true, options: options,
		flags: slices.Concat(proofedFlags, []string{"--attribute", "middle_name", "--sign-response"}),
	}
}

// startPySAML2 starts the application on pysaml2, whose defaults are to ask
// for a logout by SOAP, from server to server.
func (w *deployment) startPySAML2(t *testing.T) {
	t.Helper()
	if err := exec.Command(systemPython, "-c", "import saml2").Run(); err != nil {
		binary.ReportMissing(t, "python3-pysaml2")
	}
	w.startOthers(t, func(config string, _ int) *exec.Cmd {
		return exec.Command(systemPython, "-B", filepath.Join(w.data, "pysaml2_sp.py"), config)
	}, []other{
		{key: "pysaml2", name: "PySAML2", options: map[string]any{"binding": "redirect"}},
		{key: "pysaml2-encrypted", name: "PySAML2, encrypted", encrypted: true, signedResponse: true,
			options: map[string]any{"binding": "post", "logout": "post"}, flags: []string{"--sign-response"}},
		proofed("pysaml2-verified", "PySAML2, verified", map[string]any{"binding": "redirect"}),
		{key: "pysaml2-redirect", name: "PySAML2 by Redirect", options: map[string]any{"binding": "redirect", "logout": "redirect"}},
	})
}

// startNode starts the application on node-saml. It accepts no unsigned Response of any kind
// unless configured to.
func (w *deployment) startNode(t *testing.T) {
	t.Helper()
	node, npm := binary.Need(t, "node"), binary.Need(t, "npm")
	for _, name := range []string{"node_sp.js", "package.json", "package-lock.json"} {
		w.write(t, "node/"+name, w.read(t, filepath.Join(w.data, "node", name)))
	}
	dir := filepath.Join(w.dir, "node")
	if out, err := command(t, nil, npm, "ci", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"); err != nil {
		// Its packages come over the network, which a machine may be without.
		binary.ReportMissing(t, fmt.Sprintf("npm ci: %v\n%s", err, out))
	}
	flags := []string{"--sign-response", "--sign-logout-response"}
	w.startOthers(t, func(config string, _ int) *exec.Cmd {
		return exec.Command(node, filepath.Join(dir, "node_sp.js"), config)
	}, []other{
		{key: "node", name: "Node", signedResponse: true, signedLogout: true,
			options: map[string]any{"binding": "redirect"}, flags: flags},
		{key: "node-encrypted", name: "Node, encrypted", encrypted: true, signedResponse: true, signedLogout: true,
			options: map[string]any{"binding": "post"}, flags: flags},
		proofed("node-verified", "Node, verified", map[string]any{"binding": "redirect"}),
		{key: "node-unsigned", name: "Node, unsigned", signedResponse: true,
			options: map[string]any{"binding": "redirect"}, flags: flags[:1]},
	})
}

// startPHP starts SimpleSAMLphp. The first provider keeps the defaults where
// possible. The others verify LogoutResponses.
func (w *deployment) startPHP(t *testing.T) {
	t.Helper()
	const www = "/usr/share/simplesamlphp/www"
	if _, err := os.Stat(www); err != nil {
		binary.ReportMissing(t, "simplesamlphp is not installed")
	}
	php, dir := binary.Need(t, "php"), filepath.Join(w.data, "simplesamlphp")
	sessions := filepath.Dir(w.write(t, "php-sessions/none", nil))
	w.startOthers(t, func(config string, port int) *exec.Cmd {
		cmd := exec.Command(php, "-d", "display_errors=0", "-d", "error_reporting=0", "-d", "session.save_path="+sessions,
			"-S", fmt.Sprintf("127.0.0.1:%d", port), "-t", www, filepath.Join(dir, "router.php"))
		cmd.Env = append(os.Environ(), "SP_CONFIG="+config, "SIMPLESAMLPHP_CONFIG_DIR="+dir)
		return cmd
	}, []other{
		{key: "php", name: "SimpleSAMLphp", logoutPath: "/module.php/saml/sp/saml2-logout.php/sp", flags: []string{"--encryption", "none"},
			options: map[string]any{"logout_bindings": []string{"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"}}},
		{key: "php-encrypted", name: "SimpleSAMLphp, encrypted", encrypted: true, signedResponse: true, signedLogout: true,
			options: map[string]any{"validate_logout": true}, flags: []string{"--sign-response", "--sign-logout-response"}},
		proofed("php-verified", "SimpleSAMLphp, verified", map[string]any{}),
		{key: "php-unsigned", name: "SimpleSAMLphp, unsigned", encrypted: true,
			options: map[string]any{"validate_logout": true}},
	})
}

// startOthers starts the application as service providers and registers each
// from the metadata that it makes.
func (w *deployment) startOthers(t *testing.T, application func(config string, port int) *exec.Cmd, all []other) {
	t.Helper()
	port, providers := binary.FreePort(t), map[string]any{}
	for _, o := range all {
		key, cert := newKey(t, o.key)
		o.options["key"], o.options["cert"] = w.write(t, o.key+".key", key), w.write(t, o.key+".crt", cert)
		o.options["encrypted"] = o.encrypted
		providers[o.key+".localhost"] = o.options
	}
	config, err := json.Marshal(map[string]any{
		"port": port, "dir": w.dir, "idp_metadata": filepath.Join(w.dir, "idp.xml"), "providers": providers,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := binary.Start(t, all[0].key, application(w.write(t, all[0].key+".json", config), port))
	for _, o := range all {
		sp := &provider{
			name: o.name, base: fmt.Sprintf("http://%s.localhost:%d", o.key, port), key: filepath.Join(w.dir, o.key+".key"),
			encrypted: o.encrypted, signedResponse: o.signedResponse, logOut: "/log-out", signedLogout: o.signedLogout,
		}
		w.await(t, p, sp.base+"/saml/metadata")
		if o.logoutPath != "" {
			o.flags = append(o.flags, "--logout-url", sp.base+o.logoutPath)
		}
		w.register(t, o.key, sp, sp.base+"/saml/metadata", o.flags...)
	}
}

// TestLibraryProvidersSignInAndOut is TestRealProvidersSignInAndOut for service providers
// that are applications of a few lines on a library.
func TestLibraryProvidersSignInAndOut(t *testing.T) {
	w := newIdP(t, binary.Build{}, "chromium", "xmlsec1", "xmllint")
	w.startPySAML2(t)
	w.startNode(t)
	w.startPHP(t)
	w.startBrowser(t)
	w.witness = "pysaml2-encrypted"
	tests := []struct {
		name string
		run  func(t *testing.T, w *deployment)
	}{
		{"pysaml2", func(t *testing.T, w *deployment) { testSignIn(t, w, "pysaml2") }},
		{"pysaml2 encrypted", func(t *testing.T, w *deployment) { testSignIn(t, w, "pysaml2-encrypted") }},
		{"pysaml2 verified", func(t *testing.T, w *deployment) { testProofed(t, w, "pysaml2-verified") }},
		{"pysaml2 log out by SOAP", func(t *testing.T, w *deployment) { testLogOutSOAP(t, w, "pysaml2", "/log-out") }},
		{"pysaml2 encrypted log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "pysaml2-encrypted") }},
		{"pysaml2 redirect log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "pysaml2-redirect") }},
		{"pysaml2 log out in part", func(t *testing.T, w *deployment) { testLogOutPartial(t, w, "pysaml2-redirect") }},
		{"pysaml2 force", func(t *testing.T, w *deployment) { testForceAuthn(t, w, "pysaml2-redirect") }},
		{"pysaml2 passive", func(t *testing.T, w *deployment) { testPassive(t, w, "pysaml2-redirect", "pysaml2") }},
		{"node", func(t *testing.T, w *deployment) { testSignIn(t, w, "node") }},
		{"node encrypted", func(t *testing.T, w *deployment) { testSignIn(t, w, "node-encrypted") }},
		{"node verified", func(t *testing.T, w *deployment) { testProofed(t, w, "node-verified") }},
		{"node log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "node") }},
		{"node encrypted log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "node-encrypted") }},
		{"node log out unsigned", func(t *testing.T, w *deployment) { testLogOutUnsigned(t, w, "node-unsigned") }},
		{"node log out in part", func(t *testing.T, w *deployment) { testLogOutPartial(t, w, "node") }},
		{"node force", func(t *testing.T, w *deployment) { testForceAuthn(t, w, "node") }},
		{"node passive", func(t *testing.T, w *deployment) { testPassive(t, w, "node", "node-encrypted") }},
		{"php", func(t *testing.T, w *deployment) { testSignIn(t, w, "php") }},
		{"php encrypted", func(t *testing.T, w *deployment) { testSignIn(t, w, "php-encrypted") }},
		{"php verified", func(t *testing.T, w *deployment) { testProofed(t, w, "php-verified") }},
		{"php log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "php") }},
		{"php encrypted log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "php-encrypted") }},
		{"php log out unsigned", func(t *testing.T, w *deployment) { testLogOutUnsigned(t, w, "php-unsigned") }},
		{"php log out of another", func(t *testing.T, w *deployment) { testLogOutAtOtherSP(t, w, "php") }},
		{"php log out in part", func(t *testing.T, w *deployment) { testLogOutPartial(t, w, "php") }},
		{"php force", func(t *testing.T, w *deployment) { testForceAuthn(t, w, "php-encrypted") }},
		{"php passive", func(t *testing.T, w *deployment) { testPassive(t, w, "php", "php-encrypted") }},
	}
	t.Run("all", func(t *testing.T) { // waits for its parallel tests
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(t, w)
			})
		}
	})
	testConsent(t, w, "pysaml2", "pysaml2-encrypted", "pysaml2-redirect", "node", "node-encrypted", "php", "php-encrypted")
}
