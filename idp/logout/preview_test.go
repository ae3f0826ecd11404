package logout_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
)

// newPreviewDeployment returns a deployment whose next year is created but not published.
func newPreviewDeployment(t *testing.T) (w *deployment, next idp.Year) {
	t.Helper()
	return newPreviewDeploymentWith(t, idptest.Options{})
}

func newPreviewDeploymentWith(t *testing.T, o idptest.Options) (w *deployment, next idp.Year) {
	t.Helper()
	years := rotation.DefaultPolicy().FirstYears(time.Now().UTC())
	at, err := time.Parse("2006", string(years[len(years)-1]))
	if err != nil {
		t.Fatal(err)
	}
	next = idp.Year(at.AddDate(1, 0, 0).Format("2006"))
	o.Years = []idp.Year{next}
	return fillDeployment(t, idptest.New(t, o)), next
}

func (w *deployment) preview(year idp.Year) {
	w.t.Helper()
	w.a.Edit(func(p *idp.ServiceProvider) { p.Preview = year })
}

// An unpublished year answers 404 to every sender at both URLs, whatever the message, and
// looks like a year that never existed.
func TestUnpublishedYearEndsNoSession(t *testing.T) {
	t.Parallel()
	w, next := newPreviewDeployment(t)
	never := w.ada.browser.Get(w.URL + "/api/saml/logout1999")
	front := &idptest.LogoutRequest{NameID: w.ada.name, Year: next}
	for name, page := range map[string]*idptest.Page{
		"nothing":  w.ada.browser.Get(w.URL + "/api/saml/logout" + string(next)),
		"broken":   w.ada.browser.Get(w.URL + "/api/saml/logout" + string(next) + "?SAMLRequest=x"),
		"by GET":   w.ada.browser.Get(w.a.LogoutURL(front)),
		"by POST":  w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(front), w.a.LogoutForm(front)),
		"unsigned": w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name, Year: next, Unsigned: true})),
	} {
		if page.Status != http.StatusNotFound || strings.Contains(page.Text(), "LogoutRequest") || len(never.Doc.Data) != len(page.Doc.Data) {
			t.Errorf("%s: %d\n%s", name, page.Status, page.Text())
		}
	}
	for name, got := range map[string]*idptest.Answer{
		"form": w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.ada.name, Year: next}),
		"SOAP": w.a.SendSOAPLogout(&idptest.LogoutRequest{NameID: w.ada.name, Year: next}),
		"junk": w.a.SendSOAP(w.URL+"/api/saml/remotelogout"+string(next), "junk"),
	} {
		if got.Status != http.StatusNotFound || got.Response != nil {
			t.Errorf("%s: %d\n%s", name, got.Status, got.Body)
		}
	}
	// An SP that is registered for a preview and does not sign is not recognized.
	w.preview(next)
	if page := w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name, Year: next, Unsigned: true})); page.Status != http.StatusNotFound {
		t.Errorf("unsigned: %d", page.Status)
	}
	if got := w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.ada.name, Year: next, Key: idptest.OtherKey()}); got.Status != http.StatusNotFound {
		t.Errorf("another key: %d", got.Status)
	}
	w.wantSignedIn("ada", "bob")
}

// The registration of an SP opens the year to that SP only, on both channels. The SP reads the
// reason of a refusal.
func TestRegisteredPreviewAllowsLogout(t *testing.T) {
	t.Parallel()
	w, next := newPreviewDeployment(t)
	w.preview(next)
	old := &idptest.LogoutRequest{NameID: w.ada.name, Year: next, IssuedAt: w.Clock.Now().Add(-time.Hour)}
	if page := w.ada.browser.Get(w.a.LogoutURL(old)); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "issue_instant_old") {
		t.Errorf("an old request: %d\n%s", page.Status, page.Text())
	}
	other := &idptest.LogoutRequest{NameID: w.ada.otherName, Year: next}
	if page := w.ada.browser.Get(w.b.LogoutURL(other)); page.Status != http.StatusNotFound {
		t.Errorf("another service provider: %d", page.Status)
	}
	w.wantSignedIn("ada", "bob")

	front := &idptest.LogoutRequest{NameID: w.ada.name, Year: next}
	checkLogoutResponse(t, w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(front), w.a.LogoutForm(front)), w.a, front, ok, "")
	w.wantSignedIn("bob")
	if got := w.a.SendSOAPLogout(&idptest.LogoutRequest{NameID: w.bob.name, Year: next}); got.Status != http.StatusOK || got.Response == nil || got.Response.Status.StatusCode.Value != ok {
		t.Errorf("%d\n%s", got.Status, got.Body)
	}
	w.wantSignedIn()
	records, err := audit.Records(t.Context(), w.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if (r.Kind == "logout" || r.Kind == "remote_logout") && r.Detail["preview"] == "" {
			t.Errorf("the record of a %s does not say that it was a preview: %+v", r.Kind, r.Detail)
		}
	}
	if err := w.Usage.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if users, err := w.Usage.Users(t.Context(), next, time.Time{}); err != nil || len(users) > 0 {
		t.Errorf("previews count as use of the year by %v, %v", users, err)
	}
	if entry, found := w.Years.Lookup(next, w.Clock.Now()); !found || entry.State != rotation.Created {
		t.Errorf("the year is %v now", entry.State)
	}
}

// A link opens the front channel in its own browser only. The back channel takes no cookie.
func TestPreviewLinkAllowsLogoutInItsBrowser(t *testing.T) {
	t.Parallel()
	w, next := newPreviewDeploymentWith(t, idptest.Options{TLS: true})
	_, token, err := w.Links.Create(t.Context(), sharelink.Link{Kind: sharelink.Preview, Year: next, SP: spA, ExpiresAt: w.Clock.Now().Add(time.Hour)}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if page := w.ada.browser.Get(w.URL + "/developers/preview?link=" + url.QueryEscape(token)); page.Status != http.StatusOK {
		t.Fatal(page.Status)
	}
	r := &idptest.LogoutRequest{NameID: w.bob.name, Year: next}
	if page := w.bob.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r)); page.Status != http.StatusNotFound {
		t.Errorf("a browser without the link: %d", page.Status)
	}
	if got := w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.bob.name, Year: next}); got.Status != http.StatusNotFound {
		t.Errorf("the back channel: %d", got.Status)
	}
	w.wantSignedIn("ada", "bob")
	r = &idptest.LogoutRequest{NameID: w.ada.name, Year: next}
	checkLogoutResponse(t, w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r)), w.a, r, ok, "")
	w.wantSignedIn("bob")
}

// A verified LogoutRequest counts as use of its year on either channel and so prevents its
// retirement. A forged one does not count.
func TestVerifiedLogoutCountsAsUse(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	forged := w.AddProvider("https://forged.example")
	w.Clock.Advance(49 * time.Hour) // after the sign-ins
	since := w.Clock.Now().Add(-time.Hour)
	w.Browser().Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name}))
	w.b.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.ada.otherName})
	w.Browser().Get(forged.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.otherName, Key: idptest.OtherKey()}))
	forged.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.ada.otherName, Unsigned: true})
	if err := w.Usage.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	users, err := w.Usage.Users(t.Context(), w.Year(), since)
	if err != nil || !slices.Equal(users, []idp.EntityID{spA, spB}) {
		t.Errorf("used by %v, %v; want %s and %s", users, err, spA, spB)
	}
}
