package audit_test

import (
	"testing"
	"time"

	"vernal/idp/audit"
)

// BenchmarkVerify verifies a million records, every second one with an IP address. Ten
// seconds would be long for an operator at the prompt.
func BenchmarkVerify(b *testing.B) {
	const records = 1_000_000
	w := newDeployment(b)
	for range records / 20_000 {
		w.add(20_000)
	}
	for b.Loop() {
		p, err := w.Verify(b.Context(), audit.Progress{}, nil, time.Hour)
		if err != nil || p.Broken != nil || p.Records != records {
			b.Fatalf("%+v, %v", p, err)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
