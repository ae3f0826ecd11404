package bolt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/session"
)

// The sizes that are compared. A tenth of the sessions have ended.
const (
	few, many = 10_000, 1_000_000
	// sweepStep is how many records the server sweeps at a time.
	sweepStep = 25
)

var benchStart = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// house is a store full of sessions.
type house struct {
	*Store
	ids []idp.SessionID // of those that are live, in no order
	n   int
}

func (h *house) session(i int) *idp.Session {
	began := benchStart.Add(time.Duration(i%3600) * time.Second)
	if i%10 == 0 {
		began = benchStart.Add(-13*time.Hour + time.Duration(i%3600)*time.Millisecond)
	}
	return &idp.Session{
		ID: idp.HashSessionToken(fmt.Sprint(i)), User: idp.UserID(fmt.Sprintf("USER%022d", i/3)),
		CreatedAt: began, SeenAt: began, AuthnAt: began, ExpiresAt: began.Add(12 * time.Hour), IdleTimeout: 15 * time.Minute,
		Device:       idp.Device{Browser: "Firefox", System: "Windows", Network: "203.0.113.0/24"},
		Factors:      []idp.FactorUse{{Factor: idp.FactorPassword, At: began}, {Factor: idp.FactorTOTP, At: began}},
		Participants: []idp.Participant{{SP: "https://sp.example/saml/metadata", NameID: idp.NameID(fmt.Sprintf("5f2504e0-4f89-41d3-9a0c-%012x", i)), SessionIndexes: []string{fmt.Sprintf("_%032x", i)}, Year: "2031", At: began}},
	}
}

// fillHouse makes a store with n sessions. It writes the entries in the order of their keys,
// with pages as full as after writes in random order. That takes seconds, while creating
// them one by one would take an hour.
func fillHouse(b *testing.B, n int) *house {
	b.Helper()
	key, err := seal.NewMaster(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(filepath.Join(b.TempDir(), "vernal.db"), Options{Masters: seal.NewMasters(key), Clock: func() time.Time { return benchStart }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	h := &house{Store: s, n: n}
	entries := map[bucket][][2][]byte{}
	add := func(in bucket, key, value []byte) { entries[in] = append(entries[in], [2][]byte{key, value}) }
	for i := range n {
		sess := h.session(i)
		add(inSessions, []byte(sess.ID), encodeRecord(sess))
		add(inUserSessions, pairKey(string(sess.User), string(sess.ID)), []byte{})
		add(inExpiry, expiryKey(computeSweepTime(sess), sessionKind, []byte(sess.ID)), []byte{})
		if i%10 != 0 {
			h.ids = append(h.ids, sess.ID)
		}
	}
	s.db.NoSync = true
	for in, list := range entries {
		slices.SortFunc(list, func(x, y [2][]byte) int { return slices.Compare(x[0], y[0]) })
		for part := range slices.Chunk(list, 50_000) {
			err := s.db.Update(func(tx *bbolt.Tx) error {
				to := tx.Bucket([]byte(in.String()))
				to.FillPercent = 0.7
				for _, e := range part {
					if err := to.Put(e[0], e[1]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	s.db.NoSync = false
	if err := s.db.Sync(); err != nil {
		b.Fatal(err)
	}
	rand.Shuffle(len(h.ids), func(i, j int) { h.ids[i], h.ids[j] = h.ids[j], h.ids[i] })
	return h
}

// lookUps returns the average time of one look-up in the store alone.
func (h *house) lookUps(b *testing.B, n int) time.Duration {
	// The IDs are together, as one that came with a request is at hand: the
	// list of a million is none of a server's.
	ids := make([]idp.SessionID, n)
	for i := range ids {
		ids[i] = idp.HashSessionToken(h.token())
	}
	start := time.Now()
	for _, id := range ids {
		if _, err := h.Session(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / time.Duration(n)
}

// serve answers requests with a session cookie like the beginning of every page for a
// signed-in user: 204 if the session exists.
func (h *house) serve(b *testing.B) (address string) {
	sessions := &session.Manager{Store: h, Clock: func() time.Time { return benchStart.Add(time.Minute) }, IdleTimeout: 15 * time.Minute, AbsoluteTimeout: 12 * time.Hour}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := sessions.LookupCurrent(r); err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(srv.Close)
	return srv.URL
}

// requests returns the time of one request over HTTP by a browser that is signed in.
func (h *house) requests(b *testing.B, address string, n int) time.Duration {
	start := time.Now()
	for range n {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "vernal-session", Value: h.token()})
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusNoContent {
			b.Fatal(res.Status, err)
		}
	}
	return time.Since(start) / time.Duration(n)
}

// BenchmarkSessionLookUp compares look-ups among many sessions with look-ups
// among few: as requests bring them, which may cost 1.5 times as much at most,
// and in the store alone. The two take turns, and the best of each counts: what
// else runs on the machine makes both slower now and then, and neither faster.
//
// The store alone does not keep to 1.5: a thousand times as many sessions are two
// more levels of the tree and are no longer in the processor's cache, which is
// some 2 µs. No request notices, so no second index is kept in memory for it.
func BenchmarkSessionLookUp(b *testing.B) {
	houses := [2]*house{fillHouse(b, few), fillHouse(b, many)}
	var addresses [2]string
	for i, h := range houses {
		addresses[i] = h.serve(b)
		for _, id := range h.ids { // into memory
			if _, err := h.Session(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ResetTimer()
	store, request := [2]time.Duration{time.Hour, time.Hour}, [2]time.Duration{time.Hour, time.Hour}
	for range max(5, min(b.N, 30)) {
		for i, h := range houses {
			store[i] = min(store[i], h.lookUps(b, 20_000))
			request[i] = min(request[i], h.requests(b, addresses[i], 2_000))
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, of := range [2]string{"10k", "1M"} {
		b.ReportMetric(float64(store[i]), "ns-store-"+of)
		b.ReportMetric(float64(request[i]), "ns-request-"+of)
	}
	b.ReportMetric(float64(store[1])/float64(store[0]), "ratio-store")
	b.ReportMetric(float64(request[1])/float64(request[0]), "ratio-request")
}

// token returns the cookie of a random live session.
func (h *house) token() string {
	i := rand.IntN(h.n)
	for i%10 == 0 {
		i = rand.IntN(h.n)
	}
	return fmt.Sprint(i)
}

// BenchmarkMillionSessions measures the work of a store with a million sessions: a warm
// sign-in, which looks a session up and writes it, compared with one among few; a walk over
// all of them for `vernal session list`; and the sweep of the expired tenth, while users
// sign in.
func BenchmarkMillionSessions(b *testing.B) {
	small, h := fillHouse(b, few), fillHouse(b, many)
	ctx := b.Context()
	b.ResetTimer()
	// They take turns, and the best of each counts, as with look-ups.
	among, quiet := time.Hour, time.Hour
	for range 5 {
		among, quiet = min(among, small.signIns(b, ctx, nil)), min(quiet, h.signIns(b, ctx, nil))
	}
	start, seen := time.Now(), 0
	for after := idp.SessionID(""); ; {
		page, err := h.Sessions(ctx, idp.SessionQuery{After: after, Limit: 250})
		if err != nil {
			b.Fatal(err)
		}
		if seen += len(page); len(page) < 250 {
			break
		}
		after = page[len(page)-1].ID
	}
	list := time.Since(start)
	if seen != many {
		b.Fatalf("%d of %d sessions are listed", seen, many)
	}

	done := make(chan struct{})
	var busy time.Duration
	var wg sync.WaitGroup
	wg.Go(func() { busy = h.signIns(b, ctx, done) })
	start, seen = time.Now(), 0
	for {
		n, err := h.Sweep(ctx, benchStart, sweepStep)
		if err != nil {
			b.Error(err)
			break
		}
		if seen += n; n < sweepStep {
			break
		}
	}
	sweep := time.Since(start)
	close(done)
	wg.Wait()
	if seen != many/10 {
		b.Errorf("%d sessions were swept, want %d", seen, many/10)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(among.Microseconds())/1000, "ms-sign-in-10k")
	b.ReportMetric(float64(quiet.Microseconds())/1000, "ms-sign-in-1M")
	b.ReportMetric(float64(busy.Microseconds())/1000, "ms-sign-in-in-sweep")
	b.ReportMetric(float64(quiet)/float64(among), "ratio")
	b.ReportMetric(list.Seconds(), "s-list")
	b.ReportMetric(sweep.Seconds(), "s-sweep")
}

// BenchmarkOpenMillionSessions measures how long a server with a million sessions, waits for its store at start.
func BenchmarkOpenMillionSessions(b *testing.B) {
	h := fillHouse(b, many)
	path, options := h.db.Path(), Options{Masters: h.masters, Clock: h.clock}
	for b.Loop() {
		b.StopTimer()
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s, err := Open(path, options)
		if err != nil {
			b.Fatal(err)
		}
		h.Store = s
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB-file")
	if err := h.Close(); err != nil {
		b.Fatal(err)
	}
}

// signIns returns the median time that the store takes for a warm sign-in, one at a time: of
// some hundred sign-ins, or of all until done.
func (h *house) signIns(b *testing.B, ctx context.Context, done <-chan struct{}) time.Duration {
	var took []time.Duration
	for n := 0; n < 300 || done != nil; n++ {
		select {
		case <-done:
			done = nil
			n = 300
		default:
		}
		id := h.ids[rand.IntN(len(h.ids))]
		message := fmt.Sprintf("_%032x", rand.Uint64())
		start := time.Now()
		sess, err := h.Session(ctx, id)
		if err != nil {
			b.Error(err)
			return 0
		}
		_, err = h.RecordIssuance(ctx, &idp.Issuance{
			Request: &idp.LoginRequest{
				Handle: idp.RequestHandle(fmt.Sprintf("018f%016x", start.UnixNano())), SP: "https://sp.example/saml/metadata", MessageID: message, Year: "2031",
				ReceivedAt: benchStart, ExpiresAt: benchStart.Add(24 * time.Hour),
			},
			Session: id, User: sess.User, Scope: "agency:GSA", ProposedNameID: idp.NameID(sess.User),
			SessionIndex: message, At: benchStart.Add(time.Minute), Event: idp.AuditEvent{Kind: "sign_in", Outcome: "ok"},
		})
		if err != nil {
			b.Error(err)
			return 0
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// BenchmarkRestoreMillionSessions measures the one write that ends all sessions after a restore.
func BenchmarkRestoreMillionSessions(b *testing.B) {
	h := fillHouse(b, many)
	b.ResetTimer()
	begun := time.Now()
	ended, err := h.Restore(b.Context(), idp.Restore{At: benchStart})
	if err != nil || ended.Sessions != many {
		b.Fatal(ended, err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(time.Since(begun).Seconds(), "s-restore")
}
