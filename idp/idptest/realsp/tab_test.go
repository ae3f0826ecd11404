//go:build realsp

package realsp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"vernal/idp/idptest/binary"
)

// do runs steps and ends the test when one fails or takes too long.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, step := range steps {
		ctx, cancel := context.WithTimeout(b.ctx, pageTime)
		err := chromedp.Do(ctx, step)
		cancel()
		if err != nil {
			b.t.Fatalf("browser: %v", err)
		}
	}
}

// run runs one action that has a result.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageTime)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	return v
}

// open opens a URL, as if it had been typed.
func (b *tab) open(address string) {
	b.t.Helper()
	b.leave(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		result, err := cdp.Call(ctx, target, page.Navigate, page.NavigateParams{URL: address})
		if err == nil && result.ErrorText != "" && result.ErrorText != "net::ERR_ABORTED" {
			err = fmt.Errorf("open %s: %s", address, result.ErrorText)
		}
		return err
	}))
}

// location returns the URL of the page.
func (b *tab) location() string { return run(b, chromedp.Evaluate[string]("location.href")) }

// text returns the text of the element with the id.
func (b *tab) text(id string) string {
	b.t.Helper()
	return strings.TrimSpace(run(b, chromedp.TextContent(chromedp.ID(id))))
}

// disableScript turns script off in the pages that follow.
func (b *tab) disableScript() {
	b.t.Helper()
	b.noScript = true
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// phone makes the window as small as a telephone's.
func (b *tab) phone() {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
}

// try runs a script, but an error only says that the page is on its way.
func try[T any](b *tab, script string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script))
}

// leave runs steps that lead to another page and waits until that is loaded.
// The old page is marked, so that the two are not mistaken for one another.
func (b *tab) leave(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void]("void (document.documentElement.dataset.left = 'yes')"))
	b.do(steps...)
	binary.WaitUntil(b.t, pageTime, "the next page", func() error {
		loaded, err := try[bool](b, "document.readyState === 'complete' && !document.documentElement.dataset.left")
		if err == nil && !loaded {
			err = errors.New("still on the way")
		}
		return err
	})
}

// back presses the browser's back button. The page it leads to may be the very
// one that was left, kept by the browser.
func (b *tab) back() {
	b.t.Helper()
	from := b.location()
	b.do(chromedp.Evaluate[chromedp.Void]("history.back()"))
	binary.WaitUntil(b.t, pageTime, "the page before", func() error {
		to, err := try[string](b, "document.readyState === 'complete' ? location.href : ''")
		if err == nil && (to == "" || to == from) {
			err = errors.New("still on the way")
		}
		return err
	})
}

// press presses the button of the page's form.
func (b *tab) press(button string) {
	b.t.Helper()
	b.leave(chromedp.Click(chromedp.CSS(button)))
}
