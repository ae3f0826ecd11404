package adminhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"vernal/idp"
	"vernal/idp/web"
)

// Paths. The rest of a path with a secret prefix is a token.
const (
	boardPath      = "/rotation"
	dataPath       = "/rotation.json"
	metricsPath    = "/metrics"
	wallPrefix     = "/rotation/wall/"
	calendarPrefix = "/rotation/calendar/"
)

// guard refuses requests that are not meant for this listener. Loopback keeps other machines
// away, but not the browsers on this machine, which any site can make send requests:
//
//   - DNS rebinding: a site can point its own name to 127.0.0.1 and read what its
//     pages load from there. So the Host must be a name of loopback, or that of
//     admin_url.
//   - Cross-site loads: a site can load our URLs as images, frames or scripts and
//     learn from sizes and times. They are refused by Fetch metadata and Origin.
//     Links from any site are allowed, because they change nothing here and the
//     linking site cannot read the page. Other programs on this machine that serve
//     pages count as other sites, although browsers treat all ports of localhost
//     as the same site.
//   - Only GET and HEAD are allowed, because nothing here can be changed.
//
// Requests through a proxy get only the secret URLs, because the users of the proxy are not
// authenticated. A proxy that passes on everything, sets the Host to a name of loopback and
// adds no forwarding header cannot be detected.
func (h *Handler) guard(next http.Handler) http.Handler {
	adminHost := parseHost(h.URL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := web.EventOf(r)
		e.HidePath = true
		header := w.Header()
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		host, forwarded := parseHostname(r.Host), isForwarded(r.Header)
		switch why := refuse(r, host, adminHost); {
		case why != "":
			e.Note(slog.String("refused", why))
			e.Raise(slog.LevelWarn)
			http.Error(w, "refused: "+why, http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "this URL accepts GET and HEAD only", http.StatusMethodNotAllowed)
		case forwarded || !idp.IsLoopback(host):
			serveSecretOnly(next, w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// serveSecretOnly serves only the secret URLs. All other paths and invalid tokens get the same
// 404, as text, because an error page would link to files that are not served this way.
func serveSecretOnly(next http.Handler, w http.ResponseWriter, r *http.Request) {
	r = r.Clone(r.Context())
	r.Header.Del("Accept")
	if !strings.HasPrefix(r.URL.Path, wallPrefix) && !strings.HasPrefix(r.URL.Path, calendarPrefix) {
		r.URL = &url.URL{Path: "/no-such-address"}
	}
	next.ServeHTTP(w, r)
}

// refuse returns the reason why a request is refused, or "".
func refuse(r *http.Request, host, adminHost string) string {
	if !idp.IsLoopback(host) && (adminHost == "" || host != adminHost) {
		return fmt.Sprintf("the Host is %.100q, which is neither a name of this machine such as localhost nor that of admin_url", r.Host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && parseHost(origin) != host {
		return "another site asks (Origin)"
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "" || site == "none" || site == "same-origin" {
		return ""
	}
	if r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" {
		return ""
	}
	return "another site asks (Sec-Fetch-Site)"
}

// isForwarded reports whether a proxy declares that it passed the request on.
func isForwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// parseHostname returns the host of a Host header in lower case, without the port.
func parseHostname(hostPort string) string {
	host := (&url.URL{Host: hostPort}).Hostname()
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// parseHost returns the host of a URL, or "".
func parseHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return parseHostname(u.Host)
}
