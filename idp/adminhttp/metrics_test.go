package adminhttp_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/idptest"
)

// scrape returns the metrics, one entry per series.
func scrape(t *testing.T, i *idptest.IdP) map[string]string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:9090/metrics", nil)
	w := httptest.NewRecorder()
	i.AdminHandler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("/metrics: %d\n%s", w.Code, w.Body)
	}
	all := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if value == "" {
			series, value, _ = strings.Cut(series, " ")
		} else {
			series += "}"
		}
		all[series] = value
	}
	return all
}

// in March both years are live, and the certificate of 2026 has two weeks left.
var inMarch = time.Date(2027, 3, 15, 12, 0, 0, 0, time.UTC)

// runDaily turns the clock day by day, with a server that runs.
func runDaily(t *testing.T, i *idptest.IdP, to time.Time) {
	t.Helper()
	for left := to.Sub(i.Clock.Now()); left > 0; left = to.Sub(i.Clock.Now()) {
		ran := min(left, 24*time.Hour)
		i.Clock.Advance(ran)
		if err := i.Rotation.Tick(t.Context(), ran); err != nil {
			t.Fatal(err)
		}
		if _, err := i.Rotation.TakeDueSteps(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMetricsOfASpring checks the metrics on four days of a spring.
func TestMetricsOfASpring(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: time.Date(2027, 1, 10, 12, 0, 0, 0, time.UTC)})
	sp, person := i.AddProvider("https://a.example"), i.AddUser("ada@example.gov")
	tests := []struct {
		name string
		at   time.Time
		use  idp.Year
		want map[string]string
	}{
		{"in January", time.Date(2027, 1, 20, 12, 0, 0, 0, time.UTC), "2026", map[string]string{
			`vernal_year_state{state="preferred",year="2026"}`:                         "1",
			`vernal_year_state{state="created",year="2027"}`:                           "1",
			`vernal_year_state{state="published",year="2027"}`:                         "0",
			`vernal_rotation_step_due_timestamp_seconds{step="publish",year="2027"}`:   "1.80144e+09", // 1 February
			`vernal_rotation_step_ready_timestamp_seconds{step="publish",year="2027"}`: "1.80144e+09",
			`vernal_signing_certificate_end_timestamp_seconds{year="2026"}`:            "1.8065376e+09", // 1 April
			`vernal_attention{code="certificate_ended"}`:                               "0",
			`vernal_rotation_automatic`:                                                "1",
			`vernal_clock_trusted`:                                                     "1",
			`vernal_rotation_hold`:                                                     "0",
			`vernal_ready`:                                                             "1",
			`vernal_state_readable`:                                                    "1",
			`vernal_preferred_year_can_sign`:                                           "1",
			`vernal_sign_ins_total{year="2026"}`:                                       "1",
			`vernal_http_requests_total{class="3xx",route="/api/saml/auth{year}"}`:     "1",
			`vernal_http_request_duration_seconds_count{route="/api/saml/auth{year}"}`: "1",
		}},
		{"in March", inMarch, "2027", map[string]string{
			`vernal_year_state{state="expiring",year="2026"}`:  "1",
			`vernal_year_state{state="preferred",year="2027"}`: "1",
			`vernal_sign_ins_total{year="2026"}`:               "1",
			`vernal_sign_ins_total{year="2027"}`:               "1",
		}},
		{"past the certificate's end", time.Date(2027, 4, 2, 12, 0, 0, 0, time.UTC), "2026", map[string]string{
			`vernal_year_state{state="grace",year="2026"}`:        "1",
			`vernal_attention{code="certificate_ended"}`:          "1",
			`vernal_year_last_use_timestamp_seconds{year="2026"}`: "1.8066672e+09", // that noon
		}},
		{"late in summer", time.Date(2027, 9, 1, 12, 0, 0, 0, time.UTC), "2027", map[string]string{
			`vernal_year_state{state="retired",year="2026"}`: "1",
			`vernal_year_key_destroyed{year="2026"}`:         "1",
			`vernal_year_key_destroyed{year="2027"}`:         "0",
			`vernal_attention{code="certificate_ended"}`:     "0",
		}},
	}
	for _, tt := range tests {
		runDaily(t, i, tt.at)
		b := i.Browser()
		if page := b.SignIn(b.Get(sp.URL(&idptest.Request{Year: tt.use})), person); page.Response() == nil {
			t.Fatalf("%s: sign-in: %d", tt.name, page.Status)
		}
		got := scrape(t, i)
		for series, want := range tt.want {
			if got[series] != want {
				t.Errorf("%s: %s is %q, want %q", tt.name, series, got[series], want)
			}
		}
		for series := range got {
			if strings.Contains(series, "ada@") || strings.Contains(series, "127.0.0.1") {
				t.Errorf("%s: %s identifies a user", tt.name, series)
			}
		}
	}
}

// TestStrangersMakeNoSeries checks that requests of strangers make no new series, and that
// no series contains anything they send.
func TestStrangersMakeNoSeries(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: inMarch})
	i.AddProvider("https://a.example")
	ask := func(mark string) {
		b := i.Browser()
		for _, path := range []string{
			"/" + mark, "/api/saml/auth2027?SAMLRequest=" + mark, "/api/saml/auth1999", "/api/saml/metadata" + mark,
			"/api/saml/metadata?sp=https://" + mark + ".example", "/sign-in/continue?request=" + mark, "/static/" + mark,
			"/metrics?" + mark,
		} {
			b.Get(i.URL + path)
		}
		for _, method := range []string{mark, "TRACE", http.MethodPut} {
			r := httptest.NewRequestWithContext(t.Context(), method, i.URL+"/api/saml/auth2027", nil)
			r.Header.Set("User-Agent", mark)
			i.Handler.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	ask("2034")
	before := slices.Sorted(maps.Keys(scrape(t, i)))
	for _, mark := range []string{"2033", "2035", "2036"} {
		ask(mark)
	}
	i.Clock.Advance(time.Minute)
	after := slices.Sorted(maps.Keys(scrape(t, i)))
	ours := func(all []string) []string {
		return slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, "vernal_") })
	}
	if diff := cmp.Diff(ours(before), ours(after)); diff != "" {
		t.Errorf("series (-before +after):\n%s", diff)
	}
	if got := scrape(t, i)[`vernal_refusals_total{code="deflate_invalid"}`]; got == "" {
		t.Error("refusals are not counted")
	}
}

// TestMetricsWithoutAStore checks that the store is read at most once in ten seconds, and
// that a scrape gets an answer that says so if the store cannot be read.
func TestMetricsWithoutAStore(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: inMarch, Log: slog.DiscardHandler})
	const ready, readable, attention = "vernal_ready", "vernal_state_readable", `vernal_attention{code="step_failed"}`
	scrape(t, i)
	i.Stop()
	if got := scrape(t, i); got[ready] != "1" || got[attention] != "0" {
		t.Errorf("within ten seconds the store was read again: ready %s", got[ready])
	}
	i.Clock.Advance(11 * time.Second)
	got := scrape(t, i)
	if got[ready] != "0" || got[readable] != "0" || got["go_goroutines"] == "" {
		t.Errorf("ready %q, readable %q", got[ready], got[readable])
	}
	if _, found := got[attention]; found {
		t.Error("gauges of the rotation are exported although it could not be read")
	}
}

// TestMetricsOfBackups checks the gauges of backups: none before the first one, and a failure
// does not hide the last success.
func TestMetricsOfBackups(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: inMarch})
	const success, size, failure = "vernal_backup_last_success_timestamp_seconds", "vernal_backup_last_success_bytes", "vernal_backup_last_failure_timestamp_seconds"
	check := func(want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for name, value := range scrape(t, i) {
			if strings.HasPrefix(name, "vernal_backup_") || strings.Contains(name, `code="backup_`) {
				got[name] = value
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		i.Clock.Advance(time.Hour)
	}
	const failed, old = `vernal_attention{code="backup_failed"}`, `vernal_attention{code="backup_old"}`
	i.Backups.Policy.Every = 24 * time.Hour
	check(map[string]string{failed: "0", old: "0"})
	for _, r := range []backup.Record{{Automatic: true, Bytes: 4096}, {Automatic: true, Error: "disk full"}} {
		if err := i.Backups.Finish(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if r.Error == "" {
			check(map[string]string{success: "1.8051156e+09", size: "4096", failed: "0", old: "0"})
		}
	}
	check(map[string]string{success: "1.8051156e+09", size: "4096", failure: "1.8051192e+09", failed: "1", old: "0"})
	i.Clock.Advance(72 * time.Hour)
	check(map[string]string{success: "1.8051156e+09", size: "4096", failure: "1.8051192e+09", failed: "1", old: "1"})
}
