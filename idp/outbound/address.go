package outbound

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// class is the kind of network that an IP address belongs to.
type class int

const (
	classPublic  class = iota
	classPrivate       // of this machine, site or documentation; operators' URLs may reach it
	classSpecial       // never a server that an operator means: link-local, multicast, metadata of a cloud
)

// specialNetworks are refused for every URL, unless outbound.allow has the prefix. Machines in a cloud get credentials without
// signing in at the metadata addresses.
var specialNetworks = parsePrefixes(
	"0.0.0.0/8",          // this host; Linux connects to loopback
	"169.254.0.0/16",     // link-local, metadata of most clouds
	"168.63.129.16/32",   // Azure's host
	"100.100.100.200/32", // Alibaba Cloud's metadata
	"192.0.0.192/32",     // Oracle Cloud's metadata
	"224.0.0.0/4",        // multicast
	"240.0.0.0/4",        // reserved, broadcast
	"::/128",             // unspecified; Linux connects to loopback
	"fd00:ec2::/32",      // metadata of AWS
	"fd20:ce::254/128",   // metadata of Google Cloud
	"fe80::/10",          // link-local
	"ff00::/8",           // multicast
)

// privateNetworks follow the registries of special-purpose addresses of IANA (RFC 6890).
var privateNetworks = parsePrefixes(
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1918
	"100.64.0.0/10",                                   // carrier-grade NAT
	"127.0.0.0/8",                                     // loopback
	"192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", // protocols, relays, benchmarks
	"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", // documentation
	"2001::/23",                  // protocols, with Teredo, which embeds IPv4 addresses
	"2001:db8::/32", "3fff::/20", // documentation
	"2002::/16", // 6to4, which embeds IPv4 addresses
)

// globalUnicast is the only part of IPv6 that is assigned to public servers.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// nat64 embeds an IPv4 address in its last four bytes (RFC 6052). In a network that has IPv6
// only, public IPv4 servers are reached through it.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func parsePrefixes(list ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(list))
	for i, s := range list {
		prefixes[i] = netip.MustParsePrefix(s)
	}
	return prefixes
}

func containsAddr(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// normalizeAddr returns the IP address that a connection reaches: IPv4 inside IPv6 as IPv4, and
// no zone, which no prefix contains.
func normalizeAddr(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// classify returns the class of a normalized IP address.
func classify(a netip.Addr) class {
	switch {
	case !a.IsValid() || containsAddr(specialNetworks, a):
		return classSpecial
	case containsAddr(privateNetworks, a) || a.Is6() && !globalUnicast.Contains(a):
		return classPrivate
	}
	return classPublic
}

// Allow lists hosts and networks that partners' URLs may reach although their IP
// addresses are not public. The zero value is empty.
type Allow struct {
	hosts    map[string]bool
	networks []netip.Prefix
}

var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$`)

// ParseAllow parses outbound.allow: host names, IP addresses, and prefixes such as
// 10.0.0.0/8. A host name allows what an operator's URL may reach. A prefix allows its
// addresses for every URL, even of special networks.
func ParseAllow(entries []string) (Allow, error) {
	allow := Allow{hosts: make(map[string]bool)}
	for _, s := range entries {
		if p, err := netip.ParsePrefix(s); err == nil {
			if p.Addr().Is4In6() {
				return Allow{}, fmt.Errorf("%q is IPv4 inside IPv6: write the IPv4 prefix", s)
			}
			allow.networks = append(allow.networks, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			a = normalizeAddr(a)
			allow.networks = append(allow.networks, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		host := normalizeHost(s)
		if !hostName.MatchString(host) {
			return Allow{}, fmt.Errorf("%q is not a host name, an IP address, or a prefix such as 10.0.0.0/8", s)
		}
		allow.hosts[host] = true
	}
	return allow, nil
}

func normalizeHost(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }

// permits reports whether a URL with the host may reach an IP address.
func (l Allow) permits(trust Trust, host string, a netip.Addr) bool {
	a = normalizeAddr(a)
	if containsAddr(l.networks, a) {
		return true
	}
	if l.hosts[normalizeHost(host)] {
		trust = Operator
	}
	kind := classify(a)
	return kind == classPublic || kind == classPrivate && trust == Operator
}
