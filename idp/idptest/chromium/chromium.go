// Package chromium starts the browser for tests of pages.
package chromium

import (
	"context"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vernal/idp/idptest/binary"
)

// Start starts Chromium with a new profile and returns the context of its first
// tab. The browser is closed at the end of the test. Without Chromium the test is
// skipped, see binary.ReportMissing.
func Start(t *testing.T) context.Context {
	t.Helper()
	path := findBrowser()
	if path == "" {
		binary.ReportMissing(t, "chromium is not installed")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("lang", "en-US"), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-back-forward-cache", true)) // chromedp loses a page that returns from it
	// The test's own context ends before its clean-up, which must close the browser in
	// order before the folder of the profile is removed.
	ctx, _ := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("close %s: %v", path, err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// findBrowser returns the path of an installed Chromium, "" without one.
func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
