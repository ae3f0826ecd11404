package web

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"

	"vernal/idp"
)

// MaxBody is the largest request body, in bytes.
const MaxBody = 1 << 20

// Middleware is the outermost handler of the public listener.
type Middleware struct {
	Next  http.Handler
	Pages *Pages
	Log   *slog.Logger
	Clock idp.Clock
	// TrustedProxies are the peers whose X-Forwarded-For is trusted. If empty, the peer's
	// IP address is used.
	TrustedProxies []netip.Prefix
	// Count is called for each answered request and must not block; nil to count nothing.
	Count func(AnsweredRequest)
	// UntrustedPeers detects a proxy that is not trusted; nil to detect none.
	UntrustedPeers *UntrustedPeers
	// Probe recognizes the installation's own requests; nil for none.
	Probe *Probe
	// HSTS adds Strict-Transport-Security; set when base_url is https.
	HSTS bool
}

func (m *Middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := &Event{ID: newID(), Client: m.clientAddress(r), startedAt: m.Clock.Now()}
	e.ClientIP, e.attrs = e.Client.String(), e.buffer[:0]
	r = addEvent(r, e)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	}
	rec := &recorder{ResponseWriter: w, event: e}
	m.setHeaders(w.Header())
	m.noteProbe(w, r)
	defer m.finish(rec, r, e)
	m.Next.ServeHTTP(rec, r)
}

// finish turns a panic into a page, counts the request and writes the log event.
func (m *Middleware) finish(w *recorder, r *http.Request, e *Event) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			panic(p)
		}
		e.Note(slog.String("stack", string(debug.Stack())))
		if w.status == 0 {
			m.Pages.Fail(w, r, fmt.Errorf("panic: %v", p))
		}
	}
	took := m.Clock.Now().Sub(e.startedAt)
	if m.Count != nil {
		// If a handler writes nothing, net/http answers 200.
		m.Count(AnsweredRequest{Route: e.Route, SigningYear: e.SigningYear, RefusalCode: e.refusalCode, Status: cmp.Or(w.status, http.StatusOK), Duration: took})
	}
	if !m.Log.Enabled(r.Context(), e.level) {
		return
	}
	if e.User != "" {
		e.noteUser(e.User)
	}
	attrs := append(e.attrs,
		slog.String("request_id", e.ID),
		slog.String("method", r.Method),
		slog.String("path", redactPath(r, e, w.status)),
		slog.Int("status", w.status),
		slog.String("client", e.ClientIP),
		slog.Duration("took", took))
	m.Log.LogAttrs(r.Context(), e.level, "request", attrs...)
}

// redactPath returns the path to log. It omits the path of an unknown URL outside SAML,
// because users may type anything there, including personal data.
func redactPath(r *http.Request, e *Event, status int) string {
	if e.HidePath {
		return cmp.Or(e.Route, "(unknown)")
	}
	if status == http.StatusNotFound && !strings.HasPrefix(r.URL.Path, "/api/saml/") {
		return "(unknown)"
	}
	return r.URL.Path
}

// The values of headers that are the same in every answer. They are shared slices, so that a
// request allocates none of them. They must not be appended to.
var (
	headerNosniff  = []string{"nosniff"}
	headerDeny     = []string{"DENY"}
	headerReferrer = []string{"strict-origin-when-cross-origin"}
	headerNoStore  = []string{"no-store"}
	headerCSP      = []string{DefaultCSP}
	headerHSTS     = []string{"max-age=31536000; includeSubDomains"}
)

// DefaultCSP is the Content-Security-Policy of every page that does not set its own. It allows
// no script.
const DefaultCSP = "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// AllowScript allows a page to have one style and one script of its own, with the returned
// nonce.
func AllowScript(w http.ResponseWriter) (nonce string) {
	nonce = newNonce()
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+"'; "+
		"img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	return nonce
}

// AllowPost allows a page to send a message to a service provider: its form may go to the
// sources of formAction, and the one script with the returned nonce may submit it.
func AllowPost(w http.ResponseWriter, formAction string) (nonce string) {
	nonce = newNonce()
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "+
		"script-src 'nonce-"+nonce+"'; form-action "+formAction+"; frame-ancestors 'none'; base-uri 'none'")
	return nonce
}

// newNonce returns the nonce of one answer.
func newNonce() string {
	var raw [16]byte
	rand.Read(raw[:])
	return base64.RawStdEncoding.EncodeToString(raw[:])
}

func (m *Middleware) setHeaders(h http.Header) {
	h["X-Content-Type-Options"] = headerNosniff
	h["X-Frame-Options"] = headerDeny
	h["Referrer-Policy"] = headerReferrer
	h["Cache-Control"] = headerNoStore
	h["Content-Security-Policy"] = headerCSP
	if m.HSTS {
		h["Strict-Transport-Security"] = headerHSTS
	}
}

// clientAddress returns the IP address that sent the request: the peer, or, if the peer is a
// trusted proxy, the last IP address in X-Forwarded-For that is not one.
func (m *Middleware) clientAddress(r *http.Request) netip.Addr {
	addr := parsePeer(r)
	if !addr.IsValid() {
		return addr
	}
	if len(m.TrustedProxies) == 0 || !m.isTrustedProxy(addr) {
		if m.UntrustedPeers != nil && len(r.Header.Values("X-Forwarded-For")) > 0 {
			m.UntrustedPeers.notePeer(r.Context(), addr)
		}
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			return addr
		}
		addr = hop
		if !m.isTrustedProxy(addr) {
			return addr
		}
	}
	return addr
}

// parseHop parses an IP address as proxies write it. Some add the port. A zone only has a
// meaning on the machine that wrote it.
func parseHop(hop string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(hop); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	pair, err := netip.ParseAddrPort(hop)
	return pair.Addr().Unmap().WithZone(""), err == nil
}

func (m *Middleware) isTrustedProxy(a netip.Addr) bool {
	return slices.ContainsFunc(m.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// recorder remembers the status for the log, and marks answers that depend on the language.
// Asking for the language makes an answer depend on it.
type recorder struct {
	http.ResponseWriter
	event  *Event
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.addLangHeaders()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
		w.addLangHeaders()
	}
	return w.ResponseWriter.Write(b)
}

func (w *recorder) addLangHeaders() {
	if w.event == nil || w.event.lang == "" {
		return
	}
	h := w.Header()
	h.Set("Content-Language", string(w.event.lang))
	h.Add("Vary", "Accept-Language, Cookie")
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// isBodyTooLarge reports whether MaxBody caused err.
func isBodyTooLarge(err error) bool {
	var tooLarge *http.MaxBytesError
	return errors.As(err, &tooLarge)
}
