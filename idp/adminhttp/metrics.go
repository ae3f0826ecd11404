package adminhttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vernal/idp/doctor"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/web"
)

// measureEvery is the maximum age of the measures in a scrape. Reading them takes a while
// with ten thousand service providers, and several Prometheus servers may ask.
const measureEvery = 10 * time.Second

// mountMetrics adds the endpoint that Prometheus scrapes.
func (h *Handler) mountMetrics(rt *web.Router) {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if h.WriteFailures != nil {
		process.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "vernal_store_write_failures_total", Help: "Changes that the disk did not take.",
		}, func() float64 { return float64(h.WriteFailures()) }))
	}
	opts := promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelError),
		// Some gauges are better than none.
		ErrorHandling: promhttp.ContinueOnError,
	}
	m := &measures{}
	rt.Handle(metricsPath, web.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error {
		all := prometheus.Gatherers{process}
		if kept := m.refresh(r.Context(), h); kept != nil {
			all = append(all, kept)
		}
		if h.Traffic != nil {
			all = append(all, h.Traffic.registry)
		}
		promhttp.HandlerFor(all, opts).ServeHTTP(w, r)
		return nil
	}})
}

// measures are the gauges as they were last read. They are read in the request
// that needs them and not in a Collector, which has no context and in which a panic
// would end the process.
type measures struct {
	mu   sync.Mutex // held during the read, so that concurrent scrapes wait for it
	readAt   time.Time
	registry *prometheus.Registry
}

// refresh reads the measures, unless they are fresh. They are nil before the first reading.
func (m *measures) refresh(ctx context.Context, h *Handler) *prometheus.Registry {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := h.Clock.Now()
	if m.registry != nil && now.Sub(m.readAt).Abs() < measureEvery {
		return m.registry
	}
	s := newSample()
	readable := h.measure(ctx, s)
	if ctx.Err() != nil {
		return m.registry // the client has gone, which explains any error
	}
	s.setFlag("state_readable", readable == nil)
	if readable != nil {
		h.Log.LogAttrs(ctx, slog.LevelError, "metrics", slog.String("error", readable.Error()))
	}
	m.readAt, m.registry = now, s.registry
	return m.registry
}

// measure reads all gauges. With an error, the sample contains those that could be read.
func (h *Handler) measure(ctx context.Context, s sample) error {
	s.setGauge("build_info", 1, h.Version)
	s.setFlag("ready", h.Ready == nil || h.Ready(ctx) == nil)
	if h.Checks != nil {
		s.setChecks(h.Checks())
	}
	entry, err := h.Rotation.Ring.Preferred(h.Clock.Now())
	s.setFlag("preferred_year_can_sign", err == nil && entry.Key.Signer != nil)
	b, err := h.Board.Board(ctx)
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	st, err := h.Rotation.Status(ctx, b.CountUnmoved())
	if err != nil {
		return fmt.Errorf("read the rotation: %w", err)
	}
	s.setFlag("rotation_automatic", !h.Rotation.Policy.Manual)
	s.setRotation(st)
	s.setBoard(b)
	if err := h.measureBackups(ctx, s); err != nil {
		return err
	}
	s.setAttention(slices.Concat(st.Attention, b.Attention()))
	return nil
}

// setChecks adds the results of the doctor's last run, if it has run.
func (s sample) setChecks(m doctor.Measures) {
	s.setTime("doctor_last_run_timestamp_seconds", m.At)
	for code, found := range m.Problems {
		s.setFlag("doctor_finding", found, string(code))
	}
	for name, failed := range m.Failed {
		s.setFlag("doctor_check_failed", failed, name)
	}
}

// measureBackups sets the gauges of backups. It leaves out the times of events that never happened.
func (h *Handler) measureBackups(ctx context.Context, s sample) error {
	if h.Backups == nil {
		return nil
	}
	list, err := h.Backups.Records(ctx)
	if err != nil {
		return err
	}
	for _, r := range list { // oldest first
		if r.Error != "" {
			s.setTime("backup_last_failure_timestamp_seconds", r.At)
			continue
		}
		s.setTime("backup_last_success_timestamp_seconds", r.At)
		s.setGauge("backup_last_success_bytes", float64(r.Bytes))
	}
	return nil
}

// setAttention counts the points that need attention, by code. It sets every known code, so that a
// rule finds a 0 to compare with.
func (s sample) setAttention(list []rotation.Attention) {
	counts := map[rotation.AttentionCode]int{}
	for _, code := range rotation.AttentionCodes() {
		counts[code] = 0
	}
	for _, a := range list {
		counts[a.Code]++
	}
	for code, n := range counts {
		s.setGauge("attention", float64(n), string(code))
	}
}

// gauges lists all gauges: the name after "vernal_", the help text, and the labels.
var gauges = []struct {
	name, help string
	labels     []string
}{
	{"build_info", "Always 1; the label says which version runs.", []string{"version"}},
	{"ready", "1 if the store answers and takes changes and the preferred year can sign, like /readyz.", nil},
	{"state_readable", "1 if the rotation and the board could be read; otherwise their gauges are missing.", nil},
	{"preferred_year_can_sign", "1 if the preferred year has its private key and its certificate.", nil},
	{"signing_certificate_end_timestamp_seconds", "End of our signing certificate, by year.", []string{"year"}},
	{"year_state", "1 for the state that the year is in, 0 for the others.", []string{"year", "state"}},
	{"year_key_destroyed", "1 once the private key of the year was destroyed.", []string{"year"}},
	{"year_last_use_timestamp_seconds", "Last use of the year by a service provider; missing if there was none.", []string{"year"}},
	{"rotation_step_due_timestamp_seconds", "Date in the calendar of a step that comes next.", []string{"year", "step"}},
	{"rotation_step_ready_timestamp_seconds", "When the rules allow a next step at the earliest; missing while it waits for an operator.", []string{"year", "step"}},
	{"rotation_automatic", "1 if the server takes the steps itself, 0 if it only reminds.", nil},
	{"rotation_hold", "1 while a rollback keeps a newer year from being preferred.", nil},
	{"restore_hold", "1 after a restore, until an operator resumes the automatic steps.", nil},
	{"clock_trusted", "0 after a jump of the clock, while no year is retired.", nil},
	{"attention", "What needs attention, by code.", []string{"code"}},
	{"backup_last_success_timestamp_seconds", "Time of the last backup; missing if there was none.", nil},
	{"backup_last_success_bytes", "Size of the last backup.", nil},
	{"backup_last_failure_timestamp_seconds", "Time of the last backup that failed; missing if none did.", nil},
	{"doctor_finding", "1 if the last check found this problem, by code; missing before the first run.", []string{"code"}},
	{"doctor_check_failed", "1 if the last run of the check could not be completed, by check; missing before its first run.", []string{"check"}},
	{"doctor_last_run_timestamp_seconds", "End of the last run of the doctor's checks.", nil},
	{"year_sps", "Active service providers that used the year within 30 days.", []string{"year"}},
	{"year_unmoved_sps", "Active service providers that have still to move from the year; missing for a year that no one has to leave.", []string{"year"}},
	{"sps", "Active service providers, by how far they have moved to the newest published year.", []string{"move"}},
	{"request_certificate_end_timestamp_seconds", "End of an active service provider's request certificate.", []string{"entity_id", "fingerprint"}},
}

// sample is one reading of the gauges.
type sample struct {
	registry *prometheus.Registry
	vecs     map[string]*prometheus.GaugeVec // by name
}

func newSample() sample {
	s := sample{prometheus.NewRegistry(), map[string]*prometheus.GaugeVec{}}
	for _, g := range gauges {
		s.vecs[g.name] = promauto.With(s.registry).NewGaugeVec(prometheus.GaugeOpts{Name: "vernal_" + g.name, Help: g.help}, g.labels)
	}
	return s
}

// setGauge sets a gauge. The same one can come twice: a registration may hold a certificate
// twice, and two entity IDs may be the same once made valid.
func (s sample) setGauge(name string, value float64, labels ...string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "�") // invalid UTF-8 would fail the whole scrape
	}
	s.vecs[name].WithLabelValues(labels...).Set(value)
}

func (s sample) setFlag(name string, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	s.setGauge(name, value, labels...)
}

// setTime adds a time. It leaves out the zero time, which would read as 1970.
func (s sample) setTime(name string, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.setGauge(name, float64(t.UnixMilli())/1000, labels...)
	}
}

// setRotation adds the gauges of the years.
func (s sample) setRotation(st rotation.Status) {
	for _, y := range st.Years {
		year := string(y.Year)
		s.setTime("signing_certificate_end_timestamp_seconds", y.CertEndAt, year)
		s.setTime("year_last_use_timestamp_seconds", y.UsedAt, year)
		s.setFlag("year_key_destroyed", !y.KeyDestroyedAt.IsZero(), year)
		for _, state := range rotation.States() {
			s.setFlag("year_state", y.State == state, year, string(state))
		}
	}
	for _, d := range st.DueSteps {
		s.setTime("rotation_step_due_timestamp_seconds", d.DueAt, string(d.Year), string(d.Kind))
		s.setTime("rotation_step_ready_timestamp_seconds", d.ReadyAt, string(d.Year), string(d.Kind))
	}
	s.setFlag("rotation_hold", st.Hold.IsActive(st.At))
	s.setFlag("restore_hold", st.Restoration.Holds())
	s.setFlag("clock_trusted", st.Clock.IsTrusted())
}

// shortFingerprint is the number of characters of a SHA-256 that distinguish the
// certificates of one service provider.
const shortFingerprint = 16

// setBoard sets the gauges of the migration board. Their labels name service providers in the
// registry, which only an operator can add.
func (s sample) setBoard(b *migration.Board) {
	for _, y := range b.Years {
		s.setGauge("year_sps", float64(y.SPs), string(y.Year))
		if b.MustLeave(y) {
			s.setGauge("year_unmoved_sps", float64(y.UnmovedCount), string(y.Year))
		}
	}
	counts := countMoves(b)
	for _, move := range moveOrder {
		s.setGauge("sps", float64(counts[move]), string(move))
	}
	for _, l := range b.SPs {
		if !l.Active {
			continue
		}
		for _, c := range l.Certs {
			s.setTime("request_certificate_end_timestamp_seconds", c.EndAt, string(l.SP), c.SHA256[:min(len(c.SHA256), shortFingerprint)])
		}
	}
}
