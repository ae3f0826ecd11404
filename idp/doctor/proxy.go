package doctor

import (
	"net/http"
	"net/url"
	"strings"

	"vernal/idp/web"
)

// judgeSighting judges how the probe arrived. It came through base_url, like the requests of
// users.
func (s *Service) judgeSighting(seen *web.Sighting) (findings []Finding) {
	add := func(code Code, level Level, args Args) {
		findings = append(findings, Finding{Code: code, Level: level, Args: args})
	}
	peer := seen.Peer.String()
	// If base_url is https and TLS does not end at this server, it ends at a proxy.
	hasProxy := s.isHTTPS() && s.serverTLS == nil || seen.HasForwardedFor
	switch {
	case hasProxy && !seen.IsTrusted:
		add(ProxyNotTrusted, Problem, Args{Peer: peer})
	case hasProxy && !seen.HasForwardedFor:
		add(ForwardedForMissing, Problem, Args{Peer: peer})
	}
	if s.isHTTPS() && seen.ForwardedProto == "http" {
		add(ForwardedProtoHTTP, Problem, Args{Peer: peer})
	}
	if base, err := url.Parse(s.IdP.BaseURL); err == nil && !strings.EqualFold(extractHost(seen.Host), base.Hostname()) {
		add(HostChanged, Information, Args{Host: seen.Host, URL: s.IdP.BaseURL})
	}
	return findings
}

func extractHost(hostPort string) string { return (&url.URL{Host: hostPort}).Hostname() }

// judgeAnswer looks for changes by a proxy in the answer: the attributes of the cookie that
// came with it, and the headers that protect pages.
func (s *Service) judgeAnswer(h http.Header) (findings []Finding) {
	var lostAttributes []string
	cookie := findCookie(h)
	switch {
	case cookie == nil:
		lostAttributes = []string{"Set-Cookie"}
	default:
		for name, isKept := range map[string]bool{
			"Secure": cookie.Secure || !s.isHTTPS(), "HttpOnly": cookie.HttpOnly,
			"SameSite=Lax": cookie.SameSite == http.SameSiteLaxMode, "Path=/": cookie.Path == "/", "no Domain": cookie.Domain == "",
		} {
			if !isKept {
				lostAttributes = append(lostAttributes, name)
			}
		}
	}
	if len(lostAttributes) > 0 {
		findings = append(findings, Finding{Code: CookieChanged, Level: Problem, Args: Args{Value: joinSorted(lostAttributes)}})
	}
	headers := []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options"}
	if s.isHTTPS() {
		headers = append(headers, "Strict-Transport-Security")
	}
	var lostHeaders []string
	for _, name := range headers {
		if h.Get(name) == "" {
			lostHeaders = append(lostHeaders, name)
		}
	}
	if len(lostHeaders) > 0 {
		findings = append(findings, Finding{Code: SecurityHeadersLost, Level: Problem, Args: Args{Value: joinSorted(lostHeaders)}})
	}
	return findings
}

// findCookie returns the probe's cookie in an answer, or nil.
func findCookie(h http.Header) *http.Cookie {
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.Name == web.ProbeCookie {
			return c
		}
	}
	return nil
}
