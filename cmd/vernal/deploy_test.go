package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"vernal/cmd/vernal/deploy"
	"vernal/idp/doctor"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
)

// alertRules is a file of rules, as far as we use them.
type alertRules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

var (
	// selector is a metric of ours with what it is selected by.
	selector = regexp.MustCompile(`(vernal_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(=~|=)\s*"([^"]*)"`)
	seriesRE = regexp.MustCompile(`(?m)^(vernal_[a-z0-9_]+)(?:\{(.*)\})? `)
)

// TestDeployedQueriesMatchMetrics holds every query in the shipped rules and dashboard
// against a real scrape: a metric or label that is not there makes an alert that
// never comes.
func TestDeployedQueriesMatchMetrics(t *testing.T) {
	t.Parallel()
	var rules alertRules
	if err := yaml.UnmarshalWithOptions([]byte(deploy.Alerts), &rules, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	queries, names := map[string]string{}, map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			queries[r.Alert] = r.Expr
			if names[r.Alert] || !strings.HasPrefix(r.Alert, "Vernal") {
				t.Errorf("alert %q: wants a name of its own that begins with Vernal", r.Alert)
			}
			names[r.Alert] = true
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: does not say what is wrong and what to do", r.Alert)
			}
			if _, err := time.ParseDuration(strings.Replace(r.For+"0s", "7d", "168h", 1)); err != nil {
				t.Errorf("%s: for %q", r.Alert, r.For)
			}
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(deploy.Dashboard), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for n, target := range p.Targets {
			queries[fmt.Sprintf("%s %d", p.Title, n)] = strings.ReplaceAll(target.Expr, `job="$job"`, "")
		}
	}
	if len(queries) < 20 {
		t.Fatalf("%d queries only", len(queries))
	}
	scraped := scrapeAll(t)
	for where, query := range queries {
		checkQuery(t, where, query, scraped)
	}
}

// checkQuery looks for each selector of a query among the series.
func checkQuery(t *testing.T, where, query string, scraped map[string][]string) {
	t.Helper()
	for _, s := range selector.FindAllStringSubmatch(query, -1) {
		series := scraped[s[1]]
		if len(series) == 0 {
			t.Errorf("%s: there is no metric %s", where, s[1])
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			for _, value := range strings.Split(m[3], "|") {
				pair := m[1] + `="` + value + `"`
				known := s[1] == "vernal_http_requests_total" || // not every class was answered
					strings.HasSuffix(value, ".*") || s[1] == "vernal_refusals_total"
				if !known && !slices.ContainsFunc(series, func(l string) bool { return strings.Contains(l, pair) }) {
					t.Errorf("%s: no %s has %s", where, s[1], pair)
				}
				if !slices.ContainsFunc(series, func(l string) bool { return strings.Contains(l, m[1]+`="`) }) {
					t.Errorf("%s: %s has no label %s", where, s[1], m[1])
				}
			}
		}
	}
}

// scrapeAll returns a scrape in which every metric has a value: the labels of each series by
// name.
func scrapeAll(t *testing.T) map[string][]string {
	t.Helper()
	i := idptest.New(t, idptest.Options{Now: time.Date(2027, 2, 10, 12, 0, 0, 0, time.UTC)})
	sp, person, b := i.AddProvider("https://a.example"), i.AddUser("ada@example.gov"), i.Browser()
	if page := b.SignIn(b.Get(sp.URL(&idptest.Request{})), person); page.Response() == nil {
		t.Fatalf("sign-in: %d", page.Status)
	}
	b.Get(i.URL + "/api/saml/auth2026?SAMLRequest=AAAA")
	if _, err := i.Doctor.Examine(t.Context(), doctor.Options{Local: true}); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	i.AdminHandler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:9090/metrics", nil))
	found := map[string][]string{}
	for _, m := range seriesRE.FindAllStringSubmatch(w.Body.String(), -1) {
		found[m[1]] = append(found[m[1]], m[2])
	}
	for _, code := range doctor.Codes() {
		if !slices.Contains(found["vernal_doctor_finding"], `code="`+string(code)+`"`) {
			t.Errorf("finding %s is not scraped", code)
		}
	}
	for _, code := range rotation.AttentionCodes() {
		if !slices.Contains(found["vernal_attention"], `code="`+string(code)+`"`) {
			t.Errorf("attention %s is not scraped", code)
		}
	}
	return found
}
