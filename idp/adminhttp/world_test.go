package adminhttp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
	"vernal/idp/store/bolt"
	"vernal/idp/usage"
	"vernal/idp/web"
	"vernal/templates"
)

// world is an installation with an admin listener, on 2 March 2031: 2030 is
// expiring, 2031 preferred.
type world struct {
	t       testing.TB
	now     time.Time
	store   idp.Store
	watch   *Handler
	handler http.Handler
	log     bytes.Buffer
}

// signer is made once: the keys sign nothing here.
var signer = sync.OnceValue(func() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2031, 1, 2, 9, 0, 0, 0, time.UTC)}
	clock := idp.Clock(func() time.Time { return w.now })
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	key, err := seal.NewMaster(make([]byte, seal.MasterSize))
	w.ok(err)
	masters := seal.NewMasters(key)
	store, err := bolt.Open(filepath.Join(t.TempDir(), "vernal.db"), bolt.Options{Masters: masters, Clock: clock, Log: log})
	w.ok(err)
	w.store = store
	t.Cleanup(func() { w.store.Close() })
	ring := keyring.NewRing(rotation.DefaultPolicy())
	registry := sp.New(w.store, clock)
	set, err := templates.New()
	w.ok(err)
	pages := &web.Pages{Set: set, BaseURL: "https://login.example.gov", Linked: true}
	ledger := &usage.Ledger{Store: w.store, Registry: registry, Years: ring, Clock: clock, Log: log}
	migration := &migration.Service{Usage: ledger, Registry: registry, Years: ring, Clock: clock}
	w.watch = &Handler{
		Board: migration,
		Rotation: &rotator.Service{
			Uses:  ledger,
			Store: w.store, Dir: certs.OpenDir(filepath.Join(t.TempDir(), "keys"), masters), Ring: ring, Policy: rotation.DefaultPolicy(),
			BaseURL: pages.BaseURL, Clock: clock, Log: log, NewSigner: func(int) (crypto.Signer, error) { return signer(), nil },
		},
		Links: &sharelink.Service{Store: w.store, Sealer: store.Ring(), Clock: clock},
		Pages: pages, Clock: clock, Log: log, URL: "https://watch.agency.example",
	}
	w.ok(w.watch.Rotation.Begin(t.Context()))
	w.handler = &web.Middleware{Next: w.watch.Handler(), Pages: pages, Log: log, Clock: clock}
	for _, day := range []time.Time{time.Date(2031, 1, 15, 1, 0, 0, 0, time.UTC), time.Date(2031, 2, 1, 1, 0, 0, 0, time.UTC), time.Date(2031, 3, 2, 9, 0, 0, 0, time.UTC)} {
		w.now = day
		w.automatic()
	}
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// register adds a service provider with everything that the board may show.
func (w *world) register(name string) idp.EntityID {
	w.t.Helper()
	id := idp.EntityID("https://" + strings.ToLower(name) + ".example.gov/saml")
	w.ok(w.store.CreateProvider(w.t.Context(), &idp.ServiceProvider{
		EntityID: id, Name: name + " Bureau", Active: true, ACSURLs: []string{"https://" + strings.ToLower(name) + ".example.gov/acs"},
		Contacts: []string{strings.ToLower(name) + "-saml@example.gov"},
	}, ""))
	return id
}

// use has a service provider use a year.
func (w *world) use(id idp.EntityID, y idp.Year, ago time.Duration) {
	w.watch.Board.Usage.Use(idp.Use{SP: id, Year: y, At: w.now.Add(-ago), IssuedAt: w.now.Add(-ago), CertSHA256: fingerprint(id)})
}

func fingerprint(id idp.EntityID) string { return fmt.Sprintf("%064x", len(id)) }

// get asks the listener as a program on the same machine does.
func (w *world) get(path string, headers ...string) *httptest.ResponseRecorder {
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

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// link makes a secret address and gives its path.
func (w *world) link(l sharelink.Link) (path, id string) {
	w.t.Helper()
	made, token, err := w.watch.Links.Create(w.t.Context(), l, "test")
	w.ok(err)
	return Path(l.Kind, token), made.ID
}

// page reads a page as a browser does.
func (w *world) page(path string) *html.Node {
	w.t.Helper()
	rec := w.get(path, "Accept", "text/html")
	if rec.Code != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	doc, err := html.Parse(rec.Body)
	w.ok(err)
	return doc
}

// words is the text of an element.
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

// all are the elements that have a class, or the name if it begins with "<".
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
func (w *world) automatic() {
	w.t.Helper()
	_, err := w.watch.Rotation.Automatic(w.t.Context())
	w.ok(err)
}
