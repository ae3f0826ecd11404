package idptest_test

import (
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/server"
)

// twelve are as many attributes as a benefits portal asks for.
var twelve = []string{
	"email", "first_name", "middle_name", "last_name", "address1", "address2", "city", "state", "zipcode", "dob", "ssn", "phone",
}

// BenchmarkProofedSignIn measures a warm sign-in of a proofed user with twelve attributes,
// in the clear and encrypted, each in turn with a plain one of the same user. ratio compares
// processor time and should be at most 1.3. Wall-clock time would measure the disk.
func BenchmarkProofedSignIn(b *testing.B) {
	i := idptest.New(b, idptest.Options{Log: slog.NewJSONHandler(io.Discard, nil)})
	plain := i.AddProvider("https://plain.example")
	cookies := signedIn(b, i, plain)
	proofedAda(b, i)
	for _, encryption := range []string{idp.EncryptionNone, idp.EncryptionCBC, idp.EncryptionGCM} {
		provider := i.AddProvider("https://"+encryption+".example", func(p *idp.ServiceProvider) {
			p.IAL, p.Attributes, p.Encryption = idp.IALVerified, twelve, encryption
		})
		ask := idptest.Request{ClassRefs: []string{
			"urn:acr.login.gov:verified", "http://idmanagement.gov/ns/assurance/aal/2",
			"http://idmanagement.gov/ns/requested_attributes?ReqAttr=" + strings.Join(twelve, ","),
		}}
		b.Run("encryption-"+encryption, func(b *testing.B) {
			defer debug.SetGCPercent(debug.SetGCPercent(server.GCPercent)) // as `vernal serve` does
			var spent [2]time.Duration
			b.ResetTimer()
			for n := range 2 * b.N {
				// The order alternates, because each sign-in pays for work that the previous
				// one left, such as garbage.
				for _, k := range [][]int{{0, 1}, {1, 0}}[n%2] {
					r := warmRequest(plain, cookies, idptest.Request{})
					if k == 1 {
						r = warmRequest(provider, cookies, ask)
					}
					w := &answer{header: make(http.Header, 12)}
					before := processorTime(b)
					i.Handler.ServeHTTP(w, r)
					spent[k] += processorTime(b) - before
					if !w.response {
						b.Fatalf("no sign-in: status %d", w.status)
					}
				}
			}
			b.ReportMetric(float64(spent[0].Microseconds())/float64(2*b.N), "plain-µs")
			b.ReportMetric(float64(spent[1].Microseconds())/float64(2*b.N), "proofed-µs")
			b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
		})
	}
}

// processorTime returns the processor time that the process has used so far.
func processorTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// proofedAda gives the user of signedIn a proofed identity.
func proofedAda(tb testing.TB, i *idptest.IdP) {
	tb.Helper()
	u, err := i.Store.UserByEmail(tb.Context(), "ada@example.gov")
	if err == nil {
		err = i.Store.SetProfile(tb.Context(), u.ID, &idp.Profile{
			Level: idp.IALVerified, VerifiedAt: time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC),
			FirstName: "Ada", MiddleName: "Augusta", LastName: "Byron", Address1: "12 St James's Square", Address2: "Second floor",
			City: "London", State: "NY", Zipcode: "10001", DOB: "1990-12-10", SSN: "900-11-2222", Phone: "+12025550123",
		}, i.Clock.Now())
	}
	if err != nil {
		tb.Fatal(err)
	}
}
