package idp

import (
	"net/netip"
	"strings"
)

// NetworkOf is the network that limits count for an IP address: one IPv4 address
// or an IPv6 /64, which is what one household or server has. It is the zero Prefix
// for the zero Addr.
func NetworkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Addr alone has no prefix
	return p
}

// IsLoopback reports whether a host is this machine by definition: RFC 6761 §6.3,
// RFC 1122 §3.2.1.3. Browsers resolve localhost and what is below it themselves.
func IsLoopback(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
