//go:build slow

package templates

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// lookAt opens one page and looks at it on each screen. It is loaded once: a
// phone that is turned has no other page either.
func lookAt(t *testing.T, ctx context.Context, address, name, axe string) {
	t.Helper()
	for i, screen := range screens {
		size := emulation.SetDeviceMetricsOverrideParams{Width: screen.width, Height: screen.height, DeviceScaleFactor: 1, Mobile: screen.width < 500}
		if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, size); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
				t.Fatal(err)
			}
		}
		fonts := eval[int](t, ctx, `document.fonts.ready.then(f => [...f].filter(x => x.status == "loaded").length)`)
		outside := eval[string](t, ctx, overflow)
		if i == 0 {
			eval[int](t, ctx, axe+";0")
		}
		for _, theme := range []string{"dark", "light"} {
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
				t.Fatal(err)
			}
			if dir := os.Getenv("VERNAL_SHOTS"); dir != "" {
				shot(t, ctx, filepath.Join(dir, screen.name+"-"+theme+"-"+name+".png"))
			}
			if violations := eval[string](t, ctx, axeRun); violations != "" {
				t.Errorf("%s, %s: axe: %s", screen.name, theme, violations)
			}
		}
		if outside != "" {
			t.Errorf("%s: %s", screen.name, outside)
		}
		if fonts == 0 && !isWall(filepath.Base(address)) {
			t.Errorf("%s: no font was loaded", screen.name)
		}
	}
}
