package idptest_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/idptest/binary"
	"vernal/idp/server"
	"vernal/idp/session"
)

// BenchmarkRSASign measures the bare signing rate of this machine, the minimum cost of a
// sign-in. Compare the other figures with it.
func BenchmarkRSASign(b *testing.B) {
	key := signingKey(b)
	sum := sha256.Sum256([]byte("message"))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkWarmSignIn measures a whole sign-in of a user with a live session: signed
// AuthnRequest in, Response out, through the real router and the real store with every
// durable write on. Counting uses adds no write.
func BenchmarkWarmSignIn(b *testing.B) {
	for _, noUsage := range []bool{false, true} {
		i := idptest.New(b, idptest.Options{Log: slog.NewJSONHandler(io.Discard, nil), NoUsage: noUsage})
		provider := i.AddProvider("https://sp.example")
		cookies := signedIn(b, i, provider)
		suffix := ""
		if noUsage {
			suffix = "-no-usage"
		}
		for _, inFlight := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("in-flight-%d%s", inFlight, suffix), func(b *testing.B) {
				defer debug.SetGCPercent(debug.SetGCPercent(server.GCPercent)) // as `vernal serve` does
				warmSignIns(b, i, provider, cookies, inFlight)
			})
		}
	}
}

func warmSignIns(b *testing.B, i *idptest.IdP, provider *idptest.Provider, cookies string, inFlight int) {
	b.Helper()
	requests, answers := make([]*http.Request, b.N), make([]answer, b.N)
	for n := range requests {
		requests[n] = warmRequest(provider, cookies, idptest.Request{})
		answers[n].header = make(http.Header, 12)
	}
	b.ReportAllocs()
	bare := bareRate(b) // at this moment: shared machines change by the minute
	runtime.GC()
	var before, after runtime.MemStats
	changes := i.Changes()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	begun := time.Now()
	spread(inFlight, b.N, func(n int) {
		w := &answers[n]
		i.Handler.ServeHTTP(w, requests[n])
		if w.status != http.StatusOK || !w.response {
			b.Errorf("status %d", w.status)
		}
	})
	rate := float64(b.N) / time.Since(begun).Seconds()
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(i.Changes()-changes)/float64(b.N), "store-writes/op")
	own := storeCost(b, i, provider, inFlight)
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N)-own.allocs, "allocs-beyond-store/op")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)-own.bytes, "B-beyond-store/op")
	b.ReportMetric(rate, "sign-ins/s")
	b.ReportMetric(100*rate/bare, "%of-bare-signing")
}

// warmRequest returns an AuthnRequest from a browser with cookies.
func warmRequest(provider *idptest.Provider, cookies string, ask idptest.Request) *http.Request {
	ask.RelayState = "state"
	r := httptest.NewRequest(http.MethodGet, provider.URL(&ask), nil)
	r.Header.Set("Cookie", cookies)
	r.Header.Set("Accept", "text/html")
	return r
}

// TestCountingUsesCostsNoWrite signs in with a ledger of uses and without: a sign-in
// is one write either way, and the ledger is written when it is flushed.
func TestCountingUsesCostsNoWrite(t *testing.T) {
	t.Parallel()
	for _, noUsage := range []bool{false, true} {
		t.Run(fmt.Sprintf("no usage is %v", noUsage), func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{NoUsage: noUsage})
			provider := i.AddProvider("https://sp.example")
			cookies := signedIn(t, i, provider)
			const n = 20
			before := i.Changes()
			for range n {
				w := &answer{header: http.Header{}}
				if i.Handler.ServeHTTP(w, warmRequest(provider, cookies, idptest.Request{})); !w.response {
					t.Fatalf("no sign-in: status %d", w.status)
				}
			}
			if got := i.Changes() - before; got != n {
				t.Errorf("%d sign-ins took %d writes", n, got)
			}
		})
	}
}

// cost is the average allocation of an operation.
type cost struct{ allocs, bytes float64 }

// storeCost returns the allocations of the store alone for a warm sign-in: two look-ups and
// one write.
func storeCost(b *testing.B, i *idptest.IdP, provider *idptest.Provider, inFlight int) cost {
	b.Helper()
	const n = 1000
	user, err := i.Store.UserByEmail(b.Context(), "ada@example.gov")
	if err != nil {
		b.Fatal(err)
	}
	sessions, err := i.Store.Sessions(b.Context(), idp.SessionQuery{User: user.ID})
	if err != nil {
		b.Fatal(err)
	}
	writes := make([]*idp.Issuance, n)
	for k := range writes {
		id := fmt.Sprintf("_cost-%d-%d-%d", inFlight, b.N, k)
		writes[k] = &idp.Issuance{
			Request: &idp.LoginRequest{
				Handle: session.NewHandle(i.Clock.Now()), SP: idp.EntityID(provider.EntityID), MessageID: id,
				ACSURL: provider.ACS, ReceivedAt: i.Clock.Now(), ExpiresAt: i.Clock.Now().Add(session.RequestLifetime),
			},
			Session: sessions[0].ID, User: user.ID, Scope: idp.NameIDScope("sp:" + provider.EntityID),
			ProposedNameID: "unused", SessionIndex: id, At: i.Clock.Now(), Event: idp.AuditEvent{Kind: "sign_in", Outcome: "ok"},
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	spread(inFlight, n, func(k int) {
		_, serr := i.Store.Session(b.Context(), sessions[0].ID)
		_, uerr := i.Store.User(b.Context(), user.ID)
		_, werr := i.Store.RecordIssuance(b.Context(), writes[k])
		if err := errors.Join(serr, uerr, werr); err != nil {
			b.Error(err)
		}
	})
	runtime.ReadMemStats(&after)
	return cost{float64(after.Mallocs-before.Mallocs) / n, float64(after.TotalAlloc-before.TotalAlloc) / n}
}

// BenchmarkMetadata is a GET of a year's metadata over a real connection,
// beside that of a bare handler with the same bytes.
func BenchmarkMetadata(b *testing.B) {
	i := idptest.New(b, idptest.Options{Log: slog.NewJSONHandler(io.Discard, nil)})
	path := "/api/saml/metadata" + string(i.Year())
	document := i.Get(path)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/samlmetadata+xml")
		_, _ = w.Write(document)
	}))
	b.Cleanup(bare.Close)
	for name, address := range map[string]string{"vernal": i.URL + path, "bare-net-http": bare.URL} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := http.Get(address)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}

// BenchmarkStart measures the time from starting `vernal serve` to the first metadata that
// it serves.
func BenchmarkStart(b *testing.B) {
	v := binary.New(b, b.TempDir(), "localhost")
	for b.Loop() {
		p := v.Boot(b, "/api/saml/metadata")
		b.StopTimer()
		p.Stop()
		b.StartTimer()
	}
}

// signedIn signs a user in and returns the Cookie header of the browser.
func signedIn(b testing.TB, i *idptest.IdP, provider *idptest.Provider) string {
	b.Helper()
	browser, request := i.Browser(), &idptest.Request{}
	if page := browser.SignIn(browser.Get(provider.URL(request)), i.AddUser("ada@example.gov")); page.Response() == nil {
		b.Fatalf("no sign-in: %s", page.Text())
	}
	var cookies []string
	for _, c := range browser.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return strings.Join(cookies, "; ")
}

// bareRate returns the number of signatures per second on all cores together.
func bareRate(b *testing.B) float64 {
	b.Helper()
	key := signingKey(b)
	sum := sha256.Sum256([]byte("message"))
	const n = 2000
	begun := time.Now()
	spread(runtime.GOMAXPROCS(0), n, func(int) {
		if _, err := key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			b.Error(err)
		}
	})
	return n / time.Since(begun).Seconds()
}

func signingKey(b *testing.B) crypto.Signer {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	return key
}

// spread runs do(0) to do(n-1) with the given number in flight.
func spread(inFlight, n int, do func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				do(k)
			}
		})
	}
	wg.Wait()
}

// answer is a response writer that costs little itself.
type answer struct {
	header   http.Header
	status   int
	response bool // whether the page posts a Response
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
func (a *answer) Write(b []byte) (int, error) {
	a.response = bytes.Contains(b, []byte("SAMLResponse"))
	return len(b), nil
}
