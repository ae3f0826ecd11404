package templates

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"vernal/idp"
)

func mustNew(t testing.TB) *Set {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryPageIsWellFormed(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	for _, lang := range s.Langs() {
		for _, tt := range samples(lang, "https://records.example/acs") {
			t.Run(string(lang)+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				if err := tt.render(s, &out); err != nil {
					t.Fatal(err)
				}
				doc := parseHTML(t, out.Bytes())
				if got := attr(find(doc, "html")[0], "lang"); got != string(lang) {
					t.Errorf("lang = %q", got)
				}
				if n := len(find(doc, "h1")); n != 1 {
					t.Errorf("%d h1", n)
				}
				if n := len(find(doc, "main")); n != 1 {
					t.Errorf("%d main", n)
				}
				title := words(find(doc, "title")[0])
				if strings.HasPrefix(title, errorPrefix[lang]) != tt.bad {
					t.Errorf("title %q, bad = %v", title, tt.bad)
				}
				if strings.Contains(out.String(), spName) && !strings.HasSuffix(title, " – "+spName+" – Vernal") && !isAccount(out.String()) && !isAdmin(tt.name) {
					t.Errorf("title %q does not name the service provider and the brand", title)
				}
				for _, bad := range []string{"style=", "onclick", "ZgotmplZ", "<no value>", "{0}", "[[", "%!", `\u00a0`} {
					if strings.Contains(out.String(), bad) {
						t.Errorf("page has %q", bad)
					}
				}
				checkLabels(t, doc)
			})
		}
	}
}

// The button that sends the answer to a logout is the only way back.
func TestLogoutOneWayBack(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := LogoutPage{Base: Base{SPName: spName, ReturnURL: "https://records.example/home"}, HasEnded: true, Action: "https://records.example/logged-out"}
	if err := mustNew(t).WriteHTML(&out, p); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(words(parseHTML(t, out.Bytes())), "Back to "+spName); n != 1 {
		t.Errorf("%d ways back", n)
	}
}

// errorPrefix begins the title of a page that reports a mistake, for users of screen readers
// (as GOV.UK does).
var errorPrefix = map[Lang]string{"en": "Error: ", "es": "Error: ", "fr": "Erreur : "}

// checkLabels checks that each visible input has a label and each reference a target.
func checkLabels(t *testing.T, doc *html.Node) {
	t.Helper()
	ids, labels := map[string]bool{}, map[string]bool{}
	for n := range doc.Descendants() {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("id %q twice", id)
			}
			ids[id] = true
		}
		if n.Data == "label" {
			labels[attr(n, "for")] = true
		}
	}
	for _, in := range find(doc, "input") {
		if attr(in, "type") != "hidden" && !labels[attr(in, "id")] {
			t.Errorf("input %q has no label", attr(in, "name"))
		}
		for _, ref := range strings.Fields(attr(in, "aria-describedby")) {
			if !ids[ref] {
				t.Errorf("aria-describedby %q has no aim", ref)
			}
		}
	}
	for _, a := range find(doc, "a") {
		if ref, ok := strings.CutPrefix(attr(a, "href"), "#"); ok && !ids[ref] {
			t.Errorf("link to #%s has no aim", ref)
		}
	}
}

func TestFormsHoldExpectedFields(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	tests := []struct {
		name string
		want []string // names and values of the form's fields
	}{
		{"signin", []string{"request=Zx81", "email=ada@example.com", "password="}},
		{"signin-alone", []string{"email=", "password="}},
		{"code", []string{"request=Zx81", "code="}},
		{"account", nil},
		{"confirm", []string{"year=2027"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			for _, sample := range samples("en", "https://records.example/acs") {
				if sample.name == tt.name {
					if err := sample.render(s, &out); err != nil {
						t.Fatal(err)
					}
				}
			}
			form := find(parseHTML(t, out.Bytes()), "form")[0]
			if got := attr(form, "method"); got != "post" {
				t.Errorf("method = %q", got)
			}
			var got []string
			for _, in := range find(form, "input") {
				got = append(got, attr(in, "name")+"="+attr(in, "value"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHostileTextIsEscaped checks that external text and operators' text is shown as text,
// never as markup.
func TestHostileTextIsEscaped(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	const evil = `"><script>alert(1)</script><img src=x onerror='x'>&amp;{0}`
	b := Base{SPName: evil, Brand: evil, ReturnURL: "javascript:alert(1)"}
	r := &idp.Refusal{Code: idp.RefusedDestination, Field: evil, Seen: evil, Args: []string{evil, evil}}
	renders := map[string]func(io.Writer) error{
		"signin": func(w io.Writer) error {
			return s.WriteHTML(w, SignInPage{Base: b, Action: evil, Request: evil, Email: evil, Problems: Problems{{ProblemThrottled, []string{evil}}}})
		},
		"refusal": func(w io.Writer) error {
			return s.WriteHTML(w, RefusalPage{Base: b, Refusal: r, ErrorID: evil, StartURL: "javascript:alert(1)"})
		},
		"response": func(w io.Writer) error {
			return writeResponse(s, w, ResponsePage{Base: b, ACSURL: "https://a.example/" + evil, RelayState: evil, HasRelay: true})
		},
	}
	for name, render := range renders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := render(&out); err != nil {
				t.Fatal(err)
			}
			doc := parseHTML(t, out.Bytes())
			if n := len(find(doc, "script")); n > 1 || n == 1 && name == "refusal" {
				t.Errorf("%d scripts", n)
			}
			for _, img := range find(doc, "img") {
				if attr(img, "src") == "x" {
					t.Error("markup got through")
				}
			}
			for _, a := range find(doc, "a") {
				if strings.HasPrefix(attr(a, "href"), "javascript:") {
					t.Error("script address got through")
				}
			}
			if !strings.Contains(words(find(doc, "title")[0]), evil) {
				t.Error("the name is not shown as it is")
			}
		})
	}
}

func TestUnknownTextKeyIsAnError(t *testing.T) {
	t.Parallel()
	err := mustNew(t).WriteHTML(io.Discard, ErrorPage{Title: "no.such", Text: "error.internal.text"})
	if err == nil || !strings.Contains(err.Error(), `no text "no.such"`) {
		t.Errorf("err = %v", err)
	}
}

func TestPlainTextPagesNameFields(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	say := func(key Key, args ...string) string {
		text, err := s.selectLanguage(fallback).catalogue.text(key, args...)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	b := Base{SPName: spName}
	tests := []struct {
		name   string
		render func(io.Writer) error
		want   []string
	}{
		{"refusal", func(w io.Writer) error {
			return s.WriteText(w, RefusalPage{Base: b, ErrorID: "id-7", StartURL: "https://records.example/login",
				Refusal: idp.Refuse(idp.RefusedDestination, "Destination", "http://x<y\n\x1b[2J", "https://id.example/auth")})
		}, []string{"\nField: Destination\n", "\nWhat we saw: http://x<y\\n\\x1b[2J\n", ": https://id.example/auth\n",
			"\n" + say("refusal.fix") + ": ", "\n" + say("error_id.label") + " id-7\n", "Start again at " + spName + ": https://records.example/login\n"}},
		{"refusal of nothing", func(w io.Writer) error {
			return s.WriteText(w, RefusalPage{Refusal: idp.Refuse(idp.RefusedRequestMissing, "SAMLRequest", "")})
		}, []string{"\nWhat we saw: nothing\n"}},
		{"retired", func(w io.Writer) error {
			return s.WriteText(w, RetiredPage{
				Year: "2025", NewYear: "2027", EndedAt: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
				Changes: []Change{{Text: ChangeAuth, Old: "https://id.example/a25", New: "https://id.example/a27"}}, Fingerprint: "AA:BB", EntityID: "https://id.example",
			})
		}, []string{say("retired.title", "2025") + "\n\n", say("retired.text", "2025") + " " + say("retired.ended", "July 1, 2026"), say("retired.move", "2027"),
			"\n\n" + say("retired.auth") + "\n  " + say("retired.old") + " https://id.example/a25\n  " + say("retired.new") + " https://id.example/a27\n\n",
			"\n\n" + say("retired.fingerprint") + "\n  AA:BB\n\n" + say("retired.entity_id") + "\n  https://id.example\n"}},
		{"revoked", func(w io.Writer) error {
			return s.WriteText(w, RetiredPage{Year: "2026", NewYear: "2026b", IsRevoked: true, EntityID: "https://id.example"})
		}, []string{say("revoked.text", "2026") + " " + say("retired.final"), "\n\n" + say("revoked.remove", "2026")}},
		{"retired without a successor", func(w io.Writer) error { return s.WriteText(w, RetiredPage{Year: "2025", ErrorID: "id-7"}) },
			[]string{say("retired.text", "2025") + " " + say("retired.final"), "\n" + say("retired.alone"), "\n\n" + say("error_id.label") + " id-7\n"}},
		{"not found", func(w io.Writer) error { return s.WriteText(w, NotFoundPage{}) }, []string{say("not_found.title") + "\n"}},
		{"error", func(w io.Writer) error {
			return s.WriteText(w, ErrorPage{Title: "error.method.title", Text: "error.method.text", Args: []string{"GET, HEAD"}, ErrorID: "id-7"})
		}, []string{"\n" + say("error.method.text", "GET, HEAD") + "\n", "\n" + say("error_id.label") + " id-7\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := tt.render(&out); err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, &out)
				}
			}
			if strings.ContainsAny(out.String(), "\r\x1b") || strings.Contains(out.String(), "\n\n\n") || !strings.HasSuffix(out.String(), "\n") {
				t.Errorf("form of text:\n%q", out.String())
			}
		})
	}
}

func TestThrottledRoundsUpToMinutes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		wait time.Duration
		key  Key
		args []string
	}{
		{"nothing left", 0, ProblemThrottledMinute, nil},
		{"seconds", 20 * time.Second, ProblemThrottledMinute, nil},
		{"one minute", time.Minute, ProblemThrottledMinute, nil},
		{"rounds up", 61 * time.Second, ProblemThrottled, []string{"2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Throttled(tt.wait); !cmp.Equal(got, Problems{{tt.key, tt.args}}) {
				t.Errorf("got %s", got)
			}
		})
	}
}

// The logo of a service provider replaces its name in the header, and is beside it
// elsewhere, where it must not be read aloud too.
func TestServiceProviderLogoIsShown(t *testing.T) {
	t.Parallel()
	images := func(name string, within string) (found []*html.Node) {
		t.Helper()
		for _, s := range samples("en", "") {
			if s.name != name {
				continue
			}
			var out bytes.Buffer
			if err := s.render(mustNew(t), &out); err != nil {
				t.Fatal(err)
			}
			for _, img := range find(find(parseHTML(t, out.Bytes()), within)[0], "img") {
				if strings.HasPrefix(attr(img, "src"), idp.LogoPrefix) {
					found = append(found, img)
				}
			}
		}
		return found
	}
	for _, name := range []string{"signin-logo", "refusal-logo"} {
		if got := images(name, "header"); len(got) != 1 || attr(got[0], "alt") != spName {
			t.Errorf("%s: %d logos in the header", name, len(got))
		}
	}
	for _, name := range []string{"account", "preview"} {
		if got := images(name, "main"); len(got) == 0 || attr(got[0], "alt") != "" {
			t.Errorf("%s: %d logos beside names", name, len(got))
		}
	}
	if got := images("signin", "header"); len(got) != 0 {
		t.Errorf("%d logos without one", len(got))
	}
}
