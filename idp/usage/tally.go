package usage

import (
	"maps"
	"time"

	"vernal/idp"
)

const (
	day = 24 * time.Hour
	// KeepDays is how many days have a count of their own.
	KeepDays = 30
	// OddTime is how long an oddity is remembered after it was last seen.
	OddTime = 30 * day
	// MaxRelayState is the limit of the standard in bytes (saml-bindings §3.4.3).
	MaxRelayState = 80
	// keepCerts bounds the remembered certificates of an SP. It is more than an SP can
	// register at once.
	keepCerts = 32
	// maxSHA256 bounds a hex fingerprint, generously.
	maxSHA256 = 128
	// ahead is the tolerated difference between the clocks of two servers. A later time was
	// written by a wrong clock.
	ahead = time.Hour
)

// Tally adds up the uses of one year by one SP. Times are Unix milliseconds, 0 for never.
type Tally struct {
	First int64
	Last  int64
	Days  Days
	// Signed is about the latest request, Cert about the latest signed one. Certs has when
	// each certificate last verified a request.
	Signed   bool
	Cert     string
	Certs    map[string]int64
	Unsigned int64 // last unsigned request
	Relay    Relay
	Clock    Delay
}

// Relay has the largest RelayState over MaxRelayState, when it came, and when the last one
// over MaxRelayState came.
type Relay struct {
	Bytes    int
	At, Last int64
}

// Delay is the shortest time from the sender's clock to ours, on the latest day with
// requests. A delayed or repeated request looks like a slow clock, so the minimum of a day
// is the error of the clock itself.
type Delay struct {
	Day    int64
	Millis int64
}

func (g *Tally) add(u idp.Use) {
	at, signed := u.At.UnixMilli(), u.CertSHA256 != ""
	g.Days.add(DayOf(u.At), 1)
	if g.First == 0 || at < g.First {
		g.First = at
	}
	if at >= g.Last {
		g.Last, g.Signed = at, signed
	}
	if signed {
		g.addCert(u.CertSHA256[:min(len(u.CertSHA256), maxSHA256)], at)
	} else {
		g.Unsigned = max(g.Unsigned, at)
	}
	if u.RelayState > MaxRelayState {
		g.Relay = g.Relay.Worse(Relay{u.RelayState, at, at})
	}
	if !u.IssuedAt.IsZero() {
		received := u.ReceivedAt
		if received.IsZero() {
			received = u.At
		}
		g.Clock = g.Clock.Least(Delay{DayOf(received), received.Sub(u.IssuedAt).Milliseconds()})
	}
}

// addCert notes a certificate. Beyond keepCerts it drops the least recently used one.
func (g *Tally) addCert(sha string, at int64) {
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

// merge adds the uses of another tally. At equal times, the other one is the later.
func (g *Tally) merge(o *Tally) {
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
			g.addCert(sha, at)
		}
	}
	if o.Cert != "" {
		g.addCert(o.Cert, o.Certs[o.Cert])
	}
	g.Unsigned = max(g.Unsigned, o.Unsigned)
	g.Relay = g.Relay.Worse(o.Relay)
	g.Clock = g.Clock.Least(o.Clock)
}

// settle changes future times, which a wrong clock wrote, to now. It reports whether it
// changed anything.
func (g *Tally) settle(now time.Time) bool {
	limit, at := now.Add(ahead).UnixMilli(), now.UnixMilli()
	last := DayOf(now.Add(ahead))
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
		g.Clock = Delay{}
	}
	g.Days.cut(last)
	return true
}

func (g *Tally) clone() *Tally {
	c := *g
	c.Certs = maps.Clone(g.Certs)
	c.Days.Counts = append([]int(nil), g.Days.Counts...)
	return &c
}

// Worse returns the larger of the two, unless it was forgotten when the other came.
func (r Relay) Worse(o Relay) Relay {
	last := max(r.Last, o.Last)
	if o.Bytes > r.Bytes || o.Bytes == r.Bytes && o.At > r.At {
		r, o = o, r // r is the larger one
	}
	if o.Bytes > 0 && o.At-r.At >= OddTime.Milliseconds() {
		r = o
	}
	r.Last = last
	return r
}

// Least returns the value of the later day or, on the same day, the smaller one.
func (d Delay) Least(o Delay) Delay {
	if o.Day > d.Day || o.Day == d.Day && o.Millis < d.Millis {
		return o
	}
	return d
}

// Days counts requests by UTC day. The last of Counts is for day Last, in days since 1
// January 1970. It has at most KeepDays.
type Days struct {
	Last   int64
	Counts []int
}

// add counts n uses on a day. It drops days that are KeepDays older than the latest one.
func (d *Days) add(day int64, n int) {
	back := d.Last - day
	switch {
	case len(d.Counts) == 0 || back <= -KeepDays:
		d.Last, d.Counts = day, append(d.Counts[:0], n)
		return
	case back < 0:
		d.Counts = append(d.Counts, make([]int, -back)...)
		d.Last, back = day, 0
		if over := len(d.Counts) - KeepDays; over > 0 {
			d.Counts = append(d.Counts[:0], d.Counts[over:]...)
		}
	case back >= KeepDays:
		return
	case int(back) >= len(d.Counts):
		d.Counts = append(make([]int, int(back)+1-len(d.Counts)), d.Counts...)
	}
	d.Counts[len(d.Counts)-1-int(back)] += n
}

// cut drops the days after the last one.
func (d *Days) cut(last int64) {
	over := min(max(d.Last-last, 0), int64(len(d.Counts)))
	d.Counts = d.Counts[:len(d.Counts)-int(over)]
	d.Last = min(d.Last, last)
}

// Sum counts the uses of the last span days, including today.
func (d Days) Sum(today int64, span int) (n int) {
	for i, c := range d.Counts {
		if on := d.Last - int64(len(d.Counts)-1-i); on <= today && on > today-int64(span) {
			n += c
		}
	}
	return n
}

// DayOf returns the UTC day of a time, in days since 1 January 1970.
func DayOf(t time.Time) int64 {
	seconds := t.Unix()
	if seconds < 0 {
		return 0 // no use was before 1970
	}
	return seconds / int64(day/time.Second)
}

// Moment converts Unix milliseconds to a time, 0 to the zero time.
func Moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

type useKey struct {
	sp   idp.EntityID
	year idp.Year
}
