package adminhttp

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"vernal/idp/web"
)

// Traffic counts the answers of the public listener. Its labels are mounted routes, years
// that signed, and our own codes, so that requests cannot create new series.
type Traffic struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	signIns  *prometheus.CounterVec
	refusals *prometheus.CounterVec
}

// NewTraffic returns a Traffic with all counters at zero.
func NewTraffic() *Traffic {
	return &Traffic{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_http_requests_total", Help: "Requests answered, by route and class of status.",
		}, []string{"route", "class"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "vernal_http_request_duration_seconds", Help: "How long answers took, by route.",
			// A redirect takes a millisecond. Hashing a password takes hundreds by design.
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_sign_ins_total", Help: "Assertions issued, by the year whose key signed them.",
		}, []string{"year"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vernal_refusals_total", Help: "Messages and sign-ins refused, by the code that page and log show.",
		}, []string{"code"}),
	}
}

// Answered counts a request. It is a hook of web.Middleware.
func (t *Traffic) Answered(a web.Answered) {
	route := a.Route
	if route == "" {
		route = "none"
	}
	t.requests.WithLabelValues(route, strconv.Itoa(a.Status/100)+"xx").Inc()
	t.took.WithLabelValues(route).Observe(a.Took.Seconds())
	if a.SignedIn != "" {
		t.signIns.WithLabelValues(string(a.SignedIn)).Inc()
	}
	if a.Refused != "" {
		t.refusals.WithLabelValues(string(a.Refused)).Inc()
	}
}

// Describe implements prometheus.Collector.
func (t *Traffic) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range t.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (t *Traffic) Collect(ch chan<- prometheus.Metric) {
	for _, c := range t.all() {
		c.Collect(ch)
	}
}

func (t *Traffic) all() []prometheus.Collector {
	return []prometheus.Collector{t.requests, t.took, t.signIns, t.refusals}
}
