package developers_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
)

const (
	spA = "https://a.example"
	spB = "https://b.example"
)

// deployment is a server whose next year is created but not published.
type deployment struct {
	*idptest.IdP
	t    *testing.T
	next idp.Year
}

func newDeployment(t *testing.T, log slog.Handler) *deployment {
	t.Helper()
	years := rotation.DefaultPolicy().FirstYears(time.Now().UTC())
	at, err := time.Parse("2006", string(years[len(years)-1]))
	if err != nil {
		t.Fatal(err)
	}
	next := idp.Year(at.AddDate(1, 0, 0).Format("2006"))
	return &deployment{IdP: idptest.New(t, idptest.Options{Years: []idp.Year{next}, Log: log}), t: t, next: next}
}

func (w *deployment) link(sp idp.EntityID) (sharelink.Link, string) {
	w.t.Helper()
	l, token, err := w.Links.Create(w.t.Context(), sharelink.Link{
		Kind: sharelink.Preview, Year: w.next, SP: sp, ExpiresAt: w.Clock.Now().Add(14 * 24 * time.Hour),
	}, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	return l, token
}

func (w *deployment) page(token string) string {
	return w.URL + "/developers/preview?link=" + url.QueryEscape(token)
}

func (w *deployment) step(kind rotation.StepKind) {
	w.t.Helper()
	if _, err := w.Rotation.Take(w.t.Context(), rotation.Step{Kind: kind, Year: w.next}, "test", false); err != nil {
		w.t.Fatal(err)
	}
}

// once sends one request without following redirects.
func (w *deployment) once(method, address string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequest(method, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func has(t *testing.T, page *idptest.Page, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(page.Text(), word) {
			t.Errorf("the page does not say %q:\n%s", word, page.Text())
		}
	}
}

// The page of a link works from opening to leaving.
func TestPreviewLinkEntersAndLeavesPreview(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	w := newDeployment(t, slog.NewTextHandler(&log, nil))
	w.AddProvider(spA)
	l, token := w.link(spA)

	if resp := w.once(http.MethodHead, w.page(token)); len(resp.Cookies()) != 0 {
		t.Error("a HEAD enters the preview")
	}
	resp := w.once(http.MethodGet, w.page(token))
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/developers/preview" ||
		resp.Header.Get("Referrer-Policy") != "no-referrer" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" || c.Domain != "" || c.Value != token ||
		c.MaxAge <= 0 || c.MaxAge > int(l.ExpiresAt.Sub(w.Clock.Now())/time.Second) {
		t.Errorf("cookie %v", c)
	}

	browser := w.Browser()
	page := browser.Get(w.page(token))
	if page.URL.RawQuery != "" {
		t.Error("the token stays in the address bar")
	}
	if page.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Error("the page, which shows the token, names the page it was left from")
	}
	has(t, page, "Test "+spA, string(w.next), "/api/saml/auth"+string(w.next), "/api/saml/metadata"+string(w.next)+"?preview="+token, l.ExpiresAt.Format("2006"))

	form := page.Form()
	page = browser.Post(form.Action, form.Fields)
	has(t, page, "This browser has no preview.")
	if len(browser.Cookies()) != 0 {
		t.Errorf("cookies are left: %v", browser.Cookies())
	}
	has(t, browser.Get(w.page(token)), "Test "+spA) // the link has not changed

	// A form of another site leaves no preview.
	if page := w.Browser().CrossSitePost("/developers/preview", form.Fields); page.Status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", page.Status)
	}
	_, secret, _ := strings.Cut(token, ".")
	if log := log.String(); strings.Contains(log, secret) || !strings.Contains(log, l.ID) {
		t.Errorf("the log holds the token, or does not name the link:\n%s", log)
	}
}

// A browser is in two previews, and one of them ends.
func TestPreviewLinkIsRefusedAfterRevocation(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, nil)
	w.AddProvider(spA)
	w.AddProvider(spB)
	first, tokenA := w.link(spA)
	_, tokenB := w.link(spB)
	browser := w.Browser()
	browser.Get(w.page(tokenA))
	has(t, browser.Get(w.page(tokenB)), "Test "+spA, "Test "+spB)

	if _, err := w.Links.Revoke(t.Context(), first.ID, "test"); err != nil {
		t.Fatal(err)
	}
	page := browser.Get(w.URL + "/developers/preview")
	has(t, page, "Test "+spB)
	if strings.Contains(page.Text(), "Test "+spA) {
		t.Errorf("a revoked link is shown:\n%s", page.Text())
	}
	if page := browser.Get(w.page(tokenA)); page.Status != http.StatusNotFound {
		t.Errorf("a revoked link opens: %d", page.Status)
	}
	if page := browser.Get(w.page("x.y")); page.Status != http.StatusNotFound {
		t.Errorf("no link opens: %d", page.Status)
	}

	// A browser holds a limited number of previews, always including the newest.
	for range 12 {
		sp := idp.EntityID("https://sp" + string(rune('a'+len(browser.Cookies()))) + w.Clock.Now().Format("150405") + ".example")
		w.AddProvider(string(sp))
		w.Clock.Advance(time.Second)
		_, token := w.link(sp)
		has(t, browser.Get(w.page(token)), "Test "+string(sp))
	}
	if n := len(browser.Cookies()); n > 9 { // the revoked one is not counted
		t.Errorf("%d cookies", n)
	}
}

// A published year has no preview to enter. A closed one answers 410, as everywhere.
func TestPreviewClosesAfterPublication(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, nil)
	w.AddProvider(spA)
	_, token := w.link(spA)
	inside := w.Browser()
	inside.Get(w.page(token))
	w.step(rotation.StepPublish)

	browser := w.Browser()
	page := browser.Get(w.page(token))
	has(t, page, string(w.next)+" is published")
	if len(browser.Cookies()) != 0 || strings.Contains(page.Text(), token) {
		t.Errorf("a preview is entered all the same: %v\n%s", browser.Cookies(), page.Text())
	}
	has(t, inside.Get(w.URL+"/developers/preview"), string(w.next)+" is published")

	w.Retire(w.next)
	if page := browser.Get(w.page(token)); page.Status != http.StatusGone {
		t.Errorf("of a year that is over: %d", page.Status)
	}
	has(t, inside.Get(w.URL+"/developers/preview"), "This browser has no preview.")
}

// With the token, the documents are served byte for byte as they will be published.
func TestPreviewTokenOpensDocuments(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, nil)
	w.AddProvider(spA)
	l, token := w.link(spA)
	otherLink, otherToken, err := w.Links.Create(t.Context(), sharelink.Link{Kind: sharelink.Preview, Year: "2001", SP: spA, ExpiresAt: w.Clock.Now().Add(time.Hour)}, "test")
	if err != nil {
		t.Fatal(err)
	}
	_, wall, err := w.Links.Create(t.Context(), sharelink.Link{Kind: sharelink.Wallboard}, "test")
	if err != nil {
		t.Fatal(err)
	}
	browser := w.Browser()
	early := map[string][]byte{}
	paths := []string{"/api/saml/metadata" + string(w.next), "/api/saml/certificate" + string(w.next) + ".pem"}
	never := map[string]string{paths[0]: "/api/saml/metadata1999", paths[1]: "/api/saml/certificate1999.pem"}
	for _, path := range paths {
		page := browser.Get(w.URL + path + "?preview=" + url.QueryEscape(token))
		if page.Status != http.StatusOK || page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, Cache-Control %q", path, page.Status, page.Header.Get("Cache-Control"))
		}
		early[path] = page.Body
		for _, query := range []string{"", "?preview=", "?preview=x", "?preview=" + wall, "?preview=" + otherToken, "?preview=" + otherLink.ID, "?link=" + token} {
			page, unknown := browser.Get(w.URL+path+query), browser.Get(w.URL+never[path])
			if page.Status != http.StatusNotFound || !bytes.Equal(bytes.ReplaceAll(page.Body, []byte(w.next), []byte("1999")), unknown.Body) {
				t.Errorf("%s%s: %d, want the 404 of an unknown year", path, query, page.Status)
			}
		}
	}
	browser.Get(w.page(token)) // the cookie opens no document
	if page := browser.Get(w.URL + paths[0]); page.Status != http.StatusNotFound {
		t.Errorf("metadata by the cookie: %d", page.Status)
	}
	if err := w.Usage.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := w.IdP.Board.Board(t.Context()); err != nil || len(b.Fetches) != 0 {
		t.Errorf("loads of a preview are counted: %+v, %v", b.Fetches, err)
	}
	if _, err := w.Links.Revoke(t.Context(), l.ID, "test"); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if page := browser.Get(w.URL + path + "?preview=" + token); page.Status != http.StatusNotFound {
			t.Errorf("%s by a revoked link: %d", path, page.Status)
		}
	}
	w.step(rotation.StepPublish)
	for _, path := range paths {
		page := browser.Get(w.URL + path)
		if !bytes.Equal(page.Body, early[path]) {
			t.Errorf("%s changed when it was published", path)
		}
		if got := page.Header.Get("Cache-Control"); got != "public, max-age=3600" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
}

// lockedBuffer is a buffer that the server's goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
