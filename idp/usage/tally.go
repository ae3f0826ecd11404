package usage

import (
	"time"

	"vernal/idp"
)

const (
	day = 24 * time.Hour
	// KeepDays is the number of days that have a count of their own.
	KeepDays = 30
	// OddityLifetime is how long an oddity is remembered after it was last seen.
	OddityLifetime = 30 * day
	// MaxRelayState is the limit of the standard in bytes (saml-bindings §3.4.3).
	MaxRelayState = 80
	// keepCerts bounds the remembered certificates of an SP. It is more than an SP can
	// register at once.
	keepCerts = 32
	// maxSHA256 bounds a hex fingerprint, generously.
	maxSHA256 = 128
	// maxClockSkew is the tolerated difference between the clocks of two servers. A later time was
	// written by a wrong clock.
	maxClockSkew = time.Hour
)

// Tally adds up the uses of one year by one SP. Times are Unix milliseconds, 0 for never.
type Tally struct {
	// Year is set in a Snapshot. In the store it is the key.
	Year  idp.Year `json:"-"`
	FirstAt int64    `json:"first,omitzero"`
	LastAt  int64    `json:"last"`
	Days  Days     `json:"days,omitzero"`
	// IsSigned is set if the latest request was signed. Cert is the certificate of the latest
	// signed request. Certs has the last time that each certificate verified a request.
	IsSigned   bool             `json:"signed,omitzero"`
	Cert     string           `json:"cert,omitzero"`
	Certs    map[string]int64 `json:"certs,omitempty"`
	UnsignedAt int64            `json:"unsigned,omitzero"` // when last
	Relay    Relay            `json:"relay,omitzero"`
	Clock    Delay            `json:"clock,omitzero"`
}

// Relay has the largest RelayState over MaxRelayState, when it came, and when the last one
// over MaxRelayState came.
type Relay struct {
	Bytes int   `json:"bytes"`
	At    int64 `json:"at"`
	LastAt  int64 `json:"last"`
}

// Delay is the shortest time from the sender's clock to ours, on the latest day with
// requests. A delayed or repeated request looks like a slow clock, so the minimum of a day
// is the error of the clock itself.
type Delay struct {
	Day    int64 `json:"day"`
	Millis int64 `json:"millis"`
}

func (g *Tally) add(u idp.Use) {
	at, signed := u.At.UnixMilli(), u.CertSHA256 != ""
	g.Days.add(ComputeDay(u.At), 1)
	g.addSpan(at, at, signed)
	if signed {
		g.addCert(u.CertSHA256[:min(len(u.CertSHA256), maxSHA256)], at)
	} else {
		g.UnsignedAt = max(g.UnsignedAt, at)
	}
	if u.RelayStateLength > MaxRelayState {
		g.Relay = g.Relay.PickLarger(Relay{u.RelayStateLength, at, at})
	}
	if !u.IssuedAt.IsZero() {
		received := u.ReceivedAt
		if received.IsZero() {
			received = u.At
		}
		g.Clock = g.Clock.PickSmaller(Delay{ComputeDay(received), received.Sub(u.IssuedAt).Milliseconds()})
	}
}

// addSpan notes when requests came, and whether the last one was signed.
func (g *Tally) addSpan(first, last int64, signed bool) {
	if g.FirstAt == 0 || first != 0 && first < g.FirstAt {
		g.FirstAt = first
	}
	if last >= g.LastAt {
		g.LastAt, g.IsSigned = last, signed
	}
}

// addCert notes a certificate. Beyond keepCerts it forgets the least recently used one.
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
	g.addSpan(o.FirstAt, o.LastAt, o.IsSigned)
	for day := o.Days.LastDay - KeepDays + 1; day <= o.Days.LastDay; day++ {
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
	g.UnsignedAt = max(g.UnsignedAt, o.UnsignedAt)
	g.Relay = g.Relay.PickLarger(o.Relay)
	g.Clock = g.Clock.PickSmaller(o.Clock)
}

// clampTimes moves to now the times that a wrong clock left in the future.
func (g *Tally) clampTimes(now time.Time) {
	limit, last := now.Add(maxClockSkew).UnixMilli(), ComputeDay(now.Add(maxClockSkew))
	for sha, at := range g.Certs {
		if at > limit {
			g.Certs[sha] = now.UnixMilli()
		}
	}
	for _, at := range []*int64{&g.FirstAt, &g.LastAt, &g.UnsignedAt, &g.Relay.At, &g.Relay.LastAt} {
		if *at > limit {
			*at = now.UnixMilli()
		}
	}
	if g.Clock.Day > last {
		g.Clock = Delay{}
	}
	g.Days.cut(last)
}

// PickLarger returns the larger of the two, unless it was forgotten when the other came.
func (r Relay) PickLarger(o Relay) Relay {
	last := max(r.LastAt, o.LastAt)
	if o.Bytes > r.Bytes || o.Bytes == r.Bytes && o.At > r.At {
		r, o = o, r // r is the larger one
	}
	if o.Bytes > 0 && o.At-r.At >= OddityLifetime.Milliseconds() {
		r = o
	}
	r.LastAt = last
	return r
}

// PickSmaller returns the value of the later day or, on the same day, the smaller one.
func (d Delay) PickSmaller(o Delay) Delay {
	if o.Day > d.Day || o.Day == d.Day && o.Millis < d.Millis {
		return o
	}
	return d
}

// Days counts the requests of the KeepDays days (UTC) up to Last. A day is counted
// since 1 January 1970.
type Days struct {
	LastDay   int64         `json:"last"`
	Counts [KeepDays]int `json:"counts"` // by day modulo KeepDays
}

func (d *Days) count(day int64) *int { return &d.Counts[uint64(day)%KeepDays] }

// add counts n uses on a day. Days that are KeepDays older than the latest one
// are not kept.
func (d *Days) add(day int64, n int) {
	for next := max(d.LastDay, day-KeepDays) + 1; next <= day; next++ {
		*d.count(next) = 0
		d.LastDay = next
	}
	if day > d.LastDay-KeepDays {
		*d.count(day) += n
	}
}

// cut drops the days after the last one.
func (d *Days) cut(last int64) {
	for back := range min(max(d.LastDay-last, 0), KeepDays) {
		*d.count(d.LastDay - back) = 0
	}
	d.LastDay = min(d.LastDay, last)
}

// Sum counts the uses of the last span days, including today.
func (d Days) Sum(today int64, span int) (n int) {
	for day := max(today-int64(span), d.LastDay-KeepDays) + 1; day <= min(today, d.LastDay); day++ {
		n += *d.count(day)
	}
	return n
}

// ComputeDay returns the day of a moment (UTC) as days since 1 January 1970. No use is older.
func ComputeDay(t time.Time) int64 { return max(t.Unix(), 0) / int64(day/time.Second) }

// ConvertMillis converts Unix milliseconds to a time, 0 to the zero time.
func ConvertMillis(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}
