package adminhttp

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/sharelink"
	"vernal/idp/web"
	"vernal/templates"
)

// deployment is an installation with an admin listener, on 2 March 2031: 2030 is
// expiring, 2031 preferred.
type deployment struct {
	*fixture.Fixture
	t       testing.TB
	watch   *Handler
	handler http.Handler
	log     bytes.Buffer
}

func newDeployment(t testing.TB) *deployment {
	t.Helper()
	w := &deployment{t: t}
	w.Fixture = fixture.New(t, time.Date(2031, 1, 2, 9, 0, 0, 0, time.UTC), func(c *installation.Config) {
		c.Log = slog.New(slog.NewTextHandler(&w.log, nil))
	})
	set, err := templates.New()
	w.ok(err)
	pages := &web.Pages{Set: set, BaseURL: fixture.BaseURL, HasLinkSwitcher: true}
	w.watch = &Handler{
		Board: w.Board, Rotation: w.Rotation, Links: w.Links,
		Pages: pages, Clock: w.Clock.Now, Log: w.Log, URL: "https://watch.agency.example",
	}
	w.ok(w.Rotation.Begin(t.Context()))
	w.handler = &web.Middleware{Next: w.watch.Handler(), Pages: pages, Log: w.Log, Clock: w.Clock.Now}
	for _, day := range []time.Time{time.Date(2031, 1, 15, 1, 0, 0, 0, time.UTC), time.Date(2031, 2, 1, 1, 0, 0, 0, time.UTC), time.Date(2031, 3, 2, 9, 0, 0, 0, time.UTC)} {
		w.Clock.Set(day)
		w.automatic()
	}
	return w
}

func (w *deployment) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// register adds a service provider with everything that the board may show.
func (w *deployment) register(name string) idp.EntityID {
	w.t.Helper()
	id := idp.EntityID("https://" + strings.ToLower(name) + ".example.gov/saml")
	w.ok(w.Store.CreateProvider(w.t.Context(), &idp.ServiceProvider{
		EntityID: id, Name: name + " Bureau", Active: true, ACSURLs: []string{"https://" + strings.ToLower(name) + ".example.gov/acs"},
		Contacts: []string{strings.ToLower(name) + "-saml@example.gov"},
	}, ""))
	return id
}

// use has a service provider use a year.
func (w *deployment) use(id idp.EntityID, y idp.Year, ago time.Duration) {
	w.watch.Board.Usage.Use(idp.Use{SP: id, Year: y, At: w.Clock.Now().Add(-ago), IssuedAt: w.Clock.Now().Add(-ago), CertSHA256: fingerprint(id)})
}

func fingerprint(id idp.EntityID) string { return fmt.Sprintf("%064x", len(id)) }

// get asks the listener as a program on the same machine does.
func (w *deployment) get(path string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://localhost:9090"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	return w.do(r)
}

func (w *deployment) do(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// link makes a secret address and gives its path.
func (w *deployment) link(l sharelink.Link) (path, id string) {
	w.t.Helper()
	made, token, err := w.watch.Links.Create(w.t.Context(), l, "test")
	w.ok(err)
	return Path(l.Kind, token), made.ID
}

// page reads a page as a browser does.
func (w *deployment) page(path string) *html.Node {
	w.t.Helper()
	rec := w.get(path, "Accept", "text/html")
	if rec.Code != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	doc, err := html.Parse(rec.Body)
	w.ok(err)
	return doc
}

// words returns the text of an element.
func words(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		switch {
		case d.Type == html.TextNode:
			out.WriteString(d.Data)
		case d.Data == "dd" || d.Data == "dt" || d.Data == "li":
			out.WriteString(" ")
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// all returns the elements with a class, or with the name if class begins with "<".
func all(doc *html.Node, class string) (found []*html.Node) {
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if name, ok := strings.CutPrefix(class, "<"); ok && n.Data == name {
			found = append(found, n)
		}
		for _, a := range n.Attr {
			if a.Key == "class" && strings.Contains(" "+a.Val+" ", " "+class+" ") {
				found = append(found, n)
			}
		}
	}
	return found
}

// automatic has the server take the steps that are due.
func (w *deployment) automatic() {
	w.t.Helper()
	_, err := w.watch.Rotation.TakeDueSteps(w.t.Context())
	w.ok(err)
}
