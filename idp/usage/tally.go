package usage

import (
	"time"

	"vernal/idp"
)

const (
	day = 24 * time.Hour
	// KeepDays is how many days are counted one by one.
	KeepDays = 30
	// OddTime is how long an oddity is remembered after it was last seen.
	OddTime = 30 * day
	// MaxRelayState is the standard's bound in bytes (saml-bindings §3.4.3).
	MaxRelayState = 80
	// keepCerts bounds the certificates remembered of an SP: more than it can be
	// registered with at once.
	keepCerts = 32
	// maxSHA256 is the length of a fingerprint in hex, with room.
	maxSHA256 = 128
	// ahead is how much later than our clock another server's may be. A later
	// moment was written while a clock was wrong.
	ahead = time.Hour
)

// Tally adds up the uses of one year by one SP. Moments are Unix milliseconds,
// 0 for never.
type Tally struct {
	// Year is set in a Snapshot. In the store it is the key.
	Year  idp.Year `json:"-"`
	First int64    `json:"first,omitzero"`
	Last  int64    `json:"last"`
	Days  Days     `json:"days,omitzero"`
	// Signed is the latest request's; Cert is the certificate of the latest
	// signed one, and Certs has for each when it last verified a request.
	Signed   bool             `json:"signed,omitzero"`
	Cert     string           `json:"cert,omitzero"`
	Certs    map[string]int64 `json:"certs,omitempty"`
	Unsigned int64            `json:"unsigned,omitzero"` // when last
	Relay    Relay            `json:"relay,omitzero"`
	Clock    Delay            `json:"clock,omitzero"`
}

// Relay is the largest RelayState over MaxRelayState, when it came, and when one
// over MaxRelayState last did.
type Relay struct {
	Bytes int   `json:"bytes"`
	At    int64 `json:"at"`
	Last  int64 `json:"last"`
}

// Delay is the least time that requests took from the sender's clock to ours,
// on the latest day with any. A request that was delayed or sent again looks like
// a clock that is behind. The least of a day is the clock's own error.
type Delay struct {
	Day    int64 `json:"day"`
	Millis int64 `json:"millis"`
}

// add counts one use.
func (g *Tally) add(u idp.Use) {
	at, signed := u.At.UnixMilli(), u.CertSHA256 != ""
	g.Days.add(DayOf(u.At), 1)
	g.addSpan(at, at, signed)
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

// addSpan notes when requests came, and whether the last one was signed.
func (g *Tally) addSpan(first, last int64, signed bool) {
	if g.First == 0 || first != 0 && first < g.First {
		g.First = first
	}
	if last >= g.Last {
		g.Last, g.Signed = last, signed
	}
}

// addCert notes a certificate. Beyond keepCerts it forgets the one that was not
// used for longest.
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

// merge adds the uses that another tally counted. Where moments are the same,
// the other one is the later.
func (g *Tally) merge(o *Tally) {
	g.addSpan(o.First, o.Last, o.Signed)
	for day := o.Days.Last - KeepDays + 1; day <= o.Days.Last; day++ {
		g.Days.add(day, *o.Days.count(day))
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

// settle moves to now what a wrong clock left in the future.
func (g *Tally) settle(now time.Time) {
	limit, last := now.Add(ahead).UnixMilli(), DayOf(now.Add(ahead))
	for sha, at := range g.Certs {
		if at > limit {
			g.Certs[sha] = now.UnixMilli()
		}
	}
	for _, at := range []*int64{&g.First, &g.Last, &g.Unsigned, &g.Relay.At, &g.Relay.Last} {
		if *at > limit {
			*at = now.UnixMilli()
		}
	}
	if g.Clock.Day > last {
		g.Clock = Delay{}
	}
	g.Days.cut(last)
}

// Worse is the larger of the two, unless it was forgotten when the other came.
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

// Least is the one of the later day and, on the same day, the lesser one.
func (d Delay) Least(o Delay) Delay {
	if o.Day > d.Day || o.Day == d.Day && o.Millis < d.Millis {
		return o
	}
	return d
}

// Days counts the requests of the KeepDays days (UTC) up to Last. A day is counted
// since 1 January 1970.
type Days struct {
	Last   int64         `json:"last"`
	Counts [KeepDays]int `json:"counts"` // by day modulo KeepDays
}

func (d *Days) count(day int64) *int { return &d.Counts[uint64(day)%KeepDays] }

// add counts n uses on a day. Days that are KeepDays older than the latest one
// are not kept.
func (d *Days) add(day int64, n int) {
	for next := max(d.Last, day-KeepDays) + 1; next <= day; next++ {
		*d.count(next) = 0
		d.Last = next
	}
	if day > d.Last-KeepDays {
		*d.count(day) += n
	}
}

// cut drops the days after the last one.
func (d *Days) cut(last int64) {
	for back := range min(max(d.Last-last, 0), KeepDays) {
		*d.count(d.Last - back) = 0
	}
	d.Last = min(d.Last, last)
}

// Sum counts the uses of the last span days, today among them.
func (d Days) Sum(today int64, span int) (n int) {
	for day := max(today-int64(span), d.Last-KeepDays) + 1; day <= min(today, d.Last); day++ {
		n += *d.count(day)
	}
	return n
}

// DayOf is the day of a moment (UTC), as days since 1 January 1970. No use was before.
func DayOf(t time.Time) int64 { return max(t.Unix(), 0) / int64(day/time.Second) }

// Moment is a moment in Unix milliseconds as a time; the zero one for 0.
func Moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}
