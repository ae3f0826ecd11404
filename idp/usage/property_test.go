package usage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

// model is a ledger without any arithmetic: the list of all uses, in order.
type model []idp.Use

// sums are the totals of a Tally.
type sums struct {
	Year          idp.Year
	First, Last   time.Time
	Days7, Days30 int
	Signed        bool
	Cert          string
}

func (m model) sums(id idp.EntityID, now time.Time) (all []sums) {
	today := now.Truncate(24 * time.Hour)
	for _, y := range []idp.Year{"2026", "2027"} {
		s := sums{Year: y}
		for _, u := range m {
			if u.SP != id || u.Year != y {
				continue
			}
			if s.First.IsZero() {
				s.First = u.At
			}
			s.Last, s.Signed = u.At, u.CertSHA256 != ""
			if s.Signed {
				s.Cert = u.CertSHA256
			}
			age := int(today.Sub(u.At.Truncate(24*time.Hour)) / (24 * time.Hour))
			if age < 7 {
				s.Days7++
			}
			if age < 30 {
				s.Days30++
			}
		}
		if !s.First.IsZero() {
			all = append(all, s)
		}
	}
	return all
}

func (m model) lastUses() map[idp.Year]time.Time {
	last := map[idp.Year]time.Time{}
	for _, u := range m {
		last[u.Year] = u.At
	}
	return last
}

func sumsOf(uses []*Tally, now time.Time) (all []sums) {
	today := ComputeDay(now)
	for _, u := range uses {
		all = append(all, sums{u.Year, ConvertMillis(u.FirstAt), ConvertMillis(u.LastAt), u.Days.Sum(today, 7), u.Days.Sum(today, 30), u.IsSigned, u.Cert})
	}
	return all
}

// TestCountsEqualTheModel compares the ledger with a plain list of the uses that were not
// lost, over sixty days of uses in any order of servers, flushes, failed flushes and
// crashes.
func TestCountsEqualTheModel(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 2, 1))
	in.add(spA)
	in.add(spB)
	certs := []string{"", strings.Repeat("a", 64), strings.Repeat("b", 64)}
	rapid.Check(t, func(rt *rapid.T) {
		docs, err := in.store.Documents(t.Context(), documentKind, idp.DocumentQuery{All: true})
		ok(t, err)
		for _, d := range docs { // of the check before
			ok(t, in.store.UpdateDocuments(t.Context(), documentKind, []string{d.Key}, func(d *idp.Document) error { d.Data = nil; return nil }))
		}
		disk := &store{DocumentStore: in.store}
		start := func() *Ledger {
			l := in.ledger()
			l.Store = disk
			return l
		}
		servers := []*Ledger{start(), start()}
		stored, noted := model{}, []model{nil, nil}
		in.set(noon(2026, 2, 1))
		end := in.clock().AddDate(0, 0, 60)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if next := in.clock().Add(time.Duration(rapid.IntRange(1, 60*60*60).Draw(rt, "seconds")) * time.Second); next.Before(end) {
				in.set(next)
			} else {
				in.set(in.clock().Add(time.Second))
			}
			n := rapid.IntRange(0, 1).Draw(rt, "server")
			switch rapid.SampledFrom([]string{"use", "use", "use", "use", "flush", "fail", "crash"}).Draw(rt, "what") {
			case "use":
				u := idp.Use{
					SP: rapid.SampledFrom([]idp.EntityID{spA, spB}).Draw(rt, "sp"), At: in.clock(),
					Year: rapid.SampledFrom([]idp.Year{"2026", "2027"}).Draw(rt, "year"), CertSHA256: rapid.SampledFrom(certs).Draw(rt, "certificate"),
				}
				servers[n].Use(u)
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
			for n, l := range servers {
				all := stored.merge(noted[n])
				if diff := cmp.Diff(all.lastUses(), in.lastUses(l)); diff != "" {
					rt.Fatalf("server %d, last uses (-want +got):\n%s", n, diff)
				}
				s := in.read(l)
				for _, id := range []idp.EntityID{spA, spB} {
					if diff := cmp.Diff(all.sums(id, in.clock()), sumsOf(s.Uses[id], in.clock())); diff != "" {
						rt.Fatalf("server %d, %s (-want +got):\n%s", n, id, diff)
					}
				}
			}
		}
	})
}

// merge returns the uses of both models in the order of time.
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
