package migration_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/sp"
)

// deployment is an installation whose clock is turned. 2026 is preferred from its first
// day; 2027 follows by the history, which is not recorded.
type deployment struct {
	*fixture.Fixture
	tb      testing.TB
	history rotation.History
	keys    []*certs.Key
}

func at(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 12, 0, 0, 0, time.UTC) }

func newDeployment(tb testing.TB, now time.Time) *deployment {
	tb.Helper()
	w := &deployment{Fixture: fixture.New(tb, at(2024, 1, 15), nil), tb: tb}
	for _, y := range []idp.Year{"2024", "2025", "2026", "2027"} {
		k := w.NewYear(y)
		w.keys = append(w.keys, k)
		w.history.Records = append(w.history.Records, rotation.Record{
			Year: y, CreatedAt: at(2024, 1, 15), CertifiedAt: at(2024, 1, 15), CertEndAt: k.Cert.NotAfter,
			CertificateSHA256: certs.CertSHA256(k.Cert), PublicKeySHA256: certs.PublicKeySHA256(k.Signer.Public()),
		})
	}
	w.Clock.Set(now)
	w.step(rotation.StepPublish, "2026")
	w.step(rotation.StepPrefer, "2026")
	return w
}

// step takes a step of the rotation, now.
func (w *deployment) step(kind rotation.StepKind, y idp.Year) {
	w.tb.Helper()
	w.history = w.history.Apply(rotation.Step{Kind: kind, Year: y, Reason: "test"}, w.Clock.Now())
	if w.history.Preferred != "" {
		ok(w.tb, w.Years.SetHistory(w.history, w.keys))
	}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// server returns the board of a server that starts.
func (w *deployment) server() *migration.Service {
	board := w.Server().Board
	board.Registry, board.Years, board.Usage.Years = w.Registry, w.Years, w.Years
	return board
}

// add registers a service provider.
func (w *deployment) add(id idp.EntityID, change ...func(*idp.ServiceProvider)) {
	w.tb.Helper()
	p := sp.Defaults()
	p.EntityID, p.Name, p.ACSURLs = id, "SP "+string(id), []string{"https://sp.example/acs"}
	p.Certs = []string{requestCert(at(2036, 1, 1)).pem}
	for _, c := range change {
		c(p)
	}
	_, err := w.Registry.Add(w.tb.Context(), p, sp.Options{}, "test")
	ok(w.tb, err)
}

// show returns the board.
func (w *deployment) show(s *migration.Service) *migration.Board {
	w.tb.Helper()
	b, err := s.Board(context.Background())
	ok(w.tb, err)
	return b
}

// line returns the line of a service provider.
func line(tb testing.TB, b *migration.Board, id idp.EntityID) migration.Line {
	tb.Helper()
	for _, l := range b.SPs {
		if l.SP == id {
			return l
		}
	}
	tb.Fatalf("%s is not on the board", id)
	return migration.Line{}
}

// testCert is a request certificate.
type testCert struct{ pem, sha256 string }

func requestCert(end time.Time) testCert {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(end.Unix()), Subject: pkix.Name{CommonName: "test SP"},
		NotBefore: at(2020, 1, 1), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, fixture.Key(0).Public(), fixture.Key(0))
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return testCert{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), certs.CertSHA256(cert)}
}
