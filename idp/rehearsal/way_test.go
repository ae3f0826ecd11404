package rehearsal_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/rehearsal"
)

// behindTLS returns a deployment in the recommended set-up: base_url is https, the server
// speaks plain http, and a proxy ends TLS in front of it.
func behindTLS(t *testing.T) (w *deployment, plain, proxy *httptest.Server) {
	t.Helper()
	w = newDeploymentAt(t, "https://example.com")
	plain = httptest.NewServer(w.Handler)
	t.Cleanup(plain.Close)
	to, err := url.Parse(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy = httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
	t.Cleanup(proxy.Close)
	return w, plain, proxy
}

// outcomes returns the outcomes of the steps that are not ok.
func outcomes(results []rehearsal.Result) map[string]rehearsal.Outcome {
	m := map[string]rehearsal.Outcome{}
	for _, r := range results {
		if r.OK != (r.Outcome == rehearsal.OutcomeOK) {
			m[r.Step] = "ok disagrees"
		} else if !r.OK {
			m[r.Step] = r.Outcome
		}
	}
	return m
}

// unreached returns the outcomes of a rehearsal that reaches no server.
func unreached() map[string]rehearsal.Outcome {
	m := map[string]rehearsal.Outcome{"reach": rehearsal.OutcomeFailed}
	for _, name := range strings.Fields("metadata metadata_signature certificate certificate_dates redirect post library encryption assertion replay wrong_year") {
		m[name] = rehearsal.OutcomeNotTried
	}
	return m
}

func TestWalkBehindTLS(t *testing.T) {
	t.Parallel()
	w, plain, proxy := behindTLS(t)
	plainAddress, proxyAddress := plain.Listener.Addr().String(), proxy.Listener.Addr().String()
	for _, tt := range []struct {
		name string
		way  rehearsal.Connection
		want map[string]rehearsal.Outcome
	}{
		{"through the proxy", rehearsal.Connection{HostPort: proxyAddress}, map[string]rehearsal.Outcome{}},
		{"to the server, which speaks plain http", rehearsal.Connection{HostPort: plainAddress, Plain: true}, map[string]rehearsal.Outcome{}},
		{"to the server with TLS", rehearsal.Connection{HostPort: plainAddress}, unreached()},
	} {
		t.Run(tt.name, func(t *testing.T) { // one after the other: one rehearsal at a time
			walk := w.begin(w.next)
			walk.Client = rehearsal.NewClient(tt.way)
			if t, ok := walk.Client.Transport.(*http.Transport); ok {
				t.TLSClientConfig = &tls.Config{RootCAs: proxy.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
			}
			results := walk.Run(t.Context())
			if diff := cmp.Diff(tt.want, outcomes(results)); diff != "" {
				t.Errorf("steps that are not ok (-want +got):\n%s\n%v", diff, results)
			}
			if n := rehearsal.Count(results, rehearsal.OutcomeNotTried); n != max(len(tt.want)-1, 0) {
				t.Errorf("%d not tried", n)
			}
			if err := w.service.End(t.Context(), walk.Terms.ID, nil, "cli:uid=0"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPlainWayKeepsTheHost checks that a request without TLS still names the host in
// base_url, and that a client sends nothing without TLS unless Plain is set.
func TestPlainWayKeepsTheHost(t *testing.T) {
	t.Parallel()
	var hosts []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts = append(hosts, r.Host) }))
	t.Cleanup(srv.Close)
	address := srv.Listener.Addr().String()
	for _, way := range []rehearsal.Connection{{HostPort: address}, {HostPort: address, Plain: true}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://login.example.gov/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := rehearsal.NewClient(way).Do(req); err == nil {
			resp.Body.Close()
		} else if way.Plain {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"login.example.gov"}, hosts); diff != "" {
		t.Error(diff)
	}
}

// TestBlockedHealthzFailsOneStep checks that a proxy that does not forward /healthz fails
// one step, and that the others are tried.
func TestBlockedHealthzFailsOneStep(t *testing.T) {
	t.Parallel()
	w, plain, _ := behindTLS(t)
	inner := plain.Config.Handler
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			http.NotFound(rw, r)
			return
		}
		inner.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	walk := w.begin(w.next)
	walk.Client = rehearsal.NewClient(rehearsal.Connection{HostPort: front.Listener.Addr().String(), Plain: true})
	if diff := cmp.Diff(map[string]rehearsal.Outcome{"reach": rehearsal.OutcomeFailed}, outcomes(walk.Run(t.Context()))); diff != "" {
		t.Error(diff)
	}
}

// TestMissingMetadataSkipsDependentSteps checks that steps that need metadata or a Response
// are not tried without it.
func TestMissingMetadataSkipsDependentSteps(t *testing.T) {
	t.Parallel()
	w, plain, _ := behindTLS(t)
	inner := plain.Config.Handler
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/saml/metadata") {
			http.NotFound(rw, r)
			return
		}
		inner.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	walk := w.begin(w.next)
	walk.Client = rehearsal.NewClient(rehearsal.Connection{HostPort: front.Listener.Addr().String(), Plain: true})
	want := map[string]rehearsal.Outcome{"metadata": rehearsal.OutcomeFailed}
	for _, name := range strings.Fields("metadata_signature certificate certificate_dates library encryption assertion") {
		want[name] = rehearsal.OutcomeNotTried
	}
	if diff := cmp.Diff(want, outcomes(walk.Run(t.Context()))); diff != "" {
		t.Error(diff)
	}
}

// TestWalkWithUntrustedClock checks that a clock that is not trusted fails a step, which
// suggests what to do.
func TestWalkWithUntrustedClock(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	walk := w.begin(w.next)
	terms := *walk.Terms
	terms.ClockTrusted = false
	walk.Terms = &terms
	results := walk.Run(t.Context())
	if diff := cmp.Diff(map[string]rehearsal.Outcome{"clock": rehearsal.OutcomeFailed}, outcomes(results)); diff != "" {
		t.Error(diff)
	}
	last := results[len(results)-1]
	if len(last.Suggestions) != 1 || last.Suggestions[0].Do != "rotation.confirm-clock" {
		t.Errorf("%+v", last)
	}
}
