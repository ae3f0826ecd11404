package account_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"vernal/idp/account"
	"vernal/idp/idptest"
)

// A blocked network causes no more writes, no matter how many email addresses it tries.
func TestBlockedNetworkWritesNothing(t *testing.T) {
	t.Parallel()
	counters := func(tries int) int {
		i := idptest.New(t, idptest.Options{})
		from := netip.MustParseAddr("192.0.2.1")
		for n := range tries {
			_, err := i.Accounts.CheckPassword(t.Context(), fmt.Sprintf("nobody%d@example.gov", n), "a wrong password", from)
			var throttled *account.ThrottledError
			if n >= tries-1 && !errors.As(err, &throttled) {
				t.Fatalf("try %d: %v, want the network blocked", n, err)
			}
		}
		removed, err := i.Store.Sweep(t.Context(), i.Clock.Now().AddDate(1, 0, 0), 10_000)
		if err != nil {
			t.Fatal(err)
		}
		return removed
	}
	limit := account.DefaultLimits().Network.Max
	if few, many := counters(limit+1), counters(limit+60); few != many {
		t.Errorf("%d counters after the block, %d after sixty tries more", few, many)
	}
}
