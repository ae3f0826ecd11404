package migration_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/sp"
)

// BenchmarkBoard measures the board of ten thousand service providers that each used three
// years for a month.
func BenchmarkBoard(b *testing.B) {
	const sps = 10_000
	w := newDeployment(b, at(2026, 2, 1))
	cert := requestCert(at(2036, 1, 1))
	for n := range sps {
		p := sp.Defaults()
		p.EntityID, p.Name = idp.EntityID(fmt.Sprintf("https://sp%05d.agency.example/saml", n)), fmt.Sprintf("Service %d", n)
		p.ACSURLs, p.Certs, p.Contacts = []string{"https://sp.example/acs"}, []string{cert.pem}, []string{"help@agency.example"}
		ok(b, w.Bolt.CreateProvider(b.Context(), p, ""))
	}
	s := w.server()
	for d := range 30 {
		w.Clock.Set(at(2026, 2, 1+d))
		for n := range sps {
			for _, y := range []idp.Year{"2024", "2025", "2026"} {
				s.Usage.Use(idp.Use{
					SP: idp.EntityID(fmt.Sprintf("https://sp%05d.agency.example/saml", n)), Year: y, At: w.Clock.Now(),
					CertSHA256: cert.sha256, IssuedAt: w.Clock.Now().Add(-time.Second),
				})
			}
		}
	}
	ok(b, s.Usage.Flush(b.Context()))
	show := func(b *testing.B, s *migration.Service) {
		shown, err := s.Board(context.Background())
		if err != nil || len(shown.SPs) != sps || shown.SPs[0].Years[2].Days30 != 30 {
			b.Fatal(len(shown.SPs), err)
		}
	}
	b.Run("sps-10000-first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			w.Registry = sp.New(w.Bolt, w.Clock.Now)
			b.StartTimer()
			show(b, w.server())
		}
	})
	b.Run("sps-10000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			show(b, s)
		}
	})
}
