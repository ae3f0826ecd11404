package usage

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"vernal/idp"
)

// BenchmarkUse measures the cost of counting a use in a request.
func BenchmarkUse(b *testing.B) {
	in := newInstallation(b, noon(2026, 2, 1))
	l := in.ledger()
	u := idp.Use{
		SP: "https://sp.example", Year: "2026", At: in.clock(), CertSHA256: strings.Repeat("c", 64),
		RelayStateLength: 200, IssuedAt: in.clock(),
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Use(u)
	}
}

// BenchmarkLastUses measures the query of the rotation every minute and before each step,
// with ten thousand SPs that each used three years.
func BenchmarkLastUses(b *testing.B) {
	in := newInstallation(b, noon(2026, 2, 1))
	l := in.ledger()
	for n := range 10_000 {
		for _, y := range []idp.Year{"2025", "2026", "2027"} {
			in.use(l, idp.EntityID(fmt.Sprintf("https://sp%05d.agency.example/saml", n)), y)
		}
	}
	ok(b, l.Flush(b.Context()))
	for b.Loop() {
		if last, err := l.LastUses(context.Background()); err != nil || len(last) != 3 {
			b.Fatal(last, err)
		}
	}
}
