package web

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// ProbeHeader carries the token of a request that the installation makes to its own base URL.
const ProbeHeader = "Vernal-Probe"

// Sighting is how a probe arrived.
type Sighting struct {
	// Peer is the IP address that connected, and Trusted reports whether it is a trusted
	// proxy.
	Peer    netip.Addr
	IsTrusted bool
	// HasForwardedFor reports that X-Forwarded-For came with it. ForwardedProto is
	// X-Forwarded-Proto, and Host the Host header.
	HasForwardedFor   bool
	ForwardedProto string
	Host           string
}

// Probe recognizes requests that the installation makes to itself through its base URL, to see
// how a proxy changes them. No one else knows their tokens, so strangers can neither make nor
// change a sighting.
type Probe struct {
	mu      sync.Mutex
	sightings map[[sha256.Size]byte]*Sighting // by hash of the token; nil until it arrives
}

// NewProbe returns a Probe that awaits nothing.
func NewProbe() *Probe { return &Probe{sightings: map[[sha256.Size]byte]*Sighting{}} }

// Await returns a new token. Take returns how the request with it arrived, or nil, and ends the
// wait. Call it once.
func (p *Probe) Await() (token string, take func() *Sighting) {
	token = rand.Text()
	key := sha256.Sum256([]byte(token))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sightings[key] = nil
	return token, func() *Sighting {
		p.mu.Lock()
		defer p.mu.Unlock()
		defer delete(p.sightings, key)
		return p.sightings[key]
	}
}

// noteProbe notes how an awaited request arrived, and adds to its answer a cookie with the
// attributes of our own. Other requests cost one look-up of a header.
func (m *Middleware) noteProbe(w http.ResponseWriter, r *http.Request) {
	token := r.Header[ProbeHeader]
	if m.Probe == nil || len(token) != 1 {
		return
	}
	key := sha256.Sum256([]byte(token[0]))
	peer := parsePeer(r)
	m.Probe.mu.Lock()
	defer m.Probe.mu.Unlock()
	if _, ok := m.Probe.sightings[key]; !ok {
		return
	}
	m.Probe.sightings[key] = &Sighting{
		Peer: peer, IsTrusted: m.isTrustedProxy(peer), Host: r.Host,
		HasForwardedFor:   len(r.Header.Values("X-Forwarded-For")) > 0,
		ForwardedProto: strings.ToLower(r.Header.Get("X-Forwarded-Proto")),
	}
	http.SetCookie(w, m.probeCookie())
}

// ProbeCookie is the name of the cookie in the answer to a probe.
const ProbeCookie = "vernal-probe"

// probeCookie returns a cookie with the attributes that session cookies have.
func (m *Middleware) probeCookie() *http.Cookie {
	return &http.Cookie{Name: ProbeCookie, Value: "1", Path: "/", MaxAge: 1, Secure: m.HSTS, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// parsePeer returns the IP address that connected.
func parsePeer(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}
