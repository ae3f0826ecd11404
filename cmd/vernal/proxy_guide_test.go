//go:build slow

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"vernal/idp/guide"
	"vernal/idp/idptest/binary"
	"vernal/idp/web"
)

// clientAddress is the network address of the browser in these tests. It is on loopback, but is
// none of the proxies that `vernal init` trusts.
const clientAddress = "127.0.0.9"

// watchHost is the host of admin_url.
const watchHost = "watch.agency.example"

// behindProxy is an installation as `vernal init` makes it, running behind a proxy with the
// configuration of the guide "proxy".
type behindProxy struct {
	dir, keys string
	env       []string
	server    *binary.Process
	direct    string // where Vernal listens
	admin     string // where its pages for operators listen
	proxy     string // where the proxy ends TLS
	wide      string // where nginx passes on all pages for operators
	roots     *x509.CertPool
}

// TestProxyGuideConfigurations runs nginx and Caddy with the blocks of the guide "proxy" in front of
// `vernal serve`. Rules replace only ports and folders, see startNginx and startCaddy.
func TestProxyGuideConfigurations(t *testing.T) {
	t.Parallel()
	for _, proxy := range []struct {
		name    string
		program string
		start   func(t *testing.T, p *behindProxy, program, guide string)
	}{
		{"nginx", "nginx", startNginx},
		{"Caddy", "caddy", startCaddy},
	} {
		t.Run(proxy.name, func(t *testing.T) {
			t.Parallel()
			program := binary.Need(t, proxy.program)
			p := newBehindProxy(t)
			text, err := readGuides(t).Lookup("proxy").Markdown(guide.Example())
			if err != nil {
				t.Fatal(err)
			}
			proxy.start(t, p, program, text)
			p.checkSignIn(t)
			p.checkSizes(t)
			p.checkHost(t)
			if out, err := p.run("rotation", "rehearse", p.year(t), "--connect", p.proxy); err != nil {
				t.Errorf("rehearse: %v\n%s", err, out)
			}
			if proxy.program == "nginx" {
				p.checkWatch(t)
			}
		})
	}
}

func newBehindProxy(t *testing.T) *behindProxy {
	t.Helper()
	keys, err := filepath.Abs("../../testdata/keys")
	if err != nil {
		t.Fatal(err)
	}
	p := &behindProxy{dir: t.TempDir(), keys: keys, admin: fmt.Sprintf("127.0.0.1:%d", binary.FreePort(t)), roots: x509.NewCertPool()}
	p.env = append(os.Environ(), "VERNAL_LISTEN=127.0.0.1:0", "VERNAL_ADMIN_LISTEN="+p.admin, "VERNAL_ADMIN_URL=https://"+watchHost,
		"SSL_CERT_FILE="+filepath.Join(p.dir, "tls.crt"))
	if err := writeTLS(p.dir, springHost, watchHost); err != nil {
		t.Fatal(err)
	}
	// The widest page header that a registration can cause: a form-action with all origins.
	register := []string{"sp", "add", "--entity-id", "https://records.agency.example", "--name", "Records",
		"--acs-url", "https://records.agency.example/saml/acs", "--cert", filepath.Join(keys, "sp1.crt")}
	for n := range 50 {
		register = append(register, "--redirect-uri", fmt.Sprintf("https://d%02d.%sagency.example/", n, strings.Repeat(strings.Repeat("d", 60)+".", 3)))
	}
	for _, args := range [][]string{
		{"init", "--base-url", "https://" + springHost}, register,
		{"user", "add", "--email", visitorEmail, "--password-stdin", "--totp-secret", visitorSecret},
	} {
		if out, err := p.run(args...); err != nil {
			t.Fatalf("vernal %s: %v\n%s", args[0], err, out)
		}
	}
	p.server = binary.Start(t, "vernal serve", p.command("serve"))
	binary.WaitUntil(t, 30*time.Second, "vernal serve answers", func() (err error) {
		p.direct, err = listenAddress(t.Context(), filepath.Join(p.dir, "vernal-data"))
		return err
	})
	return p
}

func (p *behindProxy) command(args ...string) *exec.Cmd {
	cmd := exec.Command("vernal", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, strings.NewReader(visitorPassword+"\n")
	return cmd
}

func (p *behindProxy) run(args ...string) (string, error) {
	out, err := p.command(args...).CombinedOutput()
	return string(out), err
}

// guideBlock returns the first fenced block after a text of the guide.
func guideBlock(t *testing.T, text, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, after)
	m := regexp.MustCompile("(?s)\n```[a-z]*\n(.*?)```").FindStringSubmatch(rest)
	if !found || m == nil {
		t.Fatalf("the guide has no block after %q", after)
	}
	return m[1]
}

// replaceEach replaces each old text, which must occur, by the new one.
func replaceEach(t *testing.T, text string, oldnew ...string) string {
	t.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("the guide does not contain %q:\n%s", oldnew[i], text)
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	return text
}

// startNginx starts nginx with the two blocks of the guide. The second one is in a server of its
// own, and again in one that passes on all paths. Ports and the folder of the certificate are
// replaced.
func startNginx(t *testing.T, p *behindProxy, program, text string) {
	t.Helper()
	p.proxy = fmt.Sprintf("127.0.0.1:%d", binary.FreePort(t))
	p.wide = fmt.Sprintf("127.0.0.1:%d", binary.FreePort(t))
	site := replaceEach(t, guideBlock(t, text, "\n## nginx\n"), "listen 443 ssl;", "listen "+p.proxy+" ssl;",
		"/etc/nginx/login.pem", p.dir+"/tls.crt", "/etc/nginx/login.key", p.dir+"/tls.key", "http://127.0.0.1:8080", "http://"+p.direct)
	watch := replaceEach(t, guideBlock(t, text, "\n## The wallboard and the calendar\n"), "http://127.0.0.1:9090", "http://"+p.admin)
	var user string
	if os.Geteuid() == 0 {
		user = "user root;\n" // its folders belong to root
	}
	conf := fmt.Sprintf(`%sdaemon off;
worker_processes 1;
pid %[2]s/nginx.pid;
error_log stderr;
events {}
http {
access_log off;
client_body_temp_path %[2]s/nginx-body;
proxy_temp_path %[2]s/nginx-proxy;
fastcgi_temp_path %[2]s/nginx-fastcgi;
uwsgi_temp_path %[2]s/nginx-uwsgi;
scgi_temp_path %[2]s/nginx-scgi;
%[3]s
server {
listen %[4]s ssl;
server_name %[5]s;
ssl_certificate %[2]s/tls.crt;
ssl_certificate_key %[2]s/tls.key;
%[6]s
}
server {
listen %[7]s ssl;
ssl_certificate %[2]s/tls.crt;
ssl_certificate_key %[2]s/tls.key;
%[8]s
}
}
`, user, p.dir, site, p.proxy, watchHost, watch, p.wide, replaceEach(t, watch, "~ ^/rotation/(wall|calendar)/", "/"))
	file := filepath.Join(p.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p.startProxy(t, filepath.Join(p.dir, "tls.crt"), exec.Command(program, "-p", p.dir, "-e", "stderr", "-c", file))
}

// startCaddy starts Caddy with the block of the guide. It makes its TLS certificate with an
// authority of its own, because no public one can reach it, and has other ports and folders.
func startCaddy(t *testing.T, p *behindProxy, program, text string) {
	t.Helper()
	port := binary.FreePort(t)
	p.proxy = fmt.Sprintf("127.0.0.1:%d", port)
	site := replaceEach(t, guideBlock(t, text, "\n## Caddy\n"), "127.0.0.1:8080", p.direct)
	conf := fmt.Sprintf("{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n\thttps_port %d\n\tdefault_bind 127.0.0.1\n\tstorage file_system %s/caddy\n}\n%s",
		port, p.dir, site)
	file := filepath.Join(p.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir, "XDG_DATA_HOME="+p.dir)
	root := filepath.Join(p.dir, "caddy/pki/authorities/local/root.crt")
	p.env = append(p.env, "SSL_CERT_FILE="+root)
	p.startProxy(t, root, cmd)
}

// startProxy starts the proxy and waits until it answers with a certificate that the file
// verifies.
func (p *behindProxy) startProxy(t *testing.T, root string, cmd *exec.Cmd) {
	t.Helper()
	process := binary.Start(t, filepath.Base(cmd.Path), cmd)
	binary.WaitUntil(t, 30*time.Second, "the proxy answers", func() error {
		if process.HasEnded() {
			t.Fatalf("the proxy ended:\n%s", process.Output())
		}
		pem, err := os.ReadFile(root)
		if err != nil {
			return err
		}
		p.roots.AppendCertsFromPEM(pem)
		resp, err := p.client(p.proxy).Get("https://" + springHost + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		return nil
	})
}

// client returns a client for which every host is at the address. It connects from clientAddress.
func (p *behindProxy) client(address string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddress)}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: p.roots}, DisableKeepAlives: true,
	}}
}

func (p *behindProxy) year(t *testing.T) string {
	t.Helper()
	resp, err := p.client(p.proxy).Get("https://" + springHost + "/api/saml/metadata")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	m := yearOfURL.FindSubmatch(body)
	if err != nil || m == nil {
		t.Fatalf("metadata: %v\n%s", err, body)
	}
	return string(m[1])
}

// recorder is a transport that sends what an old browser or a liar sends, and keeps the cookies
// that the answers set.
type recorder struct {
	http.RoundTripper
	cookies []*http.Cookie
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("X-Forwarded-For", "203.0.113.7")
	if req.Method == http.MethodPost { // without Sec-Fetch-Site, Origin must match the Host that Vernal sees
		req.Header.Set("Origin", "https://"+springHost)
	}
	resp, err := r.RoundTripper.RoundTrip(req)
	if err == nil {
		r.cookies = append(r.cookies, resp.Cookies()...)
	}
	return resp, err
}

var clientInLog = regexp.MustCompile(`msg=request .* path=(/sign-in\S*) .*\bclient=(\S+)`)

// checkSignIn signs a user in through the proxy. Cookies are for https only, and the log has the
// address of the browser, not the one that it claims.
func (p *behindProxy) checkSignIn(t *testing.T) {
	t.Helper()
	year := p.year(t)
	to := "https://" + springHost + "/api/saml/auth" + year
	address, err := requestAddress(p.keys, "https://records.agency.example", to, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &visiting{base: "https://" + springHost, client: p.client(p.proxy), email: visitorEmail, password: visitorPassword, secret: visitorSecret}
	sent := &recorder{RoundTripper: b.client.Transport}
	b.client.Jar, b.client.Transport = jar, sent
	page, err := b.do(http.MethodGet, address, nil)
	for range 3 { // sign-in page, code page, consent
		if err == nil {
			page, err = b.fill(page, time.Now())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	cert, err := b.do(http.MethodGet, b.base+"/api/saml/certificate"+year+".pem", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := signedWith(page.Response(), cert.Body); err != nil {
		t.Error(err)
	}
	for _, c := range sent.cookies {
		if !c.Secure || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s: secure %t", c.Name, c.Secure)
		}
	}
	if len(sent.cookies) == 0 {
		t.Error("no cookie was set")
	}
	var lines [][]string
	binary.WaitUntil(t, 10*time.Second, "the log has the sign-in", func() error {
		if lines = clientInLog.FindAllStringSubmatch(p.server.Output(), -1); len(lines) < 4 {
			return fmt.Errorf("%d lines", len(lines))
		}
		return nil
	})
	for _, line := range lines {
		if line[2] != clientAddress {
			t.Errorf("%s: the log has the client %s, want %s", line[1], line[2], clientAddress)
		}
	}
}

// checkSizes checks that everything that Vernal reads reaches it, and that longer requests end
// before or in Vernal, not in an error of the proxy.
func (p *behindProxy) checkSizes(t *testing.T) {
	t.Helper()
	year := p.year(t)
	query := "SAMLRequest=" + url.QueryEscape(strings.Repeat("A", 60<<10))
	form := "SAMLRequest=" + strings.Repeat("A", web.MaxBody-len("SAMLRequest="))
	for _, c := range []struct {
		name, method, query, body string
		status                    int
		ours                      bool
	}{
		{"long URL", http.MethodGet, query, "", http.StatusBadRequest, true},
		{"long form", http.MethodPost, "", form, http.StatusBadRequest, true},
		{"too long a form", http.MethodPost, "", form + strings.Repeat("A", 64<<10), http.StatusRequestEntityTooLarge, false},
	} {
		req, err := http.NewRequest(c.method, "https://"+springHost+"/api/saml/auth"+year+"?"+c.query, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "text/html")
		resp, err := p.client(p.proxy).Do(req)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		ours := resp.Header.Get("Content-Security-Policy") != ""
		if err != nil || resp.StatusCode != c.status || c.ours && !ours {
			t.Errorf("%s: %d, answered by Vernal: %t, %v\n%s", c.name, resp.StatusCode, ours, err, body)
		}
	}
	// Many cookies of other programs under the same domain.
	req, err := http.NewRequest(http.MethodGet, "https://"+springHost+"/sign-in", nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 16 {
		req.AddCookie(&http.Cookie{Name: "other" + strconv.Itoa(n), Value: strings.Repeat("x", 3<<10)})
	}
	resp, err := p.client(p.proxy).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("with 48 kB of cookies: %s", resp.Status)
	}
}

// checkHost checks that a false Host changes no URL.
func (p *behindProxy) checkHost(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/account", "/api/saml/metadata", "/developers/start"} {
		req, err := http.NewRequest(http.MethodGet, "https://"+springHost+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		client := p.client(p.proxy)
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || bytes.Contains(body, []byte("evil.example")) || strings.Contains(resp.Header.Get("Location"), "evil.example") {
			t.Errorf("%s: %v, Location %s\n%s", path, err, resp.Header.Get("Location"), body)
		}
	}
}

// checkWatch checks that wallboard and calendar can be reached from outside, and nothing else of
// the pages for operators, even through a proxy that passes on all paths.
func (p *behindProxy) checkWatch(t *testing.T) {
	t.Helper()
	get := func(at, address string) int {
		t.Helper()
		resp, err := p.client(at).Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, at := range []string{p.proxy, p.wide} {
		for _, kind := range []string{"wall", "calendar"} {
			out, err := p.run("rotation", "link", kind)
			address := regexp.MustCompile(`https://` + regexp.QuoteMeta(watchHost) + `/\S+`).FindString(out)
			if err != nil || address == "" {
				t.Fatalf("link %s: %v\n%s", kind, err, out)
			}
			if status := get(at, address); status != http.StatusOK {
				t.Errorf("%s: %d", kind, status)
			}
		}
		for _, path := range []string{"/", "/rotation", "/rotation.json", "/metrics", "/rotation/wall/guess"} {
			if status := get(at, "https://"+watchHost+path); status != http.StatusNotFound {
				t.Errorf("%s: %d", path, status)
			}
		}
	}
}
