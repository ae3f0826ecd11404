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

// Walk is one rehearsal from the side of the browser and the SP. All fields are
// required.
type Walk struct {
	Terms *Terms
	// Key and Cert are the SP's; Begin was told the latter.
	Key    *rsa.PrivateKey
	Cert   *x509.Certificate
	Client *http.Client
	Clock  idp.Clock

	// What the steps have found so far.
	document []byte
	metadata *crewjam.EntityDescriptor
	signing  *x509.Certificate
	answers  []answer
	// unreached: nothing answers over HTTP.
	unreached bool
}

// answer is a Response that came, and what it was asked with.
type answer struct {
	binding   string
	request   request
	url       string // where it was asked for by HTTP-Redirect
	response  []byte
	assertion *crewjam.Assertion
}

// Outcome is how a step went, for programs.
type Outcome string

// The outcomes. A step is not tried where an earlier one did not give what it
// needs. That is no second failure.
const (
	OutcomeOK       Outcome = "ok"
	OutcomeFailed   Outcome = "failed"
	OutcomeNotTried Outcome = "not_tried"
)

// Result says how a step went.
type Result struct {
	Step string `json:"step"`
	// OK is short for OutcomeOK.
	OK      bool    `json:"ok"`
	Outcome Outcome `json:"result"`
	// Text is what was found or, if the step failed or was not tried, the reason.
	Text string `json:"text"`
	// Suggestions are what can fix it.
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

// Way is how a Walk connects. The zero value goes where base_url leads.
type Way struct {
	// Address, HOST:PORT, is connected to whatever host a URL names. The name in
	// TLS and in the Host header stay.
	Address string
	// Plain: what listens at Address speaks plain http, as the server itself does
	// behind a proxy that ends TLS. It is never found out by trying: what answers
	// without TLS would be given the session's cookie.
	Plain bool
}

// plainTransport sends requests for https URLs without TLS, as a proxy that ended
// it does: with the Host header of the URL. The server needs no other header of a
// proxy. Its base_url, and no X-Forwarded-Proto, says that cookies are Secure.
type plainTransport struct{ *http.Transport }

func (t plainTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return t.Transport.RoundTrip(r)
}

// NewClient makes a client for Walk, which follows no redirects by itself.
func NewClient(way Way) *http.Client {
	dialer := &net.Dialer{Timeout: answerTime}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: answerTime, DisableKeepAlives: true,
		DialContext: dialer.DialContext,
	}
	client := &http.Client{
		Transport: transport, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if way.Address != "" {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, way.Address)
		}
	}
	if way.Address != "" && way.Plain {
		client.Transport = plainTransport{transport}
	}
	return client
}

// page is an answer over HTTP.
type page struct {
	status int
	header http.Header
	body   []byte
}

// get asks for a URL, as a browser does, with the cookies.
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

// send returns the page also if it has another status than is wanted, which is an error.
func (w *Walk) send(req *http.Request, status int) (page, error) {
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	req.Header.Set("User-Agent", "vernal-rehearsal")
	resp, err := w.Client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the address may hold a token
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
	if id := field(errorID, body); id != "" {
		text += "; the server's log says why at error_id=" + id
	}
	return p, errors.New(text)
}

// address is one of the server's.
func (w *Walk) address(path string) string { return w.Terms.BaseURL + path }
