// Package outbound is the one HTTP client for everything that Vernal fetches or calls:
// metadata, webhooks, times. Each call has limits on time, size, headers and redirects, and
// on the IP addresses that it may reach.
//
// The IP address is checked when the connection is made, after the name is resolved, so that a
// name that resolves differently the second time gains nothing. No call uses a proxy of the
// environment, which would resolve names in our place, nor cookies, nor HTTP/2. Every call has
// connections of its own: one that a trusted URL may make is never reused for another.
package outbound

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"vernal/idp"
)

// Trust is the trust in the author of a URL. It decides which IP addresses the URL may reach.
type Trust int

const (
	// Partner is the trust of a URL from an SP's metadata, a certificate or an SP's team,
	// and of a redirect to another host. It reaches public IP addresses only.
	Partner Trust = iota
	// Operator is the trust of a URL that an operator wrote in the configuration or on a
	// command line. It reaches private networks too.
	Operator
)

// Limits of every call.
const (
	DefaultTimeout = 10 * time.Second
	maxHeader      = 64 << 10
)

// Request is one call.
type Request struct {
	Method string // GET if empty
	URL    string
	Header http.Header
	Body   []byte
	Trust  Trust
	// MaxBytes limits the answer's body. If zero, the body is not read.
	MaxBytes int
	// Timeout limits the whole call; DefaultTimeout if zero.
	Timeout time.Duration
	// Redirects is how many redirects a GET or HEAD follows. After zero the redirect
	// itself is the answer.
	Redirects int
	// AllowHTTP permits plain http to any host. Without it, http is for loopback only.
	AllowHTTP bool
}

// Response is the answer to a call.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// URL is the last one, after redirects.
	URL *url.URL
	// TLS describes the connection; nil for plain http.
	TLS *tls.ConnectionState
}

// Code identifies the reason that a call failed.
type Code string

// The codes of an Error.
const (
	CodeURL         Code = "url"           // not an absolute URL with http or https and a host
	CodePlain       Code = "plain_http"    // plain http where https is required
	CodeAddress     Code = "address"       // an IP address that the URL may not reach
	CodeRedirects   Code = "redirects"     // more redirects than allowed
	CodeTooLong     Code = "too_long"      // a body longer than allowed
	CodeTimeout     Code = "timeout"       // the time limit is exceeded
	CodeCertificate Code = "certificate"   // the server's certificate is not valid
	CodeConnection  Code = "no_connection" // the server cannot be reached, or its answer is not HTTP
)

// Error is a failed call. Its text contains neither the URL, which may hold a secret, nor the
// IP address of a refused host, which would disclose our network to the author of the URL.
type Error struct {
	Code Code
	// Host is the host of the URL, with its port.
	Host string
	// Addr is the refused IP address of CodeAddress. It is for operators.
	Addr netip.Addr
	// Limit is the limit of CodeTooLong and CodeRedirects.
	Limit int
	Err   error
}

func (e *Error) Error() string {
	switch e.Code {
	case CodeURL:
		return "the URL must have the form https://www.example.gov/path, without a user name"
	case CodePlain:
		return fmt.Sprintf("%s is reached by http, where anyone on the way can change the answer: use https", e.Host)
	case CodeAddress:
		return fmt.Sprintf("%s has an IP address that is not public: an operator can allow the host in outbound.allow", e.Host)
	case CodeRedirects:
		return fmt.Sprintf("%s redirects more than %d times: use the URL of the last redirect", e.Host, e.Limit)
	case CodeTooLong:
		return fmt.Sprintf("the answer of %s is longer than %d bytes", e.Host, e.Limit)
	case CodeTimeout:
		return fmt.Sprintf("%s does not answer in time: check that it runs and that a firewall does not block it", e.Host)
	}
	return fmt.Sprintf("%s: %v", e.Host, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// HasCode reports whether err is an Error with the code.
func HasCode(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// Client makes calls. The zero value allows no exceptions. Its methods may be called
// concurrently.
type Client struct {
	// Allow lists the hosts and networks that partners' URLs may reach in addition to public
	// IP addresses.
	Allow Allow
	// Roots are the authorities of servers' certificates; nil means the system's.
	Roots *x509.CertPool

	resolver *net.Resolver // tests only
}

// Do makes a call. An answer with a status such as 404 is not an error. The error is an *Error.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, &Error{Code: CodeURL} // err quotes the URL
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Timeout, DefaultTimeout))
	defer cancel()
	hop := *r
	for n := 0; ; n++ {
		resp, err := c.send(ctx, &hop, u)
		if err != nil {
			return nil, err
		}
		next, err := findRedirect(&hop, resp)
		if err != nil || next == nil || r.Redirects == 0 {
			return resp, err
		}
		if n == r.Redirects {
			return nil, &Error{Code: CodeRedirects, Host: u.Host, Limit: r.Redirects}
		}
		if u.Scheme == "https" && next.Scheme != "https" {
			return nil, &Error{Code: CodePlain, Host: next.Host}
		}
		if !isSameServer(u, next) {
			hop.Trust = Partner
			hop.Header = http.Header{"Accept": r.Header.Values("Accept"), "User-Agent": r.Header.Values("User-Agent")}
		}
		u = next
	}
}

// findRedirect returns the target of a redirect of GET or HEAD; nil for any other answer.
func findRedirect(r *Request, resp *Response) (*url.URL, error) {
	switch resp.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := resp.Header.Get("Location")
	if location == "" || r.Method != "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, nil
	}
	next, err := resp.URL.Parse(location)
	if err != nil {
		return nil, &Error{Code: CodeURL, Host: resp.URL.Host}
	}
	return next, nil
}

// isSameServer reports whether a redirect stays at the server that its URL named. A change
// from http to https at the default ports does.
func isSameServer(source, target *url.URL) bool {
	if !strings.EqualFold(source.Hostname(), target.Hostname()) {
		return false
	}
	return findPort(source) == findPort(target) || findPort(source) == "80" && findPort(target) == "443" && target.Scheme == "https"
}

func findPort(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}

// checkURL refuses URLs that are never called.
func checkURL(r *Request, u *url.URL) error {
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return &Error{Code: CodeURL, Host: u.Host}
	}
	if u.Scheme == "http" && !r.AllowHTTP && !idp.IsLoopback(u.Hostname()) {
		return &Error{Code: CodePlain, Host: u.Host}
	}
	return nil
}

// send makes one request, without redirects.
func (c *Client) send(ctx context.Context, r *Request, u *url.URL) (*Response, error) {
	if err := checkURL(r, u); err != nil {
		return nil, err
	}
	var body io.Reader = http.NoBody
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodGet), u.String(), body)
	if err != nil {
		return nil, &Error{Code: CodeURL, Host: u.Host}
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Vernal")
	}
	raw, err := c.newTransport(r, u).RoundTrip(req)
	if err != nil {
		return nil, classifyError(ctx, r.Trust, u, err)
	}
	defer raw.Body.Close()
	resp := &Response{Status: raw.StatusCode, Header: raw.Header, URL: u, TLS: raw.TLS}
	if r.MaxBytes == 0 {
		return resp, nil
	}
	resp.Body, err = io.ReadAll(io.LimitReader(raw.Body, int64(r.MaxBytes)+1))
	if err != nil {
		return nil, classifyError(ctx, r.Trust, u, err)
	}
	if len(resp.Body) > r.MaxBytes {
		return nil, &Error{Code: CodeTooLong, Host: u.Host, Limit: r.MaxBytes}
	}
	return resp, nil
}

// newTransport returns a transport for one request.
func (c *Client) newTransport(r *Request, u *url.URL) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            c.newDialer(r.Trust, u.Hostname()).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		Protocols:              protocols,
		DisableKeepAlives:      true,
		DisableCompression:     true, // MaxBytes then limits what is received, too
		MaxResponseHeaderBytes: maxHeader,
	}
}

// Dial connects to HOST:PORT, under the same rules as calls. It is for protocols other than
// HTTP.
func (c *Client) Dial(ctx context.Context, network, hostPort string, trust Trust) (net.Conn, error) {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, &Error{Code: CodeURL, Host: hostPort}
	}
	conn, err := c.newDialer(trust, host).DialContext(ctx, network, hostPort)
	if err != nil {
		return nil, classifyError(ctx, trust, &url.URL{Host: hostPort}, err)
	}
	return conn, nil
}

// newDialer returns a dialer that checks every IP address that it connects to.
func (c *Client) newDialer(trust Trust, host string) *net.Dialer {
	return &net.Dialer{
		Timeout:  DefaultTimeout,
		Resolver: c.resolver,
		ControlContext: func(_ context.Context, _, hostPort string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(hostPort)
			if err != nil {
				return &refusedError{}
			}
			if !c.Allow.permits(trust, host, target.Addr()) {
				return &refusedError{target.Addr()}
			}
			return nil
		},
	}
}

// refusedError is the refusal of the dialer to connect.
type refusedError struct{ addr netip.Addr }

func (e *refusedError) Error() string { return "the IP address is not allowed" }

// classifyError classifies the failure of a call. The author of a partner's URL may read the
// error, so it does not name our IP address, nor those that an allowed host has.
func classifyError(ctx context.Context, trust Trust, u *url.URL, err error) *Error {
	e := &Error{Code: CodeConnection, Host: u.Host, Err: err}
	if refusal, ok := errors.AsType[*refusedError](err); ok {
		e.Code, e.Addr, e.Err = CodeAddress, refusal.addr, nil
		return e
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Code = CodeCertificate
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		dnsCopy := *dns
		dnsCopy.Server = "" // our resolver is internal
		if !dns.IsNotFound {
			dnsCopy.Err = "the name server does not answer" // the original text can name the resolver
		}
		e.Err = &dnsCopy
	} else if op, ok := errors.AsType[*net.OpError](err); ok && trust != Operator {
		opCopy := *op
		opCopy.Source, opCopy.Addr = nil, nil
		e.Err = &opCopy
	}
	var timeoutErr net.Error
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &timeoutErr) && timeoutErr.Timeout() {
		e.Code = CodeTimeout
	}
	return e
}
