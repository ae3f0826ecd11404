package adminhttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vernal/idp/rotation"
	"vernal/idp/web"
)

// measureEvery is how old the measures of a scrape may be. With ten thousand
// service providers reading them takes a while, and several Prometheus servers
// may ask.
const measureEvery = 10 * time.Second

// mountMetrics adds the address that Prometheus scrapes.
func (h *Handler) mountMetrics(rt *web.Router) {
	registry := prometheus.NewRegistry()
	m := &measures{descs: newDescs()}
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if h.Traffic != nil {
		registry.MustRegister(h.Traffic)
	}
	scrape := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelError),
		// What can be told is told: half of the gauges are better than none.
		ErrorHandling: promhttp.ContinueOnError,
	})
	rt.Handle(metricsPath, web.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error {
		m.refresh(r.Context(), h)
		scrape.ServeHTTP(w, r)
		return nil
	}})
}

// measures are the gauges as they were last read. They are read in the request
// that needs them and not in Collect, which has no context and in which a panic
// would end the process.
type measures struct {
	descs descs

	mu   sync.Mutex // held while they are read: who comes then waits for them
	at   time.Time
	kept []prometheus.Metric
}

// Describe and Collect make measures a prometheus.Collector.
func (m *measures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range m.descs.all() {
		ch <- d
	}
}

// Collect is Describe's other half.
func (m *measures) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	kept := m.kept
	m.mu.Unlock()
	for _, k := range kept {
		ch <- k
	}
}

// refresh reads the measures, unless they are fresh.
func (m *measures) refresh(ctx context.Context, h *Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := h.Clock.Now()
	if m.kept != nil && now.Sub(m.at).Abs() < measureEvery {
		return
	}
	s := &sample{descs: &m.descs, seen: map[series]bool{}}
	readable := h.measure(ctx, s)
	if ctx.Err() != nil {
		return // the peer has gone; what failed for that says nothing
	}
	s.flag(m.descs.readable, readable == nil)
	if readable != nil {
		h.Log.LogAttrs(ctx, slog.LevelError, "metrics", slog.String("error", readable.Error()))
	}
	m.at, m.kept = now, s.metrics
}

// measure reads everything. With an error the sample holds what could be read.
func (h *Handler) measure(ctx context.Context, s *sample) error {
	s.gauge(s.descs.build, 1, h.Version)
	s.flag(s.descs.ready, h.Ready == nil || h.Ready(ctx) == nil)
	entry, err := h.Rotation.Ring.Preferred(h.Clock.Now())
	s.flag(s.descs.canSign, err == nil && entry.Key.Signer != nil)
	b, err := h.Board.Board(ctx)
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	st, err := h.Rotation.Status(ctx, b.Unmoved())
	if err != nil {
		return fmt.Errorf("read the rotation: %w", err)
	}
	s.flag(s.descs.automatic, !h.Rotation.Policy.Manual)
	s.rotation(st)
	s.board(b)
	s.attention(slices.Concat(st.Attention, b.Attention()))
	return nil
}

// attention counts what needs it, by every code there is, so that a rule finds
// a 0 to compare with.
func (s *sample) attention(list []rotation.Attention) {
	counts := map[rotation.AttentionCode]int{}
	for _, code := range rotation.AttentionCodes() {
		counts[code] = 0
	}
	for _, a := range list {
		counts[a.Code]++
	}
	for code, n := range counts {
		s.gauge(s.descs.attention, float64(n), string(code))
	}
}
