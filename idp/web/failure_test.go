package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/templates"
)

// failures are all kinds of failed requests.
var failures = []struct {
	name   string
	err    error
	status int
	code   string
	fields []string // of the JSON, in addition to code
	usual  string   // the type for a client that requests none
}{
	{"refusal", idp.Refuse(idp.RefusedVersion, "Version", "1.1").WithCause(errors.New("secret")), 400, "version", report, html},
	{"refusal of the level", &Error{Sender: Sender{SPName: "A", StartURL: "https://a.example"}, Err: idp.Refuse(idp.RefusedAuthnContext, "RequestedAuthnContext", "x")},
		400, "authn_context_unknown", append([]string{"documentation", "sp_name", "start_url"}, report...), html},
	{"refusal of the user", &Error{SignInURL: "/sign-in", Err: idp.Refuse(idp.RefusedSubject, "Subject NameID", "")}, 400, "subject_mismatch", append([]string{"sign_in_url"}, report...), html},
	{"lack", NewLackError(&idp.ServiceProvider{Name: "A"}, Sender{SPName: "A"}, &assurance.Obstacle{Lack: assurance.LackProofing, Code: idp.RefusedNoProofing}),
		400, "not_verified", append([]string{"lacks", "sp_name"}, report...), html},
	{"message of a server", &Error{Plain: true, Err: idp.Refuse(idp.RefusedVersion, "Version", "1.1")}, 400, "", nil, text},
	{"bad form", &Error{Status: 400, Key: "bad_form"}, 400, "bad_form", failed, html},
	{"other site", &Error{Status: 403, Key: "cross_site"}, 403, "cross_site", failed, html},
	{"not found", ErrNotFound, 404, "not_found", []string{"text", "title"}, text},
	{"method", &Error{Status: 405, Key: "method", Args: []string{"GET"}}, 405, "method", failed, html},
	{"retired", &GoneYear{Year: "2025", EndedAt: time.Unix(1e9, 0)}, 410, "year_retired",
		[]string{"changes", "ended_at", "entity_id", "error_id", "revoked", "text", "title", "year"}, text},
	{"replaced", &GoneYear{Year: "2025", Successor: "2026", Revoked: true}, 410, "year_retired",
		[]string{"changes", "entity_id", "error_id", "new_year", "revoked", "text", "title", "year"}, text},
	{"too large", fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 1}), 413, "too_large", failed, html},
	{"too many", &Error{Status: 429, Key: "too_many"}, 429, "too_many", failed, html},
	{"ours", errors.New("secret"), 500, "internal", failed, html},
	{"busy", idp.ErrBusy, 503, "unavailable", failed, html},
	{"closed", &ClosedYear{Year: "2026"}, 503, "unavailable", failed, html},
	{"not written", fmt.Errorf("commit: %w: %w", idp.ErrNotWritten, errors.New("secret")), 503, "not_written", failed, html},
	{"not written, at a page", &Error{Status: 500, Key: "internal", Err: idp.ErrNotWritten}, 503, "not_written", failed, html},
	{"damaged", idp.ErrDamaged, 503, "unavailable", failed, html},
	{"token away", fmt.Errorf("sign: %w: %w", idp.ErrKeyUnavailable, errors.New("secret")), 503, "unavailable", failed, html},
	{"tampered", idp.ErrTampered, 503, "unavailable", failed, html},
}

const html, text, jsonType = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"

var (
	report = []string{"error_id", "expected", "field", "fix", "seen", "title"}
	failed = []string{"error_id", "text", "title"}
)

// Every kind of failure is answered in the format that the client requests, with the same
// status, and each answer says that it depends on Accept.
func TestFailuresHonourAccept(t *testing.T) {
	t.Parallel()
	set, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	pages := &Pages{Set: set, BaseURL: "https://id.example"}
	router := NewRouter(pages)
	for i, f := range failures {
		router.Handle(fmt.Sprintf("/%d", i), Methods{http.MethodGet: func(http.ResponseWriter, *http.Request) error { return f.err }})
	}
	router.Handle("/form", Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error {
		return pages.AnswerForm(w, r, 429, "too_many", func() error { return WritePage(w, 429, []byte("the form")) })
	}})
	server := httptest.NewServer(&Middleware{Next: router, Pages: pages, Log: slog.New(slog.DiscardHandler), Clock: time.Now})
	t.Cleanup(server.Close)
	get := func(method, path, accept string) (*http.Response, string) {
		t.Helper()
		r, _ := http.NewRequest(method, server.URL+path, nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		resp, err := server.Client().Do(r)
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
	for i, f := range failures {
		for accept, want := range map[string]string{
			"": f.usual, "*/*": f.usual, "application/samlmetadata+xml": f.usual, "image/webp,*/*;q=0.8": f.usual,
			acceptChrome: html, acceptFirefox: html, "text/html": html, "text/html;q=0.5, application/json;q=0.4": html,
			"text/plain": text, "application/json;q=0, text/plain;q=0.1": text, "application/json": jsonType, "application/json, text/plain, */*": jsonType,
		} {
			depends := true
			if f.name == "message of a server" {
				want, depends = text, false
			}
			resp, body := get(http.MethodGet, fmt.Sprintf("/%d", i), accept)
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != f.status || got != want {
				t.Errorf("%s, Accept %q: %d %s, want %d %s\n%s", f.name, accept, resp.StatusCode, got, f.status, want, body)
			}
			if got := slices.Contains(resp.Header.Values("Vary"), "Accept"); got != depends {
				t.Errorf("%s, Accept %q: Vary %q", f.name, accept, resp.Header.Values("Vary"))
			}
			if (resp.Header.Get("Retry-After") != "") != (f.status == 503) {
				t.Errorf("%s, Accept %q: Retry-After %q", f.name, accept, resp.Header.Get("Retry-After"))
			}
			if strings.Contains(body, "secret") {
				t.Errorf("%s, Accept %q: what is for the log alone is in the answer", f.name, accept)
			}
			if want == jsonType {
				checkJSON(t, f.name, body, f.code, f.fields)
			}
			head, none := get(http.MethodHead, fmt.Sprintf("/%d", i), accept)
			if none != "" || head.StatusCode != f.status || head.Header.Get("Content-Type") != want {
				t.Errorf("%s, HEAD, Accept %q: %d %s, body %q", f.name, accept, head.StatusCode, head.Header.Get("Content-Type"), none)
			}
		}
	}
	for accept, want := range map[string]string{"": html, "*/*": html, acceptChrome: html, "text/plain": text, "application/json": jsonType} {
		resp, body := get(http.MethodGet, "/form", accept)
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != 429 || got != want || (body == "the form") != (want == html) {
			t.Errorf("form, Accept %q: %d %s\n%s", accept, resp.StatusCode, got, body)
		}
	}
}

func checkJSON(t *testing.T, name, body, code string, fields []string) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Errorf("%s: %v\n%s", name, err, body)
		return
	}
	if got["code"] != code {
		t.Errorf("%s: code %v, want %s", name, got["code"], code)
	}
	var names []string
	for field, value := range got {
		if field != "code" {
			names = append(names, field)
		}
		if field != "seen" && value == "" {
			t.Errorf("%s: %s is empty", name, field)
		}
	}
	slices.Sort(names)
	if want := slices.Sorted(slices.Values(fields)); !slices.Equal(names, want) {
		t.Errorf("%s: fields %q, want %q", name, names, want)
	}
}
