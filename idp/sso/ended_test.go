package sso_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
)

// runDaily moves the clock forward day by day and runs the server's daily work.
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

// The page of an ended year names the year to move to and every value that changes, for users
// and for programs. It never says why a key was withdrawn.
func TestYearThatIsOver(t *testing.T) {
	t.Parallel()
	const reason = "found on a memory stick"
	winter := time.Date(2027, 1, 10, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name      string
		end       func(*testing.T, *idptest.IdP)
		year      idp.Year
		says      []string
		saysNever string
	}{
		{
			name: "retired", year: "2026",
			end:  func(t *testing.T, i *idptest.IdP) { runDaily(t, i, time.Date(2027, 7, 5, 12, 0, 0, 0, time.UTC)) },
			says: []string{"of 2026 are retired", "closed on July 1, 2027", "Move to 2027"}, saysNever: "withdrawn",
		},
		{
			name: "revoked", year: "2026",
			end: func(t *testing.T, i *idptest.IdP) {
				if _, err := i.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: reason}, "test", false); err != nil {
					t.Fatal(err)
				}
			},
			says:      []string{"of 2026 were withdrawn early", "They were closed on January 10, 2027", "Move to 2026b", "Remove the certificate of 2026"},
			saysNever: reason,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{Now: winter})
			tt.end(t, i)
			next, err := i.Years.Preferred(i.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			sum := strings.ReplaceAll(fmt.Sprintf("% X", sha256.Sum256(next.Key.Cert.Raw)), " ", ":")
			says := append(tt.says, sum, "stays the same", i.URL+"/api/saml\n")
			for _, what := range []string{"metadata%s", "auth%s", "logout%s", "remotelogout%s", "certificate%s.pem"} {
				says = append(says, i.URL+"/api/saml/"+fmt.Sprintf(what, tt.year), i.URL+"/api/saml/"+fmt.Sprintf(what, next.Key.Year))
			}
			for _, ask := range []goneAsk{
				{http.MethodGet, "auth", "*/*"}, {http.MethodGet, "metadata", ""}, {http.MethodGet, "auth", "text/html"},
				{http.MethodPost, "auth", "text/html"}, {http.MethodHead, "auth", ""}, {http.MethodHead, "auth", "text/html"},
			} {
				ask.check(t, i, tt.year, says, tt.saysNever)
			}
		})
	}
}

// goneAsk is a request for a URL of an ended year.
type goneAsk struct{ method, path, accept string }

// check compares the answer with what it must say, in the requested format.
func (a goneAsk) check(t *testing.T, i *idptest.IdP, y idp.Year, says []string, never string) {
	t.Helper()
	resp, body := get(t, a.method, i.URL+"/api/saml/"+a.path+string(y), a.accept)
	if resp.StatusCode != http.StatusGone || resp.ContentLength <= 0 {
		t.Errorf("%v: %s, %d bytes", a, resp.Status, resp.ContentLength)
	}
	html := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	if html != (a.accept == "text/html") {
		t.Errorf("%v: %s", a, resp.Header.Get("Content-Type"))
	}
	if a.method == http.MethodHead {
		return
	}
	for _, want := range says {
		if html {
			want = strings.TrimSpace(want)
		}
		if !strings.Contains(body, want) {
			t.Errorf("%v does not say %q:\n%s", a, want, body)
		}
	}
	if strings.Contains(body, never) {
		t.Errorf("%v says %q", a, never)
	}
}

// get sends a request without following redirects.
func get(t *testing.T, method, address, accept string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// lines receives a log line by line.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default: // no longer read
	}
	return len(b), nil
}

// next returns the next line that contains all the words.
func (l lines) next(t *testing.T, words ...string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case line := <-l:
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				return
			}
		case <-late:
			t.Fatalf("the log has no line with %q", words)
		}
	}
}

// A year whose certificate has expired keeps working until it is retired, and each of its
// requests logs a warning. TestSpringThroughHTTP in package rotation checks that it signs with
// the expired certificate.
func TestGraceYearWarnsAtEachRequest(t *testing.T) {
	t.Parallel()
	log := make(lines, 10_000)
	i := idptest.New(t, idptest.Options{Now: time.Date(2027, 1, 10, 12, 0, 0, 0, time.UTC), Log: slog.NewTextHandler(log, nil)})
	a, person := i.AddProvider(spA), i.AddUser("ada@example.gov")
	const warned, ended = "level=WARN", "signing_certificate_ended=2027-04-01"

	ask := func(address string) {
		w := httptest.NewRecorder()
		i.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))
		if w.Code >= 400 {
			t.Fatalf("%s: %d", address, w.Code)
		}
	}
	runDaily(t, i, time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC))
	ask(a.URL(&idptest.Request{Year: "2026"}))
	runDaily(t, i, time.Date(2027, 4, 2, 12, 0, 0, 0, time.UTC))
	ask(a.URL(&idptest.Request{Year: "2027"}))
	ask(i.URL + "/api/saml/metadata2027")
	for range len(log) {
		if line := <-log; strings.Contains(line, "signing_certificate_ended") {
			t.Errorf("a warning too many: %s", line)
		}
	}

	ask(i.URL + "/api/saml/metadata2026")
	log.next(t, warned, ended, "path=/api/saml/metadata2026")
	browser := i.Browser()
	page := browser.SignIn(browser.Get(a.URL(&idptest.Request{Year: "2026"})), person)
	if page.Response() == nil {
		t.Fatalf("sign-in on a year in grace: %d\n%s", page.Status, page.Text())
	}
	log.next(t, warned, ended, "path=/api/saml/auth2026")
	log.next(t, warned, ended, "outcome=issued")
}
