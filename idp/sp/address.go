package sp

import (
	"net/netip"
	"net/url"
	"strings"
)

// maxAddress is the length that an address may have, in bytes.
const maxAddress = 2048

// checkAddress says why an address cannot be registered. needsFlag tells that
// it could be with the operator's word for it (AllowInsecureURL).
func checkAddress(address string, baseIsHTTP bool) (what string, needsFlag bool) {
	if len(address) > maxAddress {
		return "is longer than 2,048 bytes", false
	}
	if hasControl(address) || strings.ContainsAny(address, " \\\"<>`{}|^") {
		return "holds characters that an address must escape", false
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "is not an address", false
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
	case !plainHost(u):
		return "has a host with characters beyond letters, digits, dots and hyphens (write other scripts as xn--…)", false
	case u.Scheme == "http" && !baseIsHTTP && !loopback(u.Hostname()):
		return "is http: assertions would travel in the clear", true
	}
	return "", false
}

// plainHost reports whether the host is a plain name or an IP address, with an
// optional numeric port.
func plainHost(u *url.URL) bool {
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

// loopback reports whether a host is this machine by definition (RFC 6761 §6.3,
// RFC 1122 §3.2.1.3).
func loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hasControl reports whether a text has characters that XML cannot carry (XML 1.0
// §2.2), or that change how the text around it is shown: ends of lines, and the
// marks that turn the direction of writing for what follows. Those that only say
// which direction a neighbour has are part of how names are written.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0xfffd && r <= 0xffff || r == '\u2028' || r == '\u2029' ||
			r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	})
}
