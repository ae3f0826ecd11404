package doctor

import (
	"net/url"
	"testing"
)

// A time URL may name an IPv6 address, with and without a port.
func TestNTPAddress(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"ntp://time.example.gov": "time.example.gov:123", "ntp://time.example.gov:1123": "time.example.gov:1123",
		"ntp://[2001:db8::1]": "[2001:db8::1]:123", "ntp://[2001:db8::1]:1123": "[2001:db8::1]:1123", "ntp://192.0.2.1": "192.0.2.1:123",
	} {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		if got := formatNTPAddress(u); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}
