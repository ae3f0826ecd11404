package usage

import (
	"time"

	"vernal/idp"
)

const (
	day = 24 * time.Hour
	// KeepDays is the number of days with a separate count.
	KeepDays = 30
	// OddityLifetime is how long an oddity is remembered after its last use.
	OddityLifetime = 30 * day
	// MaxRelayState is the limit of the standard in bytes (saml-bindings §3.4.3).
	MaxRelayState = 80
	// keepCerts bounds the remembered certificates of an SP. It is more than an SP can
	// register at once.
	keepCerts = 32
	// maxSHA256 bounds the length of a fingerprint.
	maxSHA256 = 128
	// maxClockSkew is the tolerated difference between the clocks of two servers. A wrong clock wrote any
	// later time.
	maxClockSkew = time.Hour
)

// Tally adds up the uses of one year by one SP. Times are Unix milliseconds, 0 for never.
type Tally struct {
	// Year is set in a Snapshot. In the store it is the key.
	Year    idp.Year `json:"-"`
	FirstAt int64    `json:"first,omitzero"`
	LastAt  int64    `json:"last"`
	Days    Days     `json:"days,omitzero"`
	// IsSigned is set if the latest request was signed. Cert is the certificate of the latest
	// signed request. Certs contains the last time that each certificate verified a request.
	IsSigned   bool             `json:"signed,omitzero"`
	Cert       string           `json:"cert,omitzero"`
	Certs      map[string]int64 `json:"certs,omitempty"`
	UnsignedAt int64            `json:"unsigned,omitzero"` // when the last unsigned request came
	Relay      Relay            `json:"relay,omitzero"`
	Clock      Delay            `json:"clock,omitzero"`
}

// Relay contains the size of the largest RelayState over MaxRelayState, when it was received, and
// when the last one over MaxRelayState was received.
type Relay struct {
	Bytes  int   `json:"bytes"`
	At     int64 `json:"at"`
	LastAt int64 `json:"last"`
}

// Delay is the shortest time from the sender's clock to ours, on the latest day with
// requests. A delayed or repeated request looks like a slow clock, so the minimum of a day
// is the error of the clock itself.
type Delay struct {
	Day    int64 `json:"day"`
	Millis int64 `json:"millis"`
}

func (g *Tally) add(u idp.Use) {
	at, isSigned := u.At.UnixMilli(), u.CertSHA256 != ""
	g.Days.add(ComputeDay(u.At), 1)
	g.addSpan(at, at, isSigned)
	if isSigned {
		g.addCert(u.CertSHA256[:min(len(u.CertSHA256), maxSHA256)], at)
	} else {
		g.UnsignedAt = max(g.UnsignedAt, at)
	}
	if u.RelayStateLength > MaxRelayState {
		g.Relay = g.Relay.PickLarger(Relay{u.RelayStateLength, at, at})
	}
	if !u.IssuedAt.IsZero() {
		receivedAt := u.ReceivedAt
		if receivedAt.IsZero() {
			receivedAt = u.At
		}
		g.Clock = g.Clock.PickSmaller(Delay{ComputeDay(receivedAt), receivedAt.Sub(u.IssuedAt).Milliseconds()})
	}
}

// addSpan records when requests were received, and whether the last one was signed.
func (g *Tally) addSpan(first, last int64, isSigned bool) {
	if g.FirstAt == 0 || first != 0 && first < g.FirstAt {
		g.FirstAt = first
	}
	if last >= g.LastAt {
		g.LastAt, g.IsSigned = last, isSigned
	}
}

// addCert records a certificate. Beyond keepCerts it removes the least recently used one.
func (g *Tally) addCert(fingerprint string, at int64) {
	if at >= g.Certs[g.Cert] {
		g.Cert = fingerprint
	}
	if g.Certs == nil {
		g.Certs = make(map[string]int64, 1)
	}
	g.Certs[fingerprint] = max(g.Certs[fingerprint], at)
	if len(g.Certs) <= keepCerts {
		return
	}
	oldest := fingerprint
	for c, at := range g.Certs {
		if at < g.Certs[oldest] {
			oldest = c
		}
	}
	delete(g.Certs, oldest)
}

// merge adds the uses of another tally. At equal times, the other tally is newer.
func (g *Tally) merge(other *Tally) {
	g.addSpan(other.FirstAt, other.LastAt, other.IsSigned)
	for day := other.Days.LastDay - KeepDays + 1; day <= other.Days.LastDay; day++ {
		g.Days.add(day, *other.Days.count(day))
	}
	for fingerprint, at := range other.Certs {
		if fingerprint != other.Cert {
			g.addCert(fingerprint, at)
		}
	}
	if other.Cert != "" {
		g.addCert(other.Cert, other.Certs[other.Cert])
	}
	g.UnsignedAt = max(g.UnsignedAt, other.UnsignedAt)
	g.Relay = g.Relay.PickLarger(other.Relay)
	g.Clock = g.Clock.PickSmaller(other.Clock)
}

// clampTimes replaces times in the future, which a wrong clock wrote, with now.
func (g *Tally) clampTimes(now time.Time) {
	limit, last := now.Add(maxClockSkew).UnixMilli(), ComputeDay(now.Add(maxClockSkew))
	for fingerprint, at := range g.Certs {
		if at > limit {
			g.Certs[fingerprint] = now.UnixMilli()
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

// PickLarger returns the larger of the two, unless it had expired when the other was received.
func (r Relay) PickLarger(other Relay) Relay {
	last := max(r.LastAt, other.LastAt)
	if other.Bytes > r.Bytes || other.Bytes == r.Bytes && other.At > r.At {
		r, other = other, r // now r is the larger one
	}
	if other.Bytes > 0 && other.At-r.At >= OddityLifetime.Milliseconds() {
		r = other
	}
	r.LastAt = last
	return r
}

// PickSmaller returns the value of the later day or, on the same day, the smaller value.
func (d Delay) PickSmaller(other Delay) Delay {
	if other.Day > d.Day || other.Day == d.Day && other.Millis < d.Millis {
		return other
	}
	return d
}

// Days counts the requests of the KeepDays days (UTC) up to LastDay. Days are numbered from
// 1 January 1970.
type Days struct {
	LastDay int64         `json:"last"`
	Counts  [KeepDays]int `json:"counts"` // by day modulo KeepDays
}

func (d *Days) count(day int64) *int { return &d.Counts[uint64(day)%KeepDays] }

// add counts n uses on a day. It does not count days that are
// KeepDays or more before LastDay.
func (d *Days) add(day int64, n int) {
	for next := max(d.LastDay, day-KeepDays) + 1; next <= day; next++ {
		*d.count(next) = 0
		d.LastDay = next
	}
	if day > d.LastDay-KeepDays {
		*d.count(day) += n
	}
}

// cut removes the days after last.
func (d *Days) cut(last int64) {
	for offset := range min(max(d.LastDay-last, 0), KeepDays) {
		*d.count(d.LastDay - offset) = 0
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

// ComputeDay returns the day (UTC) of a time as days since 1 January 1970; 0 for an earlier time.
func ComputeDay(t time.Time) int64 { return max(t.Unix(), 0) / int64(day/time.Second) }

// ConvertMillis converts Unix milliseconds to a time, 0 to the zero time.
func ConvertMillis(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}
