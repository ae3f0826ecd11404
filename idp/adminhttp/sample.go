package adminhttp

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vernal/idp/migration"
	"vernal/idp/rotation"
)

// descs are the descriptions of the gauges.
type descs struct {
	build, ready, readable, canSign                      *prometheus.Desc
	certEnd, yearState, keyDestroyed, lastUse            *prometheus.Desc
	stepDue, stepReady, automatic, hold, clock           *prometheus.Desc
	yearSPs, yearUnmoved, sps, requestCertEnd, attention *prometheus.Desc
}

func newDescs() descs {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("vernal_"+name, help, labels, nil)
	}
	return descs{
		build:    d("build_info", "Always 1; the label says which version runs.", "version"),
		ready:    d("ready", "1 if the store answers and the preferred year can sign, as /readyz tells."),
		readable: d("state_readable", "1 if the rotation and the board could be read; otherwise their gauges are missing."),
		canSign:  d("preferred_year_can_sign", "1 if the preferred year has its private key and its certificate."),

		certEnd:      d("signing_certificate_end_timestamp_seconds", "End of our signing certificate, by year.", "year"),
		yearState:    d("year_state", "1 for the state that the year is in, 0 for the others.", "year", "state"),
		keyDestroyed: d("year_key_destroyed", "1 once the private key of the year was destroyed.", "year"),
		lastUse:      d("year_last_use_timestamp_seconds", "Last use of the year by a service provider; missing if there was none.", "year"),

		stepDue:   d("rotation_step_due_timestamp_seconds", "Date in the calendar of a step that comes next.", "year", "step"),
		stepReady: d("rotation_step_ready_timestamp_seconds", "When the rules allow a step that comes next at the earliest; missing while it waits for a person.", "year", "step"),
		automatic: d("rotation_automatic", "1 if the server takes the steps itself, 0 if it only reminds."),
		hold:      d("rotation_hold", "1 while a rollback keeps a newer year from being preferred."),
		clock:     d("clock_trusted", "0 after a jump of the clock, while nothing is retired."),
		attention: d("attention", "Things that a person should see to, by code.", "code"),

		yearSPs:        d("year_sps", "Active service providers that used the year within 30 days.", "year"),
		yearUnmoved:    d("year_unmoved_sps", "Active service providers that have still to move from the year; missing for a year that no one has to leave.", "year"),
		sps:            d("sps", "Active service providers, by how far they have moved to the newest published year.", "move"),
		requestCertEnd: d("request_certificate_end_timestamp_seconds", "End of an active service provider's request certificate.", "entity_id", "fingerprint"),
	}
}

func (d *descs) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.build, d.ready, d.readable, d.canSign, d.certEnd, d.yearState, d.keyDestroyed, d.lastUse,
		d.stepDue, d.stepReady, d.automatic, d.hold, d.clock, d.attention,
		d.yearSPs, d.yearUnmoved, d.sps, d.requestCertEnd,
	}
}

// sample is one reading of the gauges.
type sample struct {
	descs   *descs
	metrics []prometheus.Metric
	seen    map[series]bool
}

// series is a gauge with its labels and value.
type series struct {
	desc   *prometheus.Desc
	labels string
}

// gauge adds a gauge, but drops a duplicate, which would invalidate the whole scrape. A
// registration may hold a certificate twice, and two entity IDs may be the same after
// conversion to valid UTF-8.
func (s *sample) gauge(d *prometheus.Desc, value float64, labels ...string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "�") // invalid UTF-8 would invalidate the scrape too
	}
	key := series{d, strings.Join(labels, "\x00")}
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	s.metrics = append(s.metrics, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...))
}

func (s *sample) flag(d *prometheus.Desc, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	s.gauge(d, value, labels...)
}

// moment adds a time. It leaves out the zero time, which would read as 1970.
func (s *sample) moment(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.gauge(d, float64(t.UnixMilli())/1000, labels...)
	}
}

// rotation adds the states of the years.
func (s *sample) rotation(st rotation.Status) {
	for _, y := range st.Years {
		year := string(y.Year)
		s.moment(s.descs.certEnd, y.CertEndAt, year)
		s.moment(s.descs.lastUse, y.UsedAt, year)
		s.flag(s.descs.keyDestroyed, !y.KeyDestroyedAt.IsZero(), year)
		for _, state := range rotation.States() {
			s.flag(s.descs.yearState, y.State == state, year, string(state))
		}
	}
	for _, d := range st.Due {
		s.moment(s.descs.stepDue, d.DueAt, string(d.Year), string(d.Kind))
		s.moment(s.descs.stepReady, d.ReadyAt, string(d.Year), string(d.Kind))
	}
	s.flag(s.descs.hold, st.Hold.Active(st.At))
	s.flag(s.descs.clock, st.Clock.Trusted())
}

// shortFingerprint is how many characters of a SHA-256 identify a certificate among those
// of one service provider.
const shortFingerprint = 16

// board adds the migration states. Names are labels, which is safe because only operators
// add service providers to the registry.
func (s *sample) board(b *migration.Board) {
	for _, y := range b.Years {
		s.gauge(s.descs.yearSPs, float64(y.SPs), string(y.Year))
		if b.MustLeave(y) {
			s.gauge(s.descs.yearUnmoved, float64(y.Unmoved), string(y.Year))
		}
	}
	moves := map[migration.Move]int{migration.Moved: 0, migration.Both: 0, migration.Unmoved: 0, migration.Unseen: 0}
	for _, l := range b.SPs {
		if !l.Active {
			continue
		}
		moves[l.Move]++
		for _, c := range l.Certs {
			s.moment(s.descs.requestCertEnd, c.EndAt, string(l.SP), c.SHA256[:min(len(c.SHA256), shortFingerprint)])
		}
	}
	for move, n := range moves {
		s.gauge(s.descs.sps, float64(n), string(move))
	}
}
