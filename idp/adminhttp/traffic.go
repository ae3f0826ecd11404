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
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	signIns   *prometheus.CounterVec
	refusals  *prometheus.CounterVec
}

// NewTraffic returns a Traffic with all counters at zero.
func NewTraffic() *Traffic {
	registry := prometheus.NewRegistry()
	auto := promauto.With(registry)
	return &Traffic{
		registry: registry,
		requests: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_http_requests_total", Help: "Answered requests, by route and class of the status code.",
		}, []string{"route", "class"}),
		durations: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name: "vernal_http_request_duration_seconds", Help: "Time to answer a request, by route.",
			// A redirect takes a millisecond. Hashing a password takes hundreds by
			// design.
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
		signIns: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_sign_ins_total", Help: "Issued assertions, by the year of the signing key.",
		}, []string{"year"}),
		refusals: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_refusals_total", Help: "Refused messages and sign-ins, by the code on the page and in the log.",
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
