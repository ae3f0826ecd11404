package session_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/session"
)

func TestDeviceOfReadsUserAgentAndNetwork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, agent, client string
		want                idp.Device
	}{
		{"firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "203.0.113.77",
			idp.Device{Browser: "Firefox", System: "Linux", Network: "203.0.113.0/24"}},
		{"chrome", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "2001:db8:12:34::1",
			idp.Device{Browser: "Chrome", System: "Windows", Network: "2001:db8:12::/48"}},
		{"edge", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "::ffff:203.0.113.77",
			idp.Device{Browser: "Edge", System: "Windows", Network: "203.0.113.0/24"}},
		{"safari on a phone", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "fe80::1%eth0",
			idp.Device{Browser: "Safari", System: "iPhone", Network: "fe80::/48"}},
		{"chrome on android", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36", "127.0.0.1",
			idp.Device{Browser: "Chrome", System: "Android", Network: "127.0.0.0/24"}},
		{"nothing", "", "", idp.Device{}},
		{"foreign", "<script>alert(1)</script>\x00\u202e", "", idp.Device{}},
		{"far too long", strings.Repeat("x", 1<<20) + "Firefox/140.0", "", idp.Device{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, _ := netip.ParseAddr(tt.client)
			if diff := cmp.Diff(tt.want, session.DescribeDevice(tt.agent, client)); diff != "" {
				t.Errorf("device (-want +got):\n%s", diff)
			}
		})
	}
}
