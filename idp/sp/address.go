package sp

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"vernal/idp"
)

// checkURL returns why a URL cannot be registered. permitted reports whether an operator
// may allow it (AllowInsecureURL).
func checkURL(address string, baseIsHTTP bool) (what string, permitted bool) {
	if len(address) > idp.MaxURL {
		return fmt.Sprintf("is longer than %d bytes", idp.MaxURL), false
	}
	if idp.HasControl(address) || strings.ContainsAny(address, " \\\"<>`{}|^") {
		return "contains characters that a URL must escape", false
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "is not a URL", false
	case u.Scheme == "":
		return "has no scheme: write https://…", false
	case u.Scheme != "https" && u.Scheme != "http":
		return "must be https, not " + u.Scheme, false
	case u.Opaque != "" || u.Host == "":
		return "names no host", false
	case u.User != nil:
		return "must not hold a user name", false
	case u.Fragment != "" || strings.Contains(address, "#"):
		return "must not have a fragment (#…)", false
	case !isPlainHost(u):
		return "has a host with characters beyond letters, digits, dots and hyphens (write other scripts as xn--…)", false
	case u.Scheme == "http" && !baseIsHTTP && !idp.IsLoopback(strings.TrimSuffix(u.Hostname(), ".")):
		return "is http: assertions would travel in the clear", true
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
