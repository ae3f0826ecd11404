package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"

	"vernal/idp/idptest"
	"vernal/idp/xmldsig"
)

// The user of `visit`, added by a script.
const (
	visitorEmail    = "ana@agency.example"
	visitorPassword = "plum jam on nine windows"
	visitorSecret   = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

// signInAt is the script command `visit`: the user signs in at a service provider that uses
// the endpoint URLs of a year, in a browser that keeps its cookies. The Response must be
// signed by that year. With ! the year's endpoint URL must answer 410.
func signInAt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: visit ENTITY_ID YEAR")
	}
	now, err := readClock(ts.Getenv(clockEnv))
	ts.Check(err)
	b := newVisiting(ts)
	address, err := requestAddress(ts.Getenv("KEYS"), args[0], b.base+"/api/saml/auth"+args[1], now)
	ts.Check(err)
	page, err := b.do(http.MethodGet, address, nil)
	ts.Check(err)
	if neg {
		if page.Status != http.StatusGone {
			ts.Fatalf("%s: %d, want 410:\n%s", args[1], page.Status, page.Text())
		}
		return
	}
	for range 3 { // the sign-in page and the code page, where there is no session, and the consent
		if page.Response() != nil {
			break
		}
		page, err = b.fill(page, now)
		ts.Check(err)
	}
	cert, err := b.do(http.MethodGet, b.base+"/api/saml/certificate"+args[1]+".pem", nil)
	ts.Check(err)
	ts.Check(signedWith(page.Response(), cert.Body))
	ts.Logf("%s signed a user in by %s", args[0], args[1])
}

// requestAddress returns the URL to which a service provider sends the browser: a signed
// AuthnRequest by HTTP-Redirect.
func requestAddress(keys, entityID, to string, now time.Time) (string, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(keys, "sp1.crt"), filepath.Join(keys, "sp1.key"))
	if err != nil {
		return "", err
	}
	acs, err := url.Parse(entityID + "/saml/acs")
	if err != nil {
		return "", err
	}
	provider := &saml.ServiceProvider{
		EntityID: entityID, AcsURL: *acs, Key: pair.PrivateKey.(*rsa.PrivateKey), Certificate: pair.Leaf,
		SignatureMethod: xmldsig.AlgorithmRSASHA256, IDPMetadata: &saml.EntityDescriptor{},
	}
	request, err := provider.MakeAuthenticationRequest(to, saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", err
	}
	request.IssueInstant = now
	address, err := request.Redirect("", provider)
	if err != nil {
		return "", err
	}
	return address.String(), nil
}

// signedWith checks that a Response signs a user in and contains the certificate.
func signedWith(response, certificate []byte) error {
	block, _ := pem.Decode(certificate)
	switch {
	case response == nil:
		return errors.New("no Response came")
	case block == nil:
		return errors.New("no certificate came")
	case !bytes.Contains(response, []byte(saml.StatusSuccess)):
		return fmt.Errorf("no user was signed in:\n%s", response)
	case !bytes.Contains(response, []byte(base64.StdEncoding.EncodeToString(block.Bytes))):
		return errors.New("another year has signed")
	}
	return nil
}

// visiting is a browser without script, and its user.
type visiting struct {
	base                    string
	client                  *http.Client
	email, password, secret string
}

// browserKey is where a script keeps its browser's cookies.
type browserKey struct{}

func newVisiting(ts *testscript.TestScript) *visiting {
	proxy, err := url.Parse(ts.Getenv("HTTPS_PROXY"))
	ts.Check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ts.ReadFile(ts.Getenv("SSL_CERT_FILE"))))
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	return &visiting{
		base: ts.Getenv("BASE"), client: &http.Client{Transport: transport, Jar: ts.Value(browserKey{}).(*cookiejar.Jar)},
		email: visitorEmail, password: visitorPassword, secret: visitorSecret,
	}
}

// do asks for a page, and follows where it leads.
func (b *visiting) do(method, address string, form url.Values) (*idptest.Page, error) {
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	return idptest.ReadPage(resp)
}

// fill gives a page what it asks for.
func (b *visiting) fill(page *idptest.Page, now time.Time) (*idptest.Page, error) {
	form := page.Form()
	_, password := form.Fields["password"]
	_, code := form.Fields["code"]
	_, consent := form.Fields["shown"]
	switch {
	case consent:
	case password:
		form.Fields.Set("email", b.email)
		form.Fields.Set("password", b.password)
	case code:
		text, err := totp.GenerateCode(b.secret, now)
		if err != nil {
			return nil, err
		}
		form.Fields.Set("code", text)
	default:
		return nil, fmt.Errorf("%s (%d) asks for no password, code or consent:\n%s", page.URL, page.Status, page.Text())
	}
	to, err := page.URL.Parse(form.Action)
	if err != nil {
		return nil, err
	}
	return b.do(http.MethodPost, to.String(), form.Fields)
}

// newProxy returns an HTTP proxy with CONNECT. addressOf returns the address to connect to for
// a host with its port.
func newProxy(addressOf func(ctx context.Context, host string) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, err := addressOf(r.Context(), r.Host)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, fmt.Sprint(err), http.StatusBadGateway)
			return
		}
		server, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = server.Close()
			return
		}
		_, _ = client.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		go func() {
			_, _ = io.Copy(server, buffered)
			_ = server.Close()
		}()
		go func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		}()
	})
}
