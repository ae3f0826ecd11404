package board

import (
	"maps"
	"time"

	"vernal/idp"
)

const (
	day = 24 * time.Hour
	// keepDays is how many days are counted one by one.
	keepDays = 30
	// keepCerts bounds the certificates remembered of a provider: more than it
	// can be registered with at once.
	keepCerts = 32
	// maxSHA256 is the length of a fingerprint in hex, with room.
	maxSHA256 = 128
	// oddTime is how long something odd is told after it was last seen.
	oddTime = 30 * day
	// ahead is how much later than our clock another server's may be. What is
	// later than that was written while a clock was wrong.
	ahead = time.Hour
)

// usage is the use of one year by one service provider. Moments are Unix
// milliseconds, 0 for never.
type usage struct {
	First int64
	Last  int64
	Days  days
	// Signed is the latest request's; Cert is the certificate of the latest
	// signed one, and Certs has for each when it last verified a request.
	Signed   bool
	Cert     string
	Certs    map[string]int64
	Unsigned int64 // when last
	Relay    relay
	Clock    delay
}

// relay is the largest RelayState over the standard's bound, when it came, and
// when one over the bound last did.
type relay struct {
	Bytes    int
	At, Last int64
}

// delay is the least time that requests took from the sender's clock to ours,
// on the latest day that has any. A request that was delayed or sent again looks
// like a clock that is behind; the least of a day is the clock's own error.
type delay struct {
	Day    int64
	Millis int64
}

// add counts one use.
func (g *usage) add(u Use) {
	at, signed := u.At.UnixMilli(), u.CertSHA256 != ""
	g.Days.add(dayOf(u.At), 1)
	if g.First == 0 || at < g.First {
		g.First = at
	}
	if at >= g.Last {
		g.Last, g.Signed = at, signed
	}
	if signed {
		g.verified(u.CertSHA256[:min(len(u.CertSHA256), maxSHA256)], at)
	} else {
		g.Unsigned = max(g.Unsigned, at)
	}
	if u.RelayState > relayStateBound {
		g.Relay = g.Relay.worse(relay{u.RelayState, at, at})
	}
	if !u.IssuedAt.IsZero() {
		received := u.ReceivedAt
		if received.IsZero() {
			received = u.At
		}
		g.Clock = g.Clock.least(delay{dayOf(received), received.Sub(u.IssuedAt).Milliseconds()})
	}
}

// verified notes a certificate; the one that was not used for longest goes.
func (g *usage) verified(sha string, at int64) {
	if at >= g.Certs[g.Cert] {
		g.Cert = sha
	}
	if g.Certs == nil {
		g.Certs = make(map[string]int64, 1)
	}
	g.Certs[sha] = max(g.Certs[sha], at)
	if len(g.Certs) <= keepCerts {
		return
	}
	oldest := sha
	for c, at := range g.Certs {
		if at < g.Certs[oldest] {
			oldest = c
		}
	}
	delete(g.Certs, oldest)
}

// merge adds what another one counted, which comes after g where moments are
// the same.
func (g *usage) merge(o *usage) {
	if g.First == 0 || o.First != 0 && o.First < g.First {
		g.First = o.First
	}
	if o.Last >= g.Last {
		g.Last, g.Signed = o.Last, o.Signed
	}
	for i, n := range o.Days.Counts {
		if n != 0 {
			g.Days.add(o.Days.Last-int64(len(o.Days.Counts)-1-i), n)
		}
	}
	for sha, at := range o.Certs {
		if sha != o.Cert {
			g.verified(sha, at)
		}
	}
	if o.Cert != "" {
		g.verified(o.Cert, o.Certs[o.Cert])
	}
	g.Unsigned = max(g.Unsigned, o.Unsigned)
	g.Relay = g.Relay.worse(o.Relay)
	g.Clock = g.Clock.least(o.Clock)
}

// settle takes back to now what a clock that was wrong left in the future, and
// reports whether there was anything.
func (g *usage) settle(now time.Time) bool {
	limit, at := now.Add(ahead).UnixMilli(), now.UnixMilli()
	last := dayOf(now.Add(ahead))
	wrong := g.Last > limit || g.Unsigned > limit || g.Relay.Last > limit || g.Clock.Day > last
	for sha, t := range g.Certs {
		if t > limit {
			g.Certs[sha], wrong = at, true
		}
	}
	if !wrong && g.Days.Last <= last {
		return false
	}
	for _, t := range []*int64{&g.First, &g.Last, &g.Unsigned, &g.Relay.At, &g.Relay.Last} {
		if *t > limit {
			*t = at
		}
	}
	if g.Clock.Day > last {
		g.Clock = delay{}
	}
	g.Days.cut(last)
	return true
}

func (g *usage) clone() *usage {
	c := *g
	c.Certs = maps.Clone(g.Certs)
	c.Days.Counts = append([]int(nil), g.Days.Counts...)
	return &c
}

// worse is the larger one, unless it had been too old to be told when the other
// one came.
func (r relay) worse(o relay) relay {
	last := max(r.Last, o.Last)
	if o.Bytes > r.Bytes || o.Bytes == r.Bytes && o.At > r.At {
		r, o = o, r // r is the larger one
	}
	if o.Bytes > 0 && o.At-r.At >= oddTime.Milliseconds() {
		r = o
	}
	r.Last = last
	return r
}

func (d delay) least(o delay) delay {
	if o.Day > d.Day || o.Day == d.Day && o.Millis < d.Millis {
		return o
	}
	return d
}

// days counts requests by day (UTC): the last of Counts is of the day Last, as
// days since 1 January 1970. There are at most keepDays.
type days struct {
	Last   int64
	Counts []int
}

// add counts n on a day; what is keepDays older than the latest day is not kept.
func (d *days) add(day int64, n int) {
	back := d.Last - day
	switch {
	case len(d.Counts) == 0 || back <= -keepDays:
		d.Last, d.Counts = day, append(d.Counts[:0], n)
		return
	case back < 0:
		d.Counts = append(d.Counts, make([]int, -back)...)
		d.Last, back = day, 0
		if over := len(d.Counts) - keepDays; over > 0 {
			d.Counts = append(d.Counts[:0], d.Counts[over:]...)
		}
	case back >= keepDays:
		return
	case int(back) >= len(d.Counts):
		d.Counts = append(make([]int, int(back)+1-len(d.Counts)), d.Counts...)
	}
	d.Counts[len(d.Counts)-1-int(back)] += n
}

// cut drops the days after the last one.
func (d *days) cut(last int64) {
	over := min(max(d.Last-last, 0), int64(len(d.Counts)))
	d.Counts = d.Counts[:len(d.Counts)-int(over)]
	d.Last = min(d.Last, last)
}

// sum counts a number of days, of which today is the last.
func (d days) sum(today int64, span int) (n int) {
	for i, c := range d.Counts {
		if on := d.Last - int64(len(d.Counts)-1-i); on <= today && on > today-int64(span) {
			n += c
		}
	}
	return n
}

func dayOf(t time.Time) int64 {
	seconds := t.Unix()
	if seconds < 0 {
		return 0 // nothing that we count was before 1970
	}
	return seconds / int64(day/time.Second)
}

// at is a moment as a time; the zero one for 0.
func at(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// useKey names a usage.
type useKey struct {
	sp   idp.EntityID
	year idp.Year
}
