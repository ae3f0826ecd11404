package templates

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// look is a language in which each page is looked at on a screen.
type look struct {
	screen int
	lang   Lang
}

// at looks at one page.
func (l look) at(t *testing.T, ctx context.Context, site, page, axe string) {
	t.Helper()
	screen := screens[l.screen]
	size := emulation.SetDeviceMetricsOverrideParams{Width: screen.width, Height: screen.height, DeviceScaleFactor: 1, Mobile: screen.width < 500}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, size); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(site+"/page/"+string(l.lang)+"/"+page)); err != nil {
		t.Fatal(err)
	}
	fonts := eval[int](t, ctx, `document.fonts.ready.then(f => [...f].filter(x => x.status == "loaded").length)`)
	outside := eval[string](t, ctx, overflow)
	if dir := os.Getenv("VERNAL_SHOTS"); dir != "" {
		shot(t, ctx, filepath.Join(dir, screen.name+"-"+string(l.lang)+"-"+page+".png"))
	}
	eval[int](t, ctx, axe+";0")
	if violations := eval[string](t, ctx, axeRun); violations != "" {
		t.Errorf("axe: %s", violations)
	}
	if outside != "" {
		t.Error(outside)
	}
	if fonts == 0 && !isWall(page) {
		t.Error("no font was loaded")
	}
}

// looks are what TestBrowser looks at: English on each screen, and the others on
// the phone, where a long word is first in the way. A page has the same elements
// in each language, so that a second screen would find little for its time.
func looks(t *testing.T) []look {
	var all []look
	for _, lang := range mustNew(t).Langs() {
		for screen := range screens {
			if lang == fallback || screen == 0 {
				all = append(all, look{screen, lang})
			}
		}
	}
	return all
}
