//go:build slow

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"vernal/idp/idptest/chromium"
)

// tab is a tab of a headless Chromium, which knows sites, SameSite and
// Content-Security-Policy better than a visitor does.
type tab struct {
	t     *testing.T
	ctx   context.Context
	shots string // name before each picture

	mu     sync.Mutex
	faults []string
}

func openTab(t *testing.T, screen string, width, height int64) *tab {
	t.Helper()
	ctx := chromium.Start(t)
	b := &tab{t: t, shots: screen}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	size := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500}
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, size); err != nil {
		t.Fatal(err)
	}
	return b
}

// note keeps what the browser reports of a page. The library's page that posts
// a request has a policy with words that Chromium does not know.
func (b *tab) note(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if !strings.Contains(ev.Entry.Text, "Unrecognized Content-Security-Policy directive") {
			b.faults = append(b.faults, fmt.Sprintf("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
		}
	case *cdpruntime.EventExceptionThrown:
		b.faults = append(b.faults, ev.ExceptionDetails.Text)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		where, _ := chromedp.Run(context.WithoutCancel(b.ctx), chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.t.Fatalf("browser: %v at %s", err, where)
	}
}

func (b *tab) eval(script string) string {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return v
}

// see waits for an element and, with VERNAL_SHOTS=DIR, takes a picture of the
// page with it.
func (b *tab) see(css, name string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(css)))
	dir := os.Getenv("VERNAL_SHOTS")
	if dir == "" {
		return
	}
	b.eval(`document.fonts.ready.then(() => "")`)
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, b.shots+"-"+name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) click(css string) { b.t.Helper(); b.do(chromedp.Click(chromedp.CSS(css))) }

func (b *tab) fill(css, text string) { b.t.Helper(); b.do(chromedp.SendKeys(chromedp.CSS(css), text)) }

// TestDemoSignsInInBrowser signs in at both samples in Chromium: A asks by a link, B by
// a form on another site, which comes without the session's cookie.
func TestDemoSignsInInBrowser(t *testing.T) {
	t.Parallel()
	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"phone", 360, 740}, {"desk", 1280, 800}} {
		t.Run(screen.name, func(t *testing.T) {
			t.Parallel()
			b := openTab(t, screen.name, screen.width, screen.height)
			d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
			defer endDemo(t, d)
			demoInBrowser(b, d)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, f := range b.faults {
				t.Errorf("the browser says: %s", f)
			}
		})
	}
}

func demoInBrowser(b *tab, d *runningDemo) {
	t := b.t
	t.Helper()
	b.do(chromedp.Navigate(d.Samples[0].URL))
	b.do(chromedp.WaitNotPresent(chromedp.CSS("#reload"))) // the script runs
	b.see("#code", "1-home-a")
	b.click(".usa-button")
	b.see("#password", "2-sign-in")
	b.fill("#email", d.Email)
	b.fill("#password", d.Password)
	b.click(".vernal-submit")
	b.see("input#code", "3-code")
	b.fill("input#code", codeOf(t, d, 0))
	b.click(".vernal-submit")
	b.see("#consent", "4-consent-a")
	b.click("#consent .vernal-submit")
	b.see("#name-id", "4-signed-in-a")
	atA := b.eval(`document.getElementById("name-id").innerText`)
	if at := b.eval(`location.href`); at != d.Samples[0].URL+pathSignedIn {
		t.Errorf("signed in, the browser is at %s", at)
	}
	b.click(".vernal-buttons a")
	b.see("#consent", "5-consent-b")
	b.click("#consent .vernal-submit")
	b.see("#assertion", "5-signed-in-b")
	if atB := b.eval(`document.getElementById("name-id").innerText`); atB == atA {
		t.Errorf("both samples know the person as %s", atA)
	}
	if at := b.eval(`location.href`); at != d.Samples[1].URL+pathSignedIn {
		t.Errorf("signed in, the browser is at %s", at)
	}
	b.click(".vernal-buttons button")
	b.see(".usa-alert", "6-signed-out-b")
	b.click(".usa-button")
	b.see("#password", "7-sign-in-again") // the session at the identity provider is over too
	b.do(chromedp.Navigate(d.Samples[0].URL + pathSignedIn))
	b.see("#name-id", "8-still-in-a") // this SP got no LogoutRequest
	b.click(".vernal-buttons button")
	b.see(".usa-alert", "9-signed-out-a")
}
