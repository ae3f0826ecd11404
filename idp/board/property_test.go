package board_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
	"vernal/idp/board"
)

// model is what a board says, the plain way: from the list of all uses.
type model []board.Use

func (m model) line(id idp.EntityID, now time.Time) (seen []board.Seen) {
	today := now.Truncate(24 * time.Hour)
	for _, y := range []idp.Year{"2026", "2027"} {
		s := board.Seen{Year: y}
		for _, u := range m {
			if u.SP != id || u.Year != y {
				continue
			}
			if s.FirstAt.IsZero() {
				s.FirstAt = u.At
			}
			s.LastAt, s.Signed = u.At, u.CertSHA256 != ""
			if s.Signed {
				s.CertSHA256 = u.CertSHA256
			}
			age := int(today.Sub(u.At.Truncate(24*time.Hour)) / (24 * time.Hour))
			if age < 7 {
				s.Days7++
			}
			if age < 30 {
				s.Days30++
			}
		}
		if !s.FirstAt.IsZero() {
			seen = append(seen, s)
		}
	}
	return seen
}

// Over sixty days of uses in any order of servers, flushes, failed flushes and
// crashes, the board says what a plain list of the uses that were not lost says.
func TestCountsEqualTheModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 2, 1))
	w.add(spA)
	w.add(spB)
	certs := []string{"", strings.Repeat("a", 64), strings.Repeat("b", 64)}
	rapid.Check(t, func(rt *rapid.T) {
		docs, err := w.store.Documents(t.Context(), "board")
		ok(t, err)
		for _, d := range docs { // of the check before
			ok(t, w.store.UpdateDocuments(t.Context(), "board", []string{d.Key}, func(string, []byte) ([]byte, error) { return nil, nil }))
		}
		disk := &full{DocumentStore: w.store}
		start := func() *board.Service {
			s := w.server()
			s.Store = disk
			return s
		}
		servers := []*board.Service{start(), start()}
		stored, noted := model{}, []model{nil, nil}
		w.turn(at(2026, 2, 1))
		end := w.clock().AddDate(0, 0, 60)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if next := w.clock().Add(time.Duration(rapid.IntRange(1, 60*60*60).Draw(rt, "seconds")) * time.Second); next.Before(end) {
				w.turn(next)
			} else {
				w.turn(w.clock().Add(time.Second))
			}
			n := rapid.IntRange(0, 1).Draw(rt, "server")
			switch rapid.SampledFrom([]string{"use", "use", "use", "use", "flush", "fail", "crash"}).Draw(rt, "what") {
			case "use":
				u := board.Use{
					SP: rapid.SampledFrom([]idp.EntityID{spA, spB}).Draw(rt, "sp"), At: w.clock(),
					Year: rapid.SampledFrom([]idp.Year{"2026", "2027"}).Draw(rt, "year"), CertSHA256: rapid.SampledFrom(certs).Draw(rt, "certificate"),
				}
				servers[n].Used(u)
				noted[n] = append(noted[n], u)
			case "flush":
				ok(t, servers[n].Flush(t.Context()))
				stored, noted[n] = stored.merge(noted[n]), nil
			case "fail":
				disk.full = true
				if err := servers[n].Flush(t.Context()); err == nil && len(noted[n]) > 0 {
					rt.Fatal("a full disk is written to")
				}
				disk.full = false
			case "crash":
				servers[n], noted[n] = start(), nil
			}
			for n, s := range servers {
				b := w.show(s)
				for _, id := range []idp.EntityID{spA, spB} {
					want := append([]board.Seen{}, stored.merge(noted[n]).line(id, w.clock())...)
					if diff := cmp.Diff(want, line(t, b, id).Years); diff != "" {
						rt.Fatalf("server %d, %s (-want +got):\n%s", n, id, diff)
					}
				}
			}
		}
	})
}

// merge is both, in the order of time.
func (m model) merge(o model) (all model) {
	for len(m)+len(o) > 0 {
		if len(o) == 0 || len(m) > 0 && !o[0].At.Before(m[0].At) {
			all, m = append(all, m[0]), m[1:]
		} else {
			all, o = append(all, o[0]), o[1:]
		}
	}
	return all
}
