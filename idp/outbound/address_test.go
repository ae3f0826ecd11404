package outbound

import (
	"net/netip"
	"testing"
)

func TestPartnersReachPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, addr string
		want       class
	}{
		{"IPv4", "93.184.216.34", classPublic},
		{"IPv4, next to 10/8", "11.0.0.0", classPublic},
		{"IPv4, next to 172.16/12", "172.32.0.1", classPublic},
		{"IPv4, before 172.16/12", "172.15.255.255", classPublic},
		{"IPv4, after carrier-grade NAT", "100.128.0.0", classPublic},
		{"IPv6", "2606:2800:220:1::1", classPublic},
		{"IPv4 inside IPv6", "::ffff:93.184.216.34", classPublic},
		{"NAT64 of a public address", "64:ff9b::93.184.216.34", classPublic},

		{"10/8", "10.0.0.1", classPrivate},
		{"172.16/12", "172.16.0.1", classPrivate},
		{"172.16/12, last", "172.31.255.255", classPrivate},
		{"192.168/16", "192.168.1.1", classPrivate},
		{"carrier-grade NAT", "100.64.0.1", classPrivate},
		{"loopback", "127.0.0.1", classPrivate},
		{"loopback, another", "127.255.255.254", classPrivate},
		{"benchmarks", "198.19.0.1", classPrivate},
		{"documentation", "203.0.113.1", classPrivate},
		{"protocols", "192.0.0.8", classPrivate},
		{"IPv6 loopback", "::1", classPrivate},
		{"unique local", "fd12:3456::1", classPrivate},
		{"unique local, first half", "fc00::1", classPrivate},
		{"site-local, deprecated", "fec0::1", classPrivate},
		{"loopback inside IPv6", "::ffff:127.0.0.1", classPrivate},
		{"the same in hexadecimal", "::ffff:7f00:1", classPrivate},
		{"10/8 inside IPv6", "::ffff:10.1.2.3", classPrivate},
		{"IPv4-compatible", "::127.0.0.1", classPrivate},
		{"IPv4-translated", "::ffff:0:127.0.0.1", classPrivate},
		{"NAT64 of 10/8", "64:ff9b::10.0.0.1", classPrivate},
		{"NAT64 of loopback", "64:ff9b::7f00:1", classPrivate},
		{"NAT64 for local use", "64:ff9b:1::1", classPrivate},
		{"6to4 of 10/8", "2002:a00:1::1", classPrivate},
		{"Teredo", "2001:0:1::1", classPrivate},
		{"documentation, IPv6", "2001:db8::1", classPrivate},
		{"documentation, newer", "3fff::1", classPrivate},
		{"discard", "100::1", classPrivate},
		{"segment routing", "5f00::1", classPrivate},
		{"unassigned", "4000::1", classPrivate},

		{"this host", "0.0.0.0", classSpecial},
		{"this network", "0.1.2.3", classSpecial},
		{"link-local", "169.254.1.1", classSpecial},
		{"metadata", "169.254.169.254", classSpecial},
		{"metadata inside IPv6", "::ffff:169.254.169.254", classSpecial},
		{"metadata by NAT64", "64:ff9b::a9fe:a9fe", classSpecial},
		{"metadata of AWS, IPv6", "fd00:ec2::254", classSpecial},
		{"metadata of Azure", "168.63.129.16", classSpecial},
		{"metadata of Alibaba", "100.100.100.200", classSpecial},
		{"metadata of Oracle", "192.0.0.192", classSpecial},
		{"multicast", "224.0.0.1", classSpecial},
		{"multicast, last", "239.255.255.255", classSpecial},
		{"reserved", "240.0.0.1", classSpecial},
		{"broadcast", "255.255.255.255", classSpecial},
		{"unspecified", "::", classSpecial},
		{"link-local, IPv6", "fe80::1", classSpecial},
		{"link-local with a zone", "fe80::1%eth0", classSpecial},
		{"multicast, IPv6", "ff02::1", classSpecial},
	}
	for _, tt := range tests {
		a := netip.MustParseAddr(tt.addr)
		if got := classify(normalizeAddr(a)); got != tt.want {
			t.Errorf("%s: %s is of class %d, want %d", tt.name, tt.addr, got, tt.want)
		}
		if got := (Allow{}).permits(Partner, "sp.example", a); got != (tt.want == classPublic) {
			t.Errorf("%s: %s: a partner's URL may reach it: %t", tt.name, tt.addr, got)
		}
		if got := (Allow{}).permits(Operator, "sp.example", a); got != (tt.want != classSpecial) {
			t.Errorf("%s: %s: an operator's URL may reach it: %t", tt.name, tt.addr, got)
		}
	}
	if (Allow{}).permits(Operator, "sp.example", netip.Addr{}) {
		t.Error("no address is reached")
	}
}

func TestAllowOpensNetworksAndHosts(t *testing.T) {
	t.Parallel()
	allow, err := ParseAllow([]string{"10.1.0.0/16", "192.168.7.7", "SP.Internal.", "fd12::/16", "169.254.9.9/32", "::ffff:172.16.0.9", "fe80::5"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		host, addr string
		want       bool
	}{
		{"a.example", "10.1.255.1", true},
		{"a.example", "::ffff:10.1.255.1", true},
		{"a.example", "64:ff9b::10.1.255.1", true},
		{"a.example", "10.2.0.1", false},
		{"a.example", "192.168.7.7", true},
		{"a.example", "192.168.7.8", false},
		{"a.example", "172.16.0.9", true},
		{"a.example", "fd12::1", true},
		{"a.example", "fd13::1", false},
		{"a.example", "169.254.9.9", true},
		{"a.example", "169.254.169.254", false},
		{"a.example", "fe80::5%eth0", true},
		{"sp.internal", "10.2.0.1", true},
		{"sp.internal.", "10.2.0.1", true},
		{"sp.INTERNAL", "::1", true},
		{"sp.internal", "169.254.169.254", false}, // a host allows what an operator's URL reaches
		{"x.sp.internal", "10.2.0.1", false},
		{"a.example", "93.184.216.34", true},
	}
	for _, tt := range tests {
		if got := allow.permits(Partner, tt.host, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s at %s: %t, want %t", tt.host, tt.addr, got, tt.want)
		}
	}
	for _, bad := range []string{"", " ", "*", "*.example", "https://sp.example", "sp.example:443", "10.0.0.0/33", "fe80::1%eth0", "[::1]", "::ffff:10.0.0.0/104", "a b", "sp.example/", "-x"} {
		if _, err := ParseAllow([]string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// FuzzSpellingsOfAddresses checks that no embedding of an IPv4 address in IPv6 reaches more
// than the address itself.
func FuzzSpellingsOfAddresses(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{10, 0, 0, 1})
	f.Add([]byte{169, 254, 169, 254})
	f.Add([]byte{8, 8, 8, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 4 {
			return
		}
		v4 := netip.AddrFrom4([4]byte(b))
		for _, trust := range []Trust{Partner, Operator} {
			want := (Allow{}).permits(trust, "", v4)
			for prefix, same := range map[string]bool{"::ffff:0:0": true, "64:ff9b::": true, "::": false, "::ffff:0:0:0": false, "64:ff9b:1::": false, "2002::": false} {
				raw := netip.MustParseAddr(prefix).As16()
				copy(raw[12:], b)
				if prefix == "2002::" {
					raw = [16]byte{0x20, 0x02, b[0], b[1], b[2], b[3]}
				}
				got := (Allow{}).permits(trust, "", netip.AddrFrom16(raw))
				if same && got != want || !same && trust == Partner && got {
					t.Errorf("%s in %s: %t, itself: %t", v4, prefix, got, want)
				}
			}
		}
	})
}
