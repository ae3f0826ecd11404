package bolt_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vernal/idp"
)

// BenchmarkRecordIssuance measures a warm sign-in: a live session answers a new request of a
// service provider that the user has used before. It also reports the CPU time of an
// operation, which competes with signing.
func BenchmarkRecordIssuance(b *testing.B) {
	for _, inFlight := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) { benchIssuance(b, inFlight) })
	}
}

func benchIssuance(b *testing.B, inFlight int) {
	const people = 5000
	s := open(b, b.TempDir())
	defer closeStore(b, s)
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for i := w; i < people; i += 50 {
				if err := s.StartSession(b.Context(), idp.SessionStart{Session: benchSession(i)}); err != nil {
					b.Error(err)
				}
				for n := range 2 {
					if _, err := s.RecordIssuance(b.Context(), benchIssue(i, fmt.Sprintf("warm-%d-%d", n, i))); err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	user0, system0 := cpuTime(b)
	var next atomic.Int64
	for range inFlight {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				// A stride unrelated to the number of users, so that sessions come in random
				// order.
				i := benchIssue(int(n*7919%people), fmt.Sprintf("_%032x", uint64(n)*0x9E3779B97F4A7C15))
				i.Request.Handle = idp.RequestHandle(fmt.Sprintf("018f%08x-7000-8000-000000000000", n))
				if _, err := s.RecordIssuance(b.Context(), i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	user, system := cpuTime(b)
	b.ReportMetric(float64((user-user0).Microseconds())/float64(b.N), "user-µs/op")
	b.ReportMetric(float64((system-system0).Microseconds())/float64(b.N), "sys-µs/op")
}

func benchSession(i int) *idp.Session {
	return &idp.Session{
		ID:        idp.HashSessionToken(fmt.Sprint(i)),
		User:      idp.UserID(fmt.Sprintf("0b9e7d6c-7a5e-4a55-8f6b-%012x", i)),
		CreatedAt: benchTime, SeenAt: benchTime, AuthnAt: benchTime, ExpiresAt: benchTime.Add(12 * time.Hour),
		Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: benchTime}, {Factor: idp.FactorTOTP, At: benchTime}},
	}
}

var benchTime = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

func benchIssue(person int, id string) *idp.Issuance {
	sess := benchSession(person)
	return &idp.Issuance{
		Request: &idp.LoginRequest{
			Handle: idp.RequestHandle("0000-" + id), SP: "https://sp.example/saml/metadata", MessageID: id, Year: "2031",
			ACSURL: "https://sp.example/saml/acs", RelayState: "/after", HasRelay: true, NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
			Comparison: "exact", ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/1", "http://idmanagement.gov/ns/assurance/aal/2"},
			CertSHA256: string(sess.ID), ReceivedAt: benchTime, ExpiresAt: benchTime.Add(time.Hour),
		},
		Session: sess.ID, User: sess.User, Scope: "agency:GSA",
		ProposedNameID:     idp.NameID(fmt.Sprintf("5f2504e0-4f89-41d3-9a0c-%012x", person)),
		SessionIndex: "_" + id, At: benchTime.Add(time.Minute),
		Event: idp.AuditEvent{Kind: "sign_in", Outcome: "ok", Actor: "user:" + string(sess.User), User: sess.User, SP: "https://sp.example/saml/metadata",
			Year: "2031", RequestID: "01J9ZB4QK8S0Q", IPAddress: "203.0.113.7", Detail: map[string]string{"aal": "2"}},
	}
}

// cpuTime returns the time that this process has used in user and kernel mode.
func cpuTime(tb testing.TB) (user, system time.Duration) {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}
