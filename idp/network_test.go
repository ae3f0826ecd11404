package idp_test

import (
	"net/netip"
	"testing"

	"vernal/idp"
)

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"IPv4", "192.0.2.77", "192.0.2.77/32"},
		{"IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", "::ffff:192.0.2.77", "192.0.2.77/32"},
		{"IPv6 with a zone", "fe80::1%eth0", "fe80::/64"},
	}
	for _, tt := range tests {
		if got := idp.FindNetwork(netip.MustParseAddr(tt.in)).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := idp.FindNetwork(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address: %s", got)
	}
}
