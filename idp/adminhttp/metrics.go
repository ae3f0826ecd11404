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

// measureEvery is the maximum age of the measures in a scrape. Reading them takes a while
// with ten thousand service providers, and several Prometheus servers may ask.
const measureEvery = 10 * time.Second

// mountMetrics adds the endpoint that Prometheus scrapes.
func (h *Handler) mountMetrics(rt *web.Router) {
	registry := prometheus.NewRegistry()
	m := &measures{descs: newDescs()}
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if h.Traffic != nil {
		registry.MustRegister(h.Traffic)
	}
	scrape := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelError),
		// Some gauges are better than none.
		ErrorHandling: promhttp.ContinueOnError,
	})
	rt.Handle(metricsPath, web.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error {
		m.refresh(r.Context(), h)
		scrape.ServeHTTP(w, r)
		return nil
	}})
}

// measures caches the gauges. They are read in the request that needs them and not in
// Collect, which has no context and in which a panic would end the process.
type measures struct {
	descs descs

	mu   sync.Mutex // held while they are read, so that concurrent scrapes wait
	at   time.Time
	kept []prometheus.Metric
}

// Describe implements prometheus.Collector.
func (m *measures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range m.descs.all() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *measures) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	kept := m.kept
	m.mu.Unlock()
	for _, k := range kept {
		ch <- k
	}
}

// refresh reads the measures unless they are recent.
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
		return // the client is gone, so the failure means nothing
	}
	s.flag(m.descs.readable, readable == nil)
	if readable != nil {
		h.Log.LogAttrs(ctx, slog.LevelError, "metrics", slog.String("error", readable.Error()))
	}
	m.at, m.kept = now, s.metrics
}

// measure reads everything. After an error the sample has what could be read.
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

// attention adds a count for every code, so that an alert rule finds 0 instead of no series.
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
