//go:build slow

package templates

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"vernal/idp/idptest/chromium"
)

// screens are the sizes at which every page is checked.
var screens = []struct {
	name          string
	width, height int64
}{
	{"phone", 320, 640},
	{"desk", 1280, 800},
}

// axeRun returns the violations of WCAG 2.2 AA as text, "" for none.
const axeRun = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r =>
	r.violations.map(v => v.id + ": " + v.help + "\n" + v.nodes.map(n => "    " + n.html + "\n    " + n.failureSummary).join("\n")).join("\n"))`

// overflow returns the elements that extend beyond the screen, "" for none. It compares with
// the layout's width, because a phone widens its window to what overflows. An element inside a
// scrolling box does not count.
const overflow = `(() => { const width = document.documentElement.clientWidth;
	const scrolls = e => e && e != document.body && (getComputedStyle(e).overflowX == "auto" || scrolls(e.parentElement));
	return [document.documentElement.scrollWidth > width ? "page scrolls sideways: " + document.documentElement.scrollWidth : "",
		...[...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > width + 0.5 && !scrolls(e.parentElement)).map(e => e.outerHTML.slice(0, 120))
	].filter(Boolean).join("\n") })()`

// site serves the samples like the real server: with a strict policy, and an Assertion
// Consumer Service that accepts the form and leaves the page in place.
type site struct {
	*httptest.Server
	posts chan url.Values
}

func newSite(t *testing.T) *site {
	t.Helper()
	s, set := &site{posts: make(chan url.Values, 99)}, mustNew(t)
	mux := http.NewServeMux()
	mux.Handle("GET "+set.StaticPrefix(), http.StripPrefix(set.StaticPrefix(), http.FileServerFS(Static())))
	mux.HandleFunc("GET "+logoPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 30"><path d="M2 2h86v26H2z" fill="none" stroke="#222" stroke-width="3"/></svg>`))
	})
	mux.HandleFunc("POST /acs", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.posts <- r.PostForm
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /page/{lang}/{name}", func(w http.ResponseWriter, r *http.Request) {
		var out bytes.Buffer
		for _, p := range samples(Lang(r.PathValue("lang")), s.URL+"/acs") {
			if p.name != r.PathValue("name") {
				continue
			}
			if err := p.render(set, &out); err != nil {
				t.Errorf("render %s: %v", p.name, err)
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'nonce-bm9uY2U'; img-src 'self'; font-src 'self'; "+
			"script-src 'nonce-bm9uY2U'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		if isWall(r.PathValue("name")) {
			w.Header().Set("Content-Security-Policy", set.WallCSP())
		}
		_, _ = w.Write(out.Bytes())
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// browser starts a headless Chromium for the test and returns its first tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	ctx := chromium.Start(t)
	limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	return limited
}

// complaints collects what the browser reports of a page: errors of script,
// policy and network.
type complaints struct {
	mu   sync.Mutex
	said []string
}

func (c *complaints) listen(ctx context.Context) error {
	return chromedp.Listen(ctx, func(ev any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			c.said = append(c.said, fmt.Sprintf("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
		case *cdpruntime.EventExceptionThrown:
			c.said = append(c.said, ev.ExceptionDetails.Text)
		case *cdpruntime.EventConsoleAPICalled:
			c.said = append(c.said, fmt.Sprintf("console: %s", ev.Type))
		}
	})
}

func (c *complaints) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

// TestPagesRenderInBrowser opens each page in each language and checks it on each screen. With
// VERNAL_SHOTS=DIR it stores a picture of each there.
func TestPagesRenderInBrowser(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("../testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	site := newSite(t)
	for _, lang := range mustNew(t).Langs() {
		t.Run(string(lang), func(t *testing.T) {
			ctx := browser(t)
			var said complaints
			if err := said.listen(ctx); err != nil {
				t.Fatal(err)
			}
			for _, p := range samples(lang, "") {
				t.Run(p.name, func(t *testing.T) {
					lookAt(t, ctx, site.URL+"/page/"+string(lang)+"/"+p.name, string(lang)+"-"+p.name, string(axe))
					for _, s := range said.take() {
						t.Errorf("the browser says: %s", s)
					}
				})
			}
		})
	}
}

// eval runs a script in the page and waits for its result.
func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func shot(t *testing.T, ctx context.Context, file string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestResponsePagePostsWithAndWithoutScript checks that the response page posts at once by its
// script and, without a script, by its button.
func TestResponsePagePostsWithAndWithoutScript(t *testing.T) {
	t.Parallel()
	site, ctx := newSite(t), browser(t)
	want := url.Values{"SAMLResponse": {"PFJlc3BvbnNlLz4="}, "RelayState": {"a+b"}}
	check := func(how string) {
		t.Helper()
		select {
		case got := <-site.posts:
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("by %s: %s", how, diff)
			}
		case <-ctx.Done():
			t.Fatalf("no post by %s", how)
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/en/response")); err != nil {
		t.Fatal(err)
	}
	check("script")
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/en/response")); err != nil {
		t.Fatal(err)
	}
	if n := len(site.posts); n != 0 {
		t.Fatalf("%d posts before the button", n)
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS("button"))); err != nil {
		t.Fatal(err)
	}
	check("button")
}

// TestSignInPageIsUsableByKeyboard walks the sign-in page by keyboard: the link that skips
// the head comes first and can be seen, then the fields in reading order.
func TestSignInPageIsUsableByKeyboard(t *testing.T) {
	t.Parallel()
	site, ctx := newSite(t), browser(t)
	const where = `(() => { const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
		return [e.id || e.className || e.tagName, r.top >= 0 && r.width > 0 ? "seen" : "hidden", parseFloat(s.outlineWidth) >= 2 && s.outlineStyle != "none" ? "outlined" : "bare"].join(" ") })()`
	still := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, still); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/en/signin")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 6 {
		if err := chromedp.Do(ctx, chromedp.KeyEvent("\t")); err != nil {
			t.Fatal(err)
		}
		got = append(got, eval[string](t, ctx, where))
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/en/code")); err != nil {
		t.Fatal(err)
	}
	// The code page has one field, which takes the focus.
	if id := eval[string](t, ctx, `document.activeElement.id`); id != "code" {
		t.Errorf("%q has the focus on the code page", id)
	}
	// After an error the summary is read first. A tab without a window has no focus to show.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/en/signin-empty")); err != nil {
		t.Fatal(err)
	}
	if at := eval[string](t, ctx, where); at != "problem seen outlined" {
		t.Errorf("%q has the focus after an error", at)
	}
	want := []string{"usa-skipnav seen outlined", "email seen outlined", "password seen outlined", "show seen outlined",
		"usa-button vernal-submit seen outlined", "usa-link seen outlined"}
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" {
		t.Error(diff)
	}
}

// TestTimesAreLocal checks on each page with moments that they are shown in the reader's time
// zone and language, with the server's text as the title. A day without a time stays as it is.
func TestTimesAreLocal(t *testing.T) {
	t.Parallel()
	site, ctx := newSite(t), browser(t)
	if _, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kathmandu"}); err != nil {
		t.Fatal(err)
	}
	// Kathmandu is 5:45 ahead of UTC.
	const (
		moments = `[...document.querySelectorAll("main time")].filter(e => e.dateTime.includes("T"))`
		days    = `[...document.querySelectorAll("main time")].filter(e => !e.dateTime.includes("T"))`
	)
	for _, lang := range mustNew(t).Langs() {
		for _, name := range []string{"stay-live", "account", "sessions", "history", "preview", "board-5"} {
			if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/"+string(lang)+"/"+name)); err != nil {
				t.Fatal(err)
			}
			if eval[int](t, ctx, moments+`.length`) == 0 {
				t.Errorf("%s, %s: no moments", lang, name)
			}
			if got := eval[string](t, ctx, moments+`.filter(e => !e.textContent.includes(":50") || e.textContent.includes("UTC")).map(e => e.outerHTML).join("\n")`); got != "" {
				t.Errorf("%s, %s: not local: %s", lang, name, got)
			}
			if got := eval[string](t, ctx, moments+`.filter(e => !e.title.includes("05") || !e.title.endsWith("UTC")).map(e => e.outerHTML).join("\n")`); got != "" {
				t.Errorf("%s, %s: the title is not the server's text: %s", lang, name, got)
			}
			if got := eval[string](t, ctx, days+`.filter(e => e.title || e.textContent.includes(":")).map(e => e.outerHTML).join("\n")`); got != "" {
				t.Errorf("%s, %s: a day became a moment: %s", lang, name, got)
			}
		}
	}
}

// TestPagesPrint checks that on paper nothing is cut off, what can be pressed is left out, and
// the time of a report is in UTC too, because paper has no time zone.
func TestPagesPrint(t *testing.T) {
	t.Parallel()
	site, ctx := newSite(t), browser(t)
	// A4 at 96 pixels per inch, without margins of 1 cm. The dark theme is for screens only.
	size := emulation.SetDeviceMetricsOverrideParams{Width: 718, Height: 1047, DeviceScaleFactor: 1}
	media := emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, size); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	for _, lang := range mustNew(t).Langs() {
		for _, name := range []string{"account", "sessions", "services", "history", "board-5", "preview"} {
			if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/"+string(lang)+"/"+name)); err != nil {
				t.Fatal(err)
			}
			if got := eval[string](t, ctx, overflow); got != "" {
				t.Errorf("%s, %s: %s", lang, name, got)
			}
			if got := eval[string](t, ctx, `[...document.querySelectorAll("button, .vernal-filters, details:not([open])")].filter(e => e.checkVisibility()).map(e => e.outerHTML).join("\n")`); got != "" {
				t.Errorf("%s, %s: on paper is %s", lang, name, got)
			}
			if got := eval[string](t, ctx, `getComputedStyle(document.body).color + " on " + getComputedStyle(document.body).backgroundColor`); got != "rgb(27, 27, 27) on rgba(0, 0, 0, 0)" {
				t.Errorf("%s, %s: the text is %s", lang, name, got)
			}
		}
		if err := chromedp.Do(ctx, chromedp.Navigate(site.URL+"/page/"+string(lang)+"/board-5")); err != nil {
			t.Fatal(err)
		}
		if got := eval[string](t, ctx, `getComputedStyle(document.querySelector("main h1 + p time"), "::after").content`); !strings.Contains(got, "title") && !strings.Contains(got, "UTC") {
			t.Errorf("%s: the report's time is followed by %s", lang, got)
		}
	}
}
