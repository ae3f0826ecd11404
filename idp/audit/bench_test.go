package audit_test

import (
	"testing"
	"time"

	"vernal/idp/audit"
)

// BenchmarkVerify verifies a million records, every second one with an address.
// More than ten seconds are too long for somebody who waits at the prompt.
func BenchmarkVerify(b *testing.B) {
	const records = 1_000_000
	w := newWorld(b)
	for range records / 20_000 {
		w.add(20_000)
	}
	for b.Loop() {
		begun := time.Now()
		p, err := w.Verify(b.Context(), audit.Progress{}, nil, time.Hour)
		if err != nil || p.Broken != nil || p.Records != records {
			b.Fatalf("%+v, %v", p, err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			b.Errorf("a million records took %v", took)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
