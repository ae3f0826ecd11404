//go:build realsp

package realsp

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vernal/idp/idptest/binary"
)

// pageTime is how long a page may take to appear.
const pageTime = 30 * time.Second

// startBrowser starts Chromium, with a folder of its own for its data.
func (w *deployment) startBrowser(t *testing.T) {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(binary.Need(t, "chromium")),
		chromedp.Headless, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-breakpad", true),
		chromedp.Flag("password-store", "basic"),
		// Leftover files are removed with the shared folder.
		chromedp.Env("HOME="+w.dir, "TMPDIR="+w.dir),
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
	idp string // our base_url
	// noScript is set while pages run no script: buttons must be pressed.
	noScript bool

	mu        sync.Mutex
	responses [][]byte // SAMLResponse, decoded, as posted from this tab
	seen      []string // addresses of documents, in order
	statuses  map[string]int64
	faults    []string // what Chromium minds: Content-Security-Policy, files that are not there
}

// profile opens a tab in a new browser profile: no cookie, no history.
func (w *deployment) profile(t *testing.T) *tab {
	t.Helper()
	return openTab(t, w.browser, w.idp.BaseURL, chromedp.WithNewBrowserContext())
}

// sibling opens another tab in the same profile.
func (b *tab) sibling() *tab {
	b.t.Helper()
	return openTab(b.t, b.ctx, b.idp)
}

func openTab(t *testing.T, parent context.Context, idp string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, idp: idp, statuses: map[string]int64{}}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("open tab: %v", err)
	}
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		size := int64(1 << 20)
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{MaxPostDataSize: &size})
		if err == nil {
			_, err = cdp.Call(ctx, target, cdplog.Enable, cdp.Empty{})
		}
		return err
	}))
	t.Cleanup(b.finish) // before cancel: the last added runs first
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
		} else if e.Response.Status >= 400 && strings.HasPrefix(e.Response.URL, b.idp) {
			b.faults = append(b.faults, fmt.Sprintf("%s: %d", e.Response.URL, e.Response.Status))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Source == cdplog.EntrySourceSecurity {
			b.faults = append(b.faults, e.Entry.URL+": "+e.Entry.Text)
		}
	}
}

// postedResponse returns the Response in a posted form, nil if there is none.
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

// response returns the only Response that was posted from this tab.
func (b *tab) response() []byte {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.responses); n != 1 {
		b.t.Fatalf("%d Responses were posted, want 1", n)
	}
	return b.responses[0]
}

// listVisited lists methods and addresses of the documents so far.
func (b *tab) listVisited() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.seen...)
}

// status returns the HTTP status of the page in the tab.
func (b *tab) status() int64 {
	b.t.Helper()
	address := b.location()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.statuses[address]
}

// finish reports the errors that Chromium logged, and keeps a screenshot for the analysis of
// a failure.
func (b *tab) finish() {
	b.mu.Lock()
	for _, fault := range b.faults {
		b.t.Errorf("the browser minds: %s", fault)
	}
	b.mu.Unlock()
	if !b.t.Failed() {
		return
	}
	b.t.Logf("visited:\n%s", strings.Join(b.listVisited(), "\n"))
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
	file, err := os.CreateTemp("", strings.ReplaceAll(b.t.Name(), "/", "-")+"-*.png")
	if err != nil {
		b.t.Logf("no picture: %v", err)
		return
	}
	defer file.Close()
	if _, err := file.Write(picture); err != nil {
		b.t.Logf("no picture: %v", err)
		return
	}
	b.t.Logf("picture of the page: %s", file.Name())
}
