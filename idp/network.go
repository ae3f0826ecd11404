package idp

import (
	"net/netip"
	"strings"
)

// FindNetwork returns the network that rate limits count for an IP address: one IPv4 address or
// an IPv6 /64, the usual size for one household or server. It returns the zero Prefix for the
// zero Addr.
func FindNetwork(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // only the zero Addr has no prefix
	return p
}

// IsLoopback reports whether a host is this machine by definition: RFC 6761 §6.3, RFC 1122
// §3.2.1.3. Browsers resolve localhost and its subdomains without DNS.
func IsLoopback(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
