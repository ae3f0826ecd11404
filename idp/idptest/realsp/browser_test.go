//go:build realsp

package realsp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"vernal/idp/idptest/binary"
)

// pageTime is how long a page may take to appear.
const pageTime = 30 * time.Second

// startBrowser starts Chromium, with a folder of its own for its data.
func (w *world) startBrowser(t *testing.T) {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(binary.Need(t, "chromium")),
		chromedp.Headless, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("password-store", "basic"),
	}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root otherwise
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	w.browser = browser
}

// tab is one tab of a browser profile.
type tab struct {
	t   *testing.T
	ctx context.Context
	// noScript is set while pages run no script: buttons must be pressed.
	noScript bool

	mu        sync.Mutex
	responses [][]byte // SAMLResponse, decoded, as posted from this tab
	seen      []string // addresses of documents, in order
	statuses  map[string]int64
}

// profile opens a tab in a new browser profile: no cookie, no history.
func (w *world) profile(t *testing.T) *tab {
	t.Helper()
	return openTab(t, w.browser, chromedp.WithNewBrowserContext())
}

// sibling opens another tab in the same profile.
func (b *tab) sibling() *tab {
	b.t.Helper()
	return openTab(b.t, b.ctx)
}

func openTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, statuses: map[string]int64{}}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("open tab: %v", err)
	}
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		size := int64(1 << 20)
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{MaxPostDataSize: &size})
		return err
	}))
	t.Cleanup(b.onFailure) // before cancel, as the last added runs first
	return b
}

// note keeps what the tests want to know of the traffic.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type != network.ResourceTypeDocument {
			return
		}
		b.seen = append(b.seen, e.Request.Method+" "+e.Request.URL)
		if response := postedResponse(e.Request); response != nil {
			b.responses = append(b.responses, response)
		}
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			b.statuses[e.Response.URL] = e.Response.Status
		}
	}
}

// postedResponse is the Response in a posted form; nil if there is none.
func postedResponse(r *network.Request) []byte {
	var body []byte
	for _, e := range r.PostDataEntries {
		body = append(body, e.Bytes...)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("SAMLResponse") == "" {
		return nil
	}
	response, err := base64.StdEncoding.DecodeString(form.Get("SAMLResponse"))
	if err != nil {
		return []byte("not base64: " + err.Error())
	}
	return response
}

// response is the one Response that was posted from this tab.
func (b *tab) response() []byte {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.responses); n != 1 {
		b.t.Fatalf("%d Responses were posted, want 1", n)
	}
	return b.responses[0]
}

// visited lists methods and addresses of the documents so far.
func (b *tab) visited() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.seen...)
}

// status is that of the page the tab shows.
func (b *tab) status() int64 {
	b.t.Helper()
	address := b.location()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.statuses[address]
}

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

// open goes to an address, as if it had been typed.
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

// location is the address of the page.
func (b *tab) location() string { return run(b, chromedp.Evaluate[string]("location.href")) }

// text is that of the element with the id.
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
	binary.Until(b.t, pageTime, "the next page", func() error {
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
	binary.Until(b.t, pageTime, "the page before", func() error {
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

// onFailure keeps a picture of the page for whoever reads the failure.
func (b *tab) onFailure() {
	if !b.t.Failed() {
		return
	}
	b.t.Logf("visited:\n%s", strings.Join(b.visited(), "\n"))
	ctx, cancel := context.WithTimeout(b.ctx, pageTime)
	defer cancel()
	if text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText")); err == nil {
		b.t.Logf("the tab shows: %s", text)
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Logf("no picture: %v", err)
		return
	}
	name := filepath.Join(os.TempDir(), strings.ReplaceAll(b.t.Name(), "/", "-")+".png")
	if err := os.WriteFile(name, picture, 0o644); err != nil {
		b.t.Logf("no picture: %v", err)
		return
	}
	b.t.Logf("picture of the page: %s", name)
}
