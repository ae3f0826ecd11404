package sso_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
)

// previewDeployment is a server whose next year is created but not published.
type previewDeployment struct {
	*idptest.IdP
	t    *testing.T
	next idp.Year
}

func newPreviewDeployment(t *testing.T) *previewDeployment {
	t.Helper()
	return newPreviewDeploymentWith(t, idptest.Options{})
}

func newPreviewDeploymentWith(t *testing.T, o idptest.Options) *previewDeployment {
	t.Helper()
	years := rotation.DefaultPolicy().FirstYears(time.Now().UTC())
	at, err := time.Parse("2006", string(years[len(years)-1]))
	if err != nil {
		t.Fatal(err)
	}
	next := idp.Year(at.AddDate(1, 0, 0).Format("2006"))
	o.Years = []idp.Year{next}
	return &previewDeployment{IdP: idptest.New(t, o), t: t, next: next}
}

// field makes the registration open the year.
func (w *previewDeployment) field(p *idp.ServiceProvider) { p.Preview = w.next }

// link creates a preview link and returns it with its token.
func (w *previewDeployment) link(sp idp.EntityID, y idp.Year) (sharelink.Link, string) {
	w.t.Helper()
	l, token, err := w.Links.Create(w.t.Context(), sharelink.Link{
		Kind: sharelink.Preview, Year: y, SP: sp, ExpiresAt: w.Clock.Now().Add(time.Hour),
	}, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	return l, token
}

// enter opens a link in the browser.
func (w *previewDeployment) enter(b *idptest.Browser, token string) *idptest.Page {
	w.t.Helper()
	page := b.Get(w.URL + "/developers/preview?link=" + url.QueryEscape(token))
	if page.Status != http.StatusOK {
		w.t.Fatalf("the link gives %d:\n%s", page.Status, page.Text())
	}
	return page
}

func (w *previewDeployment) step(kind rotation.StepKind) {
	w.t.Helper()
	if _, err := w.Rotation.Take(w.t.Context(), rotation.Step{Kind: kind, Year: w.next}, "test", false); err != nil {
		w.t.Fatal(err)
	}
}

// request returns a request to the unpublished year.
func (w *previewDeployment) request() *idptest.Request { return &idptest.Request{Year: w.next} }

func (w *previewDeployment) address() string { return "/api/saml/auth" + string(w.next) }

// checkUnknown checks that a page is that of a year that never existed: the same bytes except the
// requested path, with the same headers.
func (w *previewDeployment) checkUnknown(page *idptest.Page) {
	w.t.Helper()
	never := w.Browser().Get(w.URL + "/api/saml/auth1999")
	if strings.HasPrefix(page.Header.Get("Content-Type"), "text/plain") { // the browser asked for no HTML
		never = w.Browser().CrossSitePost("/api/saml/auth1999", url.Values{})
	}
	if page.Status != http.StatusNotFound || !bytes.Equal(bytes.ReplaceAll(page.Body, []byte(w.next), []byte("1999")), never.Body) {
		w.t.Errorf("%d, want the 404 of an unknown year:\n%s", page.Status, page.Text())
	}
	for name := range page.Header {
		if name != "Date" && page.Header.Get(name) != never.Header.Get(name) {
			w.t.Errorf("header %s: %q, an unknown year has %q", name, page.Header.Get(name), never.Header.Get(name))
		}
	}
}

// uncounted checks that nothing counted as use of the year. It returns what opened the year
// according to the audit trail.
func (w *previewDeployment) uncounted() (opened []string) {
	w.t.Helper()
	if err := w.Usage.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	b, err := w.IdP.Board.Board(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range b.SPs {
		for _, seen := range line.Years {
			if seen.Year == w.next {
				w.t.Errorf("a preview is on the board: %s %+v", line.SP, seen)
			}
		}
	}
	st, err := w.Rotation.Status(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, y := range st.Years {
		if y.Year == w.next && !y.UsedAt.IsZero() {
			w.t.Errorf("the rotation counts a preview as use: %+v", y)
		}
	}
	records, err := audit.Records(w.t.Context(), w.Store, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		if r.Kind == "sign_in" {
			opened = append(opened, r.Detail["preview"])
		}
	}
	return opened
}

// A registration opens the year through both bindings, in every browser.
func TestRegisteredPreviewAllowsSignIn(t *testing.T) {
	t.Parallel()
	w := newPreviewDeployment(t)
	a, person, browser := w.AddProvider(spA, w.field), w.AddUser("ada@example.gov"), w.Browser()
	b := w.AddProvider(spB)

	first, second := w.request(), w.request()
	pages := []*idptest.Page{browser.SignIn(browser.Get(a.URL(first)), person), browser.CrossSitePost(w.address(), a.Form(second))}
	w.checkUnknown(browser.Get(b.URL(w.request())))
	w.checkUnknown(browser.CrossSitePost(w.address(), b.Form(w.request())))
	if opened := strings.Join(w.uncounted(), " "); opened != "field field" {
		t.Errorf("the audit trail says that %q opened the year", opened)
	}
	// The metadata of the published year verifies assertions that were issued before.
	w.step(rotation.StepPublish)
	accept(t, a, first, pages[0])
	accept(t, a, second, pages[1])
}

// A link opens the year to the browser that entered it, for its service provider.
func TestPreviewLinkAllowsSignInInItsBrowser(t *testing.T) {
	t.Parallel()
	w := newPreviewDeploymentWith(t, idptest.Options{TLS: true}) // the cookie comes along with a POST over https
	a, person, browser := w.AddProvider(spA), w.AddUser("ada@example.gov"), w.Browser()
	l, token := w.link(spA, w.next)
	w.enter(browser, token)

	first, second := w.request(), w.request()
	pages := []*idptest.Page{browser.SignIn(browser.Get(a.URL(first)), person), browser.CrossSitePost(w.address(), a.Form(second))}
	w.checkUnknown(w.Browser().Get(a.URL(w.request()))) // another browser
	if opened := strings.Join(w.uncounted(), " "); opened != l.ID+" "+l.ID {
		t.Errorf("the audit trail says that %q opened the year, want the link %s", opened, l.ID)
	}
	w.step(rotation.StepPublish)
	accept(t, a, first, pages[0])
	accept(t, a, second, pages[1])
}

// A sender that may use the year reads the reason of a refusal, as on a live year.
func TestPreviewExplainsRefusals(t *testing.T) {
	t.Parallel()
	w := newPreviewDeployment(t)
	a := w.AddProvider(spA, w.field)
	checkRefusal(t, w.Browser().Get(a.URL(&idptest.Request{Year: w.next, ACS: spA + "/other"})), http.StatusBadRequest, "AssertionConsumerServiceURL", spA+"/other")
}

// A request may be unsigned if the registration makes signing optional and opens the year.
func TestPreviewAllowsUnsignedWhereOptional(t *testing.T) {
	t.Parallel()
	w := newPreviewDeployment(t)
	a := w.AddProvider(spA, w.field, func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	page := signIn(w.Browser(), a, &idptest.Request{Year: w.next, Unsigned: true}, w.AddUser("ada@example.gov"))
	if page.Response() == nil {
		t.Errorf("%d\n%s", page.Status, page.Text())
	}
}

// A year that is published during a sign-in answers it. The preview that the sign-in began in
// still does not count as use.
func TestYearPublishedDuringPreview(t *testing.T) {
	t.Parallel()
	w := newPreviewDeployment(t)
	a, person, browser := w.AddProvider(spA, w.field), w.AddUser("ada@example.gov"), w.Browser()
	request := w.request()
	waiting := browser.Get(a.URL(request))
	w.step(rotation.StepPublish)
	edit(t, w.IdP, spA, func(p *idp.ServiceProvider) { p.Preview = "" })
	accept(t, a, request, browser.SignIn(waiting, person))
	if opened := w.uncounted(); len(opened) != 1 || opened[0] != "field" {
		t.Errorf("recorded: %q", opened)
	}
}
