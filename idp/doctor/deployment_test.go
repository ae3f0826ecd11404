package doctor_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/doctor"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/outbound"
	"vernal/idp/seal"
	"vernal/idp/server"
	"vernal/idp/sp"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deployment is an installation whose listener is behind a proxy that ends TLS, as it is in
// production. A test makes a part of it wrong.
type deployment struct {
	*fixture.Fixture
	t      *testing.T
	doctor *doctor.Service
	// front is the proxy at base_url, and back the listener.
	front, back *httptest.Server
	ca          *authority
	cert        atomic.Pointer[tls.Certificate] // of front
	masterFile  string

	// These change what the proxy does; nil for nothing.
	rewrite   func(*httputil.ProxyRequest)
	modify    func(*http.Response)
	intercept http.HandlerFunc
}

// options are what a test must decide before the installation is opened.
type options struct {
	change  func(*installation.Config)
	proxies []netip.Prefix
	// plain: base_url is http on loopback, without a proxy.
	plain bool
	// stopped: no server runs.
	stopped bool
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func newDeployment(t *testing.T, change ...func(*options)) *deployment {
	t.Helper()
	o := options{proxies: loopback}
	for _, change := range change {
		change(&o)
	}
	d := &deployment{t: t, ca: newAuthority(t)}
	d.listen(o)
	secret := make([]byte, seal.MasterSize)
	rand.Read(secret)
	master, err := seal.NewMaster(secret)
	ok(t, err)
	folder := t.TempDir()
	ok(t, os.Chmod(folder, 0o700))
	d.masterFile = filepath.Join(folder, "master.key")
	ok(t, os.WriteFile(d.masterFile, []byte(hex.EncodeToString(secret)), 0o600))
	ok(t, os.Chtimes(d.masterFile, now, now))
	d.Fixture = fixture.Open(t, folder, master, now, func(c *installation.Config) {
		c.IdP.BaseURL = d.front.URL
		c.Outbound = &outbound.Client{Roots: d.ca.pool}
		c.Master = func() (*seal.Master, error) { return seal.LoadMaster(d.masterFile, "") }
		if o.change != nil {
			o.change(c)
		}
	})
	ok(t, d.Rotation.Begin(t.Context()))
	d.doctor = doctor.New(d.Installation, doctor.Settings{
		Listen: "127.0.0.1:8080", TrustedProxies: o.proxies,
		DataDir: folder, StoreFile: d.StoreFile(), KeysDir: d.KeysFolder(), MasterKeyFile: d.masterFile,
	}, d.Bolt)
	d.doctor.SetFreeSpace(1 << 40)
	if !o.stopped {
		d.doctor.Serve(nil)
	}
	s := &server.Server{Installation: d.Installation, TrustedProxies: o.proxies, Doctor: d.doctor, Idle: time.Hour, Absolute: time.Hour}
	handler, err := s.Handler()
	ok(t, err)
	d.back.Config.Handler = handler
	d.back.Start()
	t.Cleanup(d.back.Close)
	return d
}

// listen starts the proxy, so that base_url is known, and makes the listener without starting it.
func (d *deployment) listen(o options) {
	d.back = httptest.NewUnstartedServer(nil)
	if o.plain {
		d.front = &httptest.Server{URL: "http://" + d.back.Listener.Addr().String()}
		return
	}
	target, err := url.Parse("http://" + d.back.Listener.Addr().String())
	ok(d.t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			if d.rewrite != nil {
				d.rewrite(r)
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			if d.modify != nil {
				d.modify(resp)
			}
			return nil
		},
	}
	d.front = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.intercept != nil {
			d.intercept(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	d.cert.Store(d.ca.issue(d.t, leaf{}))
	d.front.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.cert.Load(), nil }}
	d.front.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.front.StartTLS()
	d.front.TLS.Certificates = nil
	d.t.Cleanup(d.front.Close)
}

// examine runs the checks.
func (d *deployment) examine(o doctor.Options) *doctor.Report {
	d.t.Helper()
	report, err := d.doctor.Examine(d.t.Context(), o)
	ok(d.t, err)
	return report
}

// addProvider registers a service provider with the certificates, in PEM.
func (d *deployment) addProvider(id idp.EntityID, change func(*idp.ServiceProvider), certs ...string) {
	d.t.Helper()
	p := sp.Defaults()
	p.EntityID, p.Name, p.NameIDScope, p.Certs = id, "Records", idp.NameIDScope("sp:"+id), certs
	p.ACSURLs = []string{string(id) + "/acs"}
	if change != nil {
		change(p)
	}
	ok(d.t, d.Store.CreateProvider(d.t.Context(), p, ""))
	_, err := d.Registry.Reload(d.t.Context(), id) // it was not asked to make this one
	ok(d.t, err)
}

// certificate returns the certificate of a service provider that ends at a time, in PEM.
func (d *deployment) certificate(end time.Time) string {
	d.t.Helper()
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sp"}, NotBefore: now.AddDate(-3, 0, 0), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, fixture.Key(3).Public(), fixture.Key(3))
	ok(d.t, err)
	parsed, err := x509.ParseCertificate(der)
	ok(d.t, err)
	return certs.EncodePEM(parsed)
}

// authority is a certificate authority that issues through an intermediate.
type authority struct {
	pool *x509.CertPool
	root *x509.Certificate
	mid  *x509.Certificate
}

// The validity of certificates that are not about their dates. Connections go by the time of
// the machine.
var (
	longAgo = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	farOff  = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
)

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := func(name string, n int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: longAgo, NotAfter: farOff, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	a.root = signCert(t, template("root", 1), nil, 2, 2)
	a.mid = signCert(t, template("intermediate", 2), a.root, 1, 2)
	a.pool.AddCert(a.root)
	return a
}

// signCert issues a certificate for one of the fixture's keys by another.
func signCert(t *testing.T, c, parent *x509.Certificate, key, signer int) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, fixture.Key(key).Public(), fixture.Key(signer))
	ok(t, err)
	parsed, err := x509.ParseCertificate(der)
	ok(t, err)
	return parsed
}

// leaf says how the certificate of a server differs from a good one for 127.0.0.1.
type leaf struct {
	end        time.Time
	host       string
	incomplete bool
	selfSigned bool
}

func (a *authority) issue(t *testing.T, l leaf) *tls.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "server"}, NotBefore: longAgo, NotAfter: farOff,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if !l.end.IsZero() {
		c.NotAfter = l.end
	}
	if l.host != "" {
		c.DNSNames = []string{l.host}
	} else {
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	parent, signer := a.mid, 1
	if l.selfSigned {
		parent, signer = nil, 3
	}
	signed := signCert(t, c, parent, 3, signer)
	chain := [][]byte{signed.Raw}
	if !l.incomplete && !l.selfSigned {
		chain = append(chain, a.mid.Raw)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: fixture.Key(3)}
}

// newTimeServer serves a time that differs from that of the deployment.
func newTimeServer(t *testing.T, at time.Time) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", at.Format(http.TimeFormat))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// newClosed returns HOST:PORT of a listener that was closed.
func newClosed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	ok(t, l.Close())
	return l.Addr().String()
}
