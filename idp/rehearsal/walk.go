package rehearsal

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	crewjam "github.com/crewjam/saml"

	"vernal/idp"
)

// Limits of one request of a Walk.
const (
	answerTime = 10 * time.Second
	maxAnswer  = 1 << 20
)

// Walk is the client's side of a rehearsal: the browser and the SP. All exported fields are
// required.
type Walk struct {
	Terms *Terms
	// Key and Cert belong to the SP. Begin got the same certificate.
	Key    *rsa.PrivateKey
	Cert   *x509.Certificate
	Client *http.Client
	Clock  idp.Clock

	// The results of earlier steps.
	document []byte
	metadata *crewjam.EntityDescriptor
	signingCert  *x509.Certificate
	answers  []answer
	// isUnreached means that no server answers over HTTP.
	isUnreached bool
}

// answer is a Response and the request that it answers.
type answer struct {
	binding   string
	request   request
	url       string // URL of the request by HTTP-Redirect
	response  []byte
	assertion *crewjam.Assertion
}

// Outcome is the machine-readable result of a step.
type Outcome string

// The outcomes. A step without its prerequisites is not tried, which is not a failure of its
// own.
const (
	OutcomeOK       Outcome = "ok"
	OutcomeFailed   Outcome = "failed"
	OutcomeNotTried Outcome = "not_tried"
)

// Result is the result of one step.
type Result struct {
	Step string `json:"step"`
	// OK means OutcomeOK.
	OK      bool    `json:"ok"`
	Outcome Outcome `json:"result"`
	// Text is the finding or, if the step failed or was not tried, the reason.
	Text string `json:"text"`
	// Suggestions say how to fix it.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
}

// Count returns how many results have the outcome.
func Count(results []Result, o Outcome) (n int) {
	for _, r := range results {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

// Connection is how a Walk connects. The zero value connects to base_url.
type Connection struct {
	// HostPort, HOST:PORT, replaces the host of every URL for the connection. TLS and the
	// Host header keep the name in the URL.
	HostPort string
	// Plain means that Address speaks plain http, like the server itself behind a proxy
	// that ends TLS. It is never detected automatically, because any listener without TLS
	// would then get the session cookie.
	Plain bool
}

// plainTransport sends requests for https URLs without TLS, like a proxy that ends TLS,
// with the Host header of the URL. The server needs no X-Forwarded-Proto: base_url decides
// that cookies are Secure.
type plainTransport struct{ *http.Transport }

func (t plainTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return t.Transport.RoundTrip(r)
}

// NewClient makes a client for Walk that does not follow redirects.
func NewClient(way Connection) *http.Client {
	dialer := &net.Dialer{Timeout: answerTime}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: answerTime, DisableKeepAlives: true,
		DialContext: dialer.DialContext,
	}
	client := &http.Client{
		Transport: transport, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if way.HostPort == "" {
		return client
	}
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, way.HostPort)
	}
	if way.Plain {
		client.Transport = plainTransport{transport}
	}
	return client
}

// page is an HTTP response.
type page struct {
	status int
	header http.Header
	body   []byte
}

// get requests a URL as a browser does, with the cookies.
func (w *Walk) get(ctx context.Context, status int, url string, cookies ...*http.Cookie) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return page{}, err
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	return w.send(req, status)
}

// post sends a form as another site's page does: without cookies.
func (w *Walk) post(ctx context.Context, status int, url string, form url.Values) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(form.Encode()))
	if err != nil {
		return page{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.Header.Set("Origin", "https://rehearsal.invalid")
	return w.send(req, status)
}

// send returns the page even if its status is not the expected one, which is an error.
func (w *Walk) send(req *http.Request, status int) (page, error) {
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	req.Header.Set("User-Agent", "vernal-rehearsal")
	resp, err := w.Client.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // the URL may hold a token
		}
		return page{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	if err != nil {
		return page{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	p := page{resp.StatusCode, resp.Header, body}
	if p.status == status {
		return p, nil
	}
	text := fmt.Sprintf("the answer is %d %s, not %d", p.status, http.StatusText(p.status), status)
	if id := findField(errorID, body); id != "" {
		text += "; the server's log says why at error_id=" + id
	}
	return p, errors.New(text)
}

// buildURL returns a URL of the server.
func (w *Walk) buildURL(path string) string { return w.Terms.BaseURL + path }
