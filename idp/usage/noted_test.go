package usage

import (
	"fmt"
	"testing"
	"time"

	"vernal/idp"
)

// Clients cannot fill the memory between two flushes, nor while the store cannot
// be written. Those that came first are dropped.
func TestNotedIsBounded(t *testing.T) {
	t.Parallel()
	var n noted
	flood := func(name string) {
		for i := range 3 * maxNotedFetches {
			n.fetch(idp.Fetch{At: time.Unix(1, 0), Address: "192.0.2.1", UserAgent: fmt.Sprint(name, i)})
		}
	}
	flood("a")
	b := n.take()
	flood("b")
	n.giveBack(b)
	if len(n.clients) != maxNotedFetches || n.order.Len() != maxNotedFetches {
		t.Errorf("%d clients, %d in order", len(n.clients), n.order.Len())
	}
	if last := n.copy("").fetches[maxNotedFetches-1].UserAgent; last != fmt.Sprint("b", 3*maxNotedFetches-1) {
		t.Errorf("the last one that is kept is %s", last)
	}
}
