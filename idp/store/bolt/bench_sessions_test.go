package bolt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/seal"
)

// The sizes that are compared. A tenth of the sessions have ended.
const (
	few, many = 10_000, 1_000_000
	// sweepStep is how many records the server sweeps at a time.
	sweepStep = 100
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
		CreatedAt: began, SeenAt: began, AuthnAt: began, ExpiresAt: began.Add(12 * time.Hour), Idle: 15 * time.Minute,
		Device:       idp.Device{Browser: "Firefox", System: "Windows", Network: "203.0.113.0/24"},
		Factors:      []idp.FactorUse{{Factor: idp.FactorPassword, At: began}, {Factor: idp.FactorTOTP, At: began}},
		Participants: []idp.Participant{{SP: "https://sp.example/saml/metadata", NameID: idp.NameID(fmt.Sprintf("5f2504e0-4f89-41d3-9a0c-%012x", i)), SessionIndexes: []string{fmt.Sprintf("_%032x", i)}, Year: "2031", At: began}},
	}
}

// fill makes a store with n sessions. It writes the entries in the order of
// their keys, as full as pages are when they come in any order, which takes
// seconds where creating them one by one would take an hour.
func fillHouse(b *testing.B, n int) *house {
	b.Helper()
	key, err := seal.NewKey(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(filepath.Join(b.TempDir(), "vernal.db"), Options{Sealer: key, Clock: func() time.Time { return benchStart }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	h := &house{Store: s, n: n}
	entries := map[bucket][][2][]byte{}
	add := func(in bucket, key, value []byte) { entries[in] = append(entries[in], [2][]byte{key, value}) }
	for i := range n {
		sess := h.session(i)
		add(inSessions, []byte(sess.ID), encodeRecord(sess, sessionFields))
		add(inUserSessions, pair(string(sess.User), string(sess.ID)), []byte{})
		add(inExpiry, expiryKey(due(sess), sessionKind, []byte(sess.ID)), []byte{})
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

// lookUps is the time of one look-up of a session, on average over some.
func (h *house) lookUps(b *testing.B, ctx context.Context, n int) time.Duration {
	start := time.Now()
	for range n {
		if _, err := h.Session(ctx, h.ids[rand.IntN(len(h.ids))]); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / time.Duration(n)
}

// BenchmarkSessionLookUp compares look-ups among many sessions with look-ups
// among few. The two take turns, and the best of each counts: what else runs on
// the machine makes both slower now and then, and neither faster. What is left
// between the two is, it seems, the memory's: few sessions lie in the processor's
// cache, and many do not. The aim is a ratio of 1.5 at most, and it is not met: 2.4
// was measured (2.3 µs and 5.4 µs), and more where other programs want the cache.
// So this reports, and does not fail.
func BenchmarkSessionLookUp(b *testing.B) {
	small, large := fillHouse(b, few), fillHouse(b, many)
	for _, h := range []*house{small, large} { // into memory
		for _, id := range h.ids {
			if _, err := h.Session(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ResetTimer()
	best := [2]time.Duration{time.Hour, time.Hour}
	for range max(5, min(b.N, 30)) {
		best[0] = min(best[0], small.lookUps(b, b.Context(), 20_000))
		best[1] = min(best[1], large.lookUps(b, b.Context(), 20_000))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(best[0]), "ns-of-10k")
	b.ReportMetric(float64(best[1]), "ns-of-1M")
	b.ReportMetric(float64(best[1])/float64(best[0]), "ratio")
}

// BenchmarkMillionSessions measures what a store of a million sessions is asked
// to do: a warm sign-in, which looks a session up and writes it, against one among
// few; a walk over all of them for `vernal session list`, and
// the sweep of the tenth that has ended, during which people sign in.
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
		page, err := h.Sessions(ctx, after, 250)
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

// signIns is the median time of what the store does for a warm sign-in, one at a
// time: of some hundred, or of all until done.
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
			Session: id, User: sess.User, Scope: "agency:GSA", Proposed: idp.NameID(sess.User),
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
