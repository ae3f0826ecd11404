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
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	opts := promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelError),
		// What can be told is told: half of the gauges are better than none.
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
	mu   sync.Mutex // held while they are read: who comes then waits for them
	at   time.Time
	kept *prometheus.Registry
}

// refresh reads the measures, unless they are fresh. They are nil before the first reading.
func (m *measures) refresh(ctx context.Context, h *Handler) *prometheus.Registry {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := h.Clock.Now()
	if m.kept != nil && now.Sub(m.at).Abs() < measureEvery {
		return m.kept
	}
	s := newSample()
	readable := h.measure(ctx, s)
	if ctx.Err() != nil {
		return m.kept // the peer has gone; what failed for that says nothing
	}
	s.flag("state_readable", readable == nil)
	if readable != nil {
		h.Log.LogAttrs(ctx, slog.LevelError, "metrics", slog.String("error", readable.Error()))
	}
	m.at, m.kept = now, s.registry
	return m.kept
}

// measure reads everything. With an error the sample holds what could be read.
func (h *Handler) measure(ctx context.Context, s sample) error {
	s.gauge("build_info", 1, h.Version)
	s.flag("ready", h.Ready == nil || h.Ready(ctx) == nil)
	entry, err := h.Rotation.Ring.Preferred(h.Clock.Now())
	s.flag("preferred_year_can_sign", err == nil && entry.Key.Signer != nil)
	b, err := h.Board.Board(ctx)
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	st, err := h.Rotation.Status(ctx, b.Unmoved())
	if err != nil {
		return fmt.Errorf("read the rotation: %w", err)
	}
	s.flag("rotation_automatic", !h.Rotation.Policy.Manual)
	s.rotation(st)
	s.board(b)
	s.attention(slices.Concat(st.Attention, b.Attention()))
	return nil
}

// attention counts what needs it, by every code there is, so that a rule finds
// a 0 to compare with.
func (s sample) attention(list []rotation.Attention) {
	counts := map[rotation.AttentionCode]int{}
	for _, code := range rotation.AttentionCodes() {
		counts[code] = 0
	}
	for _, a := range list {
		counts[a.Code]++
	}
	for code, n := range counts {
		s.gauge("attention", float64(n), string(code))
	}
}
