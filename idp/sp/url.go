package sp

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"vernal/idp"
)

// checkURL returns the reason why a URL cannot be registered, or "". isPermitted reports whether an operator
// may allow it (AllowInsecureURL).
func checkURL(rawURL string, isBaseHTTP bool) (problem string, isPermitted bool) {
	if len(rawURL) > idp.MaxURL {
		return fmt.Sprintf("is longer than %d bytes", idp.MaxURL), false
	}
	if idp.HasControl(rawURL) || strings.ContainsAny(rawURL, " \\\"<>`{}|^") {
		return "contains characters that a URL must escape", false
	}
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return "is not a URL", false
	case u.Scheme == "":
		return "has no scheme: write https://…", false
	case u.Scheme != "https" && u.Scheme != "http":
		return "must be https, not " + u.Scheme, false
	case u.Opaque != "" || u.Host == "":
		return "has no host", false
	case u.User != nil:
		return "must not contain a user name", false
	case u.Fragment != "" || strings.Contains(rawURL, "#"):
		return "must not have a fragment (#…)", false
	case !isPlainHost(u):
		return "has a host with characters other than letters, digits, dots and hyphens (write other scripts as xn--…)", false
	case u.Scheme == "http" && !isBaseHTTP && !idp.IsLoopback(strings.TrimSuffix(u.Hostname(), ".")):
		return "is http: assertions would be sent unencrypted, so use https", true
	}
	return "", false
}

// isPlainHost reports whether the host is a plain name or an IP address, with an
// optional numeric port.
func isPlainHost(u *url.URL) bool {
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return !strings.Contains(host, "%") // no zone
	}
	for _, c := range []byte(host) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return host != "" && !strings.HasSuffix(u.Host, ":")
}
