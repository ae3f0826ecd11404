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

// Where things are. What follows a secret prefix is a token.
const (
	boardPath      = "/rotation"
	dataPath       = "/rotation.json"
	metricsPath    = "/metrics"
	wallPrefix     = "/rotation/wall/"
	calendarPrefix = "/rotation/calendar/"
)

// guard lets through what the listener is for. Being on loopback keeps other
// machines away, and not the browsers on this one, which any site can make send
// requests:
//
//   - A site can have its own name resolve to 127.0.0.1 and then read what its
//     pages load from there (DNS rebinding). So the Host must be a name of
//     loopback, or that of admin_url.
//   - A site can load our addresses as images, frames or scripts and learn from
//     sizes and times. Fetch metadata tells, and so does Origin: refused. A
//     link to a page that somebody follows is let through, whichever site it is
//     on: it changes nothing here, and the linking site cannot look into what
//     opens. Other programs on this machine that serve pages count as other
//     sites, too; to a browser all ports of localhost are the same site.
//   - Only GET and HEAD are taken: nothing here can be changed.
//
// What came through a proxy gets the secret addresses and nothing else, however
// the proxy is set up, as whoever may use the proxy is not known here. A proxy
// that passes on everything, sets the Host to a name of loopback and tells of no
// forwarding cannot be noticed.
func (h *Handler) guard(next http.Handler) http.Handler {
	adminHost := hostOf(h.URL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := web.EventOf(r)
		e.HidePath = true
		header := w.Header()
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		host, forwarded := hostname(r.Host), isForwarded(r.Header)
		switch why := refuse(r, host, adminHost); {
		case why != "":
			e.Note(slog.String("refused", why))
			e.Raise(slog.LevelWarn)
			http.Error(w, "refused: "+why, http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "this address takes GET and HEAD only", http.StatusMethodNotAllowed)
		case forwarded || !idp.IsLoopback(host):
			secretOnly(next, w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// secretOnly serves the secret addresses. Everything else, and a token that
// opens nothing, is the same 404, as text: its page would refer to files that
// are not to be had this way.
func secretOnly(next http.Handler, w http.ResponseWriter, r *http.Request) {
	r = r.Clone(r.Context())
	r.Header.Del("Accept")
	if !strings.HasPrefix(r.URL.Path, wallPrefix) && !strings.HasPrefix(r.URL.Path, calendarPrefix) {
		r.URL = &url.URL{Path: "/no-such-address"}
	}
	next.ServeHTTP(w, r)
}

// refuse is why a request is none for us; "" if it may be.
func refuse(r *http.Request, host, adminHost string) string {
	if !idp.IsLoopback(host) && (adminHost == "" || host != adminHost) {
		return fmt.Sprintf("the Host is %.100q, which is neither a name of this machine such as localhost nor that of admin_url", r.Host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && hostOf(origin) != host {
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

// isForwarded reports whether some proxy says that it passed the request on.
func isForwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// hostname is the host of a Host header, without its port, in lower case.
func hostname(hostPort string) string {
	host := (&url.URL{Host: hostPort}).Hostname()
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// hostOf is the host of an address; "" if it has none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return hostname(u.Host)
}
