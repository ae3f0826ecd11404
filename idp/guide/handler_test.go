package guide_test

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/guide"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/templates"
)

// january is a time at which 2026 is preferred and 2027 is created.
var january = time.Date(2027, 1, 20, 12, 0, 0, 0, time.UTC)

func fingerprintPattern(t *testing.T, i *idptest.IdP, y idp.Year) string {
	t.Helper()
	e, ok := i.Years.Lookup(y, i.Clock.Now())
	if !ok {
		t.Fatalf("no year %s", y)
	}
	sum := sha256.Sum256(e.Key.Cert.Raw)
	return certs.FormatFingerprint(sum[:])
}

// guidePaths returns the paths of the indexes and all guides.
func guidePaths(t *testing.T) []string {
	t.Helper()
	book, err := guide.Load(templates.Guides())
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{templates.HelpPath, templates.DevelopersPath}
	for _, topic := range book.Topics() {
		paths = append(paths, topic.Path())
	}
	return paths
}

// Every guide answers, and so does every link in it.
func TestGuideLinksAnswer(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	pages := map[string]*html.Node{}
	get := func(path string) *html.Node {
		if doc, ok := pages[path]; ok {
			return doc
		}
		page := i.Browser().Get(i.URL + path)
		if page.Status != http.StatusOK {
			t.Errorf("%s: %d", path, page.Status)
		}
		doc, err := html.Parse(strings.NewReader(string(page.Body)))
		if err != nil {
			t.Fatal(err)
		}
		pages[path] = doc
		return doc
	}
	links, linked := 0, map[string]bool{}
	for _, path := range guidePaths(t) {
		here, err := url.Parse(i.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		for n := range get(path).Descendants() {
			if n.Data != "a" {
				continue
			}
			to, err := here.Parse(attr(n, "href"))
			if err != nil || to.Host != here.Host {
				t.Errorf("%s links to %s", path, attr(n, "href"))
				continue
			}
			links++
			linked[to.Path] = linked[to.Path] || to.Path != path
			target := get(to.Path)
			if to.Fragment != "" && !hasID(target, to.Fragment) {
				t.Errorf("%s links to %s, which has no such part", path, to)
			}
		}
	}
	for _, path := range guidePaths(t) {
		if !linked[path] {
			t.Errorf("no page links to %s", path)
		}
	}
	if links < 100 {
		t.Errorf("found %d links, want more", links)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasID(doc *html.Node, id string) bool {
	for n := range doc.Descendants() {
		if attr(n, "id") == id {
			return true
		}
	}
	return false
}

// Guides contain the URLs and fingerprints of the live years, and change with each step. An
// unpublished year does not appear.
func TestGuidesShowLiveYearsOnly(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: january})
	const start = templates.DevelopersPath + "/start"
	get := func(path string) string {
		t.Helper()
		page := i.Browser().Get(i.URL + path)
		if page.Status != http.StatusOK {
			t.Fatalf("%s: %d", path, page.Status)
		}
		return strings.ReplaceAll(string(page.Body), "<wbr>", "")
	}
	shows := func(text string, y idp.Year, want bool) {
		t.Helper()
		for _, value := range []string{fingerprintPattern(t, i, y), "/api/saml/certificate" + string(y) + ".pem"} {
			if strings.Contains(text, value) != want {
				t.Errorf("shows %s of %s: %t, want %t", value, y, !want, want)
			}
		}
	}
	if e, _ := i.Years.Lookup("2027", i.Clock.Now()); e.State != rotation.Created {
		t.Fatalf("2027 is %s", e.State)
	}
	for _, path := range guidePaths(t) {
		text := get(path)
		if strings.Contains(text, fingerprintPattern(t, i, "2027")) || strings.Contains(text, i.URL+"/api/saml/auth2027") ||
			strings.Contains(text, i.URL+"/api/saml/metadata2027") {
			t.Errorf("%s shows a year that is not published", path)
		}
	}
	before := get(start)
	shows(before, "2026", true)
	shows(before, "2027", false)

	step := func(kind rotation.StepKind, y idp.Year) {
		t.Helper()
		if _, err := i.Rotation.Take(t.Context(), rotation.Step{Kind: kind, Year: y}, "test", false); err != nil {
			t.Fatal(err)
		}
	}
	step(rotation.StepPublish, "2027")
	published := get(start)
	shows(published, "2026", true)
	if !strings.Contains(published, fingerprintPattern(t, i, "2027")) || !strings.Contains(published, i.URL+"/api/saml/auth2026") {
		t.Error("a published year is missing, or new integrations get it too early")
	}
	i.Retire("2026")
	after := get(start)
	shows(after, "2026", false)
	shows(after, "2027", true)
}

// Guides are documents: GET and HEAD only, and caches revalidate them each time.
func TestGuidesAreDocuments(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	for _, path := range []string{templates.HelpPath, templates.HelpPath + "/install", templates.DevelopersPath, templates.DevelopersPath + "/start"} {
		page := i.Browser().Get(i.URL + path)
		if got := page.Header.Get("Cache-Control"); got != "public, no-cache" || page.Header.Get("ETag") == "" ||
			!strings.Contains(page.Header.Get("Vary"), "Cookie") || !strings.Contains(page.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %v", path, page.Header)
		}
		req, err := http.NewRequest(http.MethodGet, i.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", page.Header.Get("ETag"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotModified {
			t.Errorf("%s with its ETag: %d", path, resp.StatusCode)
		}
		if head := i.Browser().Head(i.URL + path); head.Status != http.StatusOK || len(head.Body) != 0 {
			t.Errorf("HEAD %s: %d", path, head.Status)
		}
		if post := i.Browser().Post(i.URL+path, url.Values{}); post.Status != http.StatusMethodNotAllowed || post.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d", path, post.Status)
		}
	}
	for _, path := range []string{"/help/nothing", "/help/start", "/developers/install", "/help/", "/help/operators/install"} {
		if page := i.Browser().Get(i.URL + path); page.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, page.Status)
		}
	}
}

// The text of a guide is marked as English, whatever the language of the page.
func TestGuideIsMarkedAsEnglish(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	doc, err := html.Parse(strings.NewReader(string(i.Browser().Get(i.URL + "/help/install?locale=fr").Body)))
	if err != nil {
		t.Fatal(err)
	}
	var languages []string
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "html":
			languages = append(languages, attr(n, "lang"))
		case "h1":
			for p := n.Parent; p != nil; p = p.Parent {
				if lang := attr(p, "lang"); lang != "" {
					languages = append(languages, lang)
					break
				}
			}
		}
	}
	if strings.Join(languages, " ") != "fr en" {
		t.Errorf("page and guide are in %v", languages)
	}
}

// Every page links to the guides, including those of a signed-in user and of errors.
func TestPagesLinkToGuides(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: january})
	if _, err := i.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepPublish, Year: "2027"}, "test", false); err != nil {
		t.Fatal(err)
	}
	i.Retire("2026")
	for path, status := range map[string]int{
		"/sign-in": 200, "/nothing": 404, "/api/saml/auth1999": 404, "/api/saml/auth2026": 410, "/api/saml/auth2027": 400, "/developers/attributes": 200,
	} {
		page := i.Browser().Get(i.URL + path)
		if page.Status != status {
			t.Errorf("%s: %d", path, page.Status)
		}
		for _, want := range []string{`href="` + templates.HelpPath + `"`, `href="` + templates.DevelopersPath + `"`} {
			if !strings.Contains(string(page.Body), want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
	}
}
