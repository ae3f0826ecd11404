//go:build slow

package authn_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"vernal/idp/idptest"
	"vernal/idp/idptest/chromium"
)

// tab is a tab of a headless Chromium. Time in its pages is real, while the identity
// provider's clock is stopped.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the browser reports, mainly policy violations
}

func openTab(t *testing.T) *tab {
	t.Helper()
	ctx := chromium.Start(t)
	b := &tab{t: t}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	still := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, still); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tab) note(ev any) {
	// The browser also reports the answer to a form with a mistake, which is expected.
	if ev, ok := ev.(*log.EventEntryAdded); ok && !strings.Contains(ev.Entry.Text, "status of 422") {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, fmt.Sprintf("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// evalText evaluates an expression that returns a text.
func (b *tab) evalText(expression string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// waitForBox waits until the element is the visible one of the two boxes.
func (b *tab) waitForBox(id string) {
	b.t.Helper()
	for b.evalText(seen) != id {
		if b.ctx.Err() != nil {
			b.t.Fatalf("%s does not appear, but %q", id, b.evalText(seen))
		}
	}
}

// seen returns the visible boxes of the code page that have a height.
const seen = `["time", "time-over"].filter(id => { const e = document.getElementById(id);
	return e && getComputedStyle(e).visibility == "visible" && e.offsetHeight >= 24 }).join(" ")`

// layout returns the position of the continue button and the warning, which must be above the
// fold.
const layout = `(() => { const top = s => Math.round(document.querySelector(s).getBoundingClientRect().top + scrollY);
	const box = document.getElementById("time").getBoundingClientRect();
	return [top(".vernal-submit"), top("#remember"), box.bottom + scrollY <= innerHeight ? "seen" : "below the fold"].join() })()`

// The code page in the browser of a small phone, with and without a script: the warning
// appears automatically while the user types, in a visible place where it moves nothing. Its
// button extends the time, loses only the code, and is not the one that Enter activates. The
// page says when the time is over.
func TestMoreTimeInBrowser(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		t.Run(map[bool]string{true: "script", false: "no script"}[script], func(t *testing.T) {
			t.Parallel()
			// A page with a limit of one minute warns half a minute before its
			// end.
			i := idptest.New(t, idptest.Options{CodeTime: time.Minute})
			ann, b := i.AddUser("ann@example.gov"), openTab(t)
			off := emulation.SetScriptExecutionDisabledParams{Value: !script}
			if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, off); err != nil {
				t.Fatal(err)
			}
			phone := emulation.SetDeviceMetricsOverrideParams{Width: 320, Height: 568, DeviceScaleFactor: 1, Mobile: true}
			if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, phone); err != nil {
				t.Fatal(err)
			}
			b.do(chromedp.Navigate(i.URL+"/sign-in"),
				chromedp.SendKeys(chromedp.CSS("#email"), ann.Email),
				chromedp.SendKeys(chromedp.CSS("#password"), ann.Password+"\r"),
				chromedp.WaitVisible(chromedp.CSS("#code")))
			if got := b.evalText(seen); got != "" {
				t.Errorf("%q is seen at the beginning", got)
			}
			if got := b.evalText(`String(document.querySelector(".vernal-times").offsetHeight)`); got != "0" {
				t.Errorf("the warning takes %s px before it is due", got)
			}

			i.Clock.Advance(29 * time.Second)
			b.do(chromedp.Navigate(i.URL+"/sign-in/code"), chromedp.SendKeys(chromedp.CSS("#code"), "123"), chromedp.Click(chromedp.CSS("#remember")))
			before := b.evalText(layout)
			b.waitForBox("time")
			// The Enter key and programs that fill in forms press the first
			// button.
			if got := b.evalText(`document.querySelector("button[type=submit]").className`); !strings.Contains(got, "vernal-submit") {
				t.Errorf("the first button is %q", got)
			}
			if got := b.evalText(layout); got != before || !strings.HasSuffix(got, ",seen") {
				t.Errorf("button, box, warning are at %s, and were at %s", got, before)
			}
			if got := b.evalText(`document.getElementById("code").value`); got != "123" {
				t.Errorf("%q is typed when the warning is there", got)
			}
			b.checkAnnounced("time", script)
			b.do(chromedp.Click(chromedp.CSS("#time button")), chromedp.WaitVisible(chromedp.CSS("#notice")))
			if got := b.evalText(`[document.getElementById("code").value, document.getElementById("remember").checked, ` + seen + `].join()`); got != ",true," {
				t.Errorf("after more time: code, remember, boxes: %q", got)
			}
			b.do(chromedp.SendKeys(chromedp.CSS("#code"), "12345\r"), chromedp.WaitVisible(chromedp.CSS("#code-error")))
			i.Clock.Advance(59 * time.Second) // too late without the extension
			b.do(chromedp.Navigate(i.URL + "/sign-in/code"))
			b.waitForBox("time-over")
			b.checkAnnounced("time-over", script)
			b.do(chromedp.Click(chromedp.CSS("#time-over a")), chromedp.WaitVisible(chromedp.CSS("#password")))
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.faults) > 0 {
				t.Errorf("the browser minds: %s", strings.Join(b.faults, "\n"))
			}
		})
	}
}

// checkAnnounced checks that the box is announced to screen readers: by a script in the one live
// region that existed from the beginning, without a script as an alert.
func (b *tab) checkAnnounced(id string, script bool) {
	b.t.Helper()
	text := b.evalText(`document.querySelector("#` + id + ` p").textContent`)
	said := `document.getElementById("said").textContent`
	role := b.evalText(`String(document.getElementById("` + id + `").getAttribute("role"))`)
	if !script {
		if role != "alert" || b.evalText(said) != "" {
			b.t.Errorf("without a script the role of %s is %q", id, role)
		}
		return
	}
	for b.evalText(said) != text {
		if b.ctx.Err() != nil {
			b.t.Fatalf("said is %q, want %q", b.evalText(said), text)
		}
	}
	if role != "null" {
		b.t.Errorf("%s is said twice: its role is %s", id, role)
	}
}
