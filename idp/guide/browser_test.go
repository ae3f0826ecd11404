//go:build slow

package guide_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vernal/idp/idptest"
	"vernal/idp/idptest/chromium"
)

// axeRun returns the violations of WCAG 2.2 AA as text, or "".
const axeRun = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r =>
	r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join("\n")).join("\n"))`

// sideways reports whether the page scrolls sideways as a whole.
const sideways = `document.documentElement.scrollWidth > document.documentElement.clientWidth`

// TestGuidesInBrowser opens each guide at phone and desktop size. With VERNAL_SHOTS=DIR it
// saves a screenshot of each there.
func TestGuidesInBrowser(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("../../testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	i := idptest.New(t, idptest.Options{})
	ctx := chromium.Start(t)
	limited, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	for name, width := range map[string]int64{"phone": 360, "desk": 1280} {
		size := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: width < 500}
		if _, err := chromedp.Call(limited, emulation.SetDeviceMetricsOverride, size); err != nil {
			t.Fatal(err)
		}
		for _, path := range guidePaths(t) {
			if err := chromedp.Do(limited, chromedp.Navigate(i.URL+path)); err != nil {
				t.Fatal(err)
			}
			if wide := evaluate[bool](t, limited, sideways); wide {
				t.Errorf("%s: %s scrolls sideways", name, path)
			}
			if dir := os.Getenv("VERNAL_SHOTS"); dir != "" {
				png, err := chromedp.Run(limited, chromedp.FullScreenshot(100))
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, name+strings.ReplaceAll(path, "/", "-")+".png"), png, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			evaluate[int](t, limited, string(axe)+";0")
			if violations := evaluate[string](t, limited, axeRun); violations != "" {
				t.Errorf("%s: %s: axe: %s", name, path, violations)
			}
		}
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
