package adminhttp

import (
	"cmp"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"vernal/idp/web"
)

// Traffic counts the answers of the public listener. Its labels are mounted routes, years
// that signed, and our own codes, so that requests cannot create new series.
type Traffic struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	durations     *prometheus.HistogramVec
	signIns  *prometheus.CounterVec
	refusals *prometheus.CounterVec
}

// NewTraffic returns a Traffic with all counters at zero.
func NewTraffic() *Traffic {
	registry := prometheus.NewRegistry()
	auto := promauto.With(registry)
	return &Traffic{
		registry: registry,
		requests: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_http_requests_total", Help: "Requests answered, by route and class of status.",
		}, []string{"route", "class"}),
		durations: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name: "vernal_http_request_duration_seconds", Help: "How long answers took, by route.",
			// A redirect takes a millisecond. Hashing a password takes hundreds by
			// design.
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
		signIns: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_sign_ins_total", Help: "Assertions issued, by the year whose key signed them.",
		}, []string{"year"}),
		refusals: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_refusals_total", Help: "Messages and sign-ins refused, by the code that page and log show.",
		}, []string{"code"}),
	}
}

// CountRequest counts a request. It is a hook of web.Middleware.
func (t *Traffic) CountRequest(a web.AnsweredRequest) {
	route := cmp.Or(a.Route, "none")
	t.requests.WithLabelValues(route, strconv.Itoa(a.Status/100)+"xx").Inc()
	t.durations.WithLabelValues(route).Observe(a.Duration.Seconds())
	if a.SigningYear != "" {
		t.signIns.WithLabelValues(string(a.SigningYear)).Inc()
	}
	if a.RefusalCode != "" {
		t.refusals.WithLabelValues(string(a.RefusalCode)).Inc()
	}
}
