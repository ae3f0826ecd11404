package accounthttp_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

// update changes a user in the store.
func update(t *testing.T, i *idptest.IdP, u *idptest.User, change func(*idp.User)) {
	t.Helper()
	if err := i.Store.UpdateUser(t.Context(), u.Record.ID, func(u *idp.User) error { change(u); return nil }); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, i *idptest.IdP, u *idptest.User) *idp.User {
	t.Helper()
	record, err := i.Store.User(t.Context(), u.Record.ID)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// records returns the audit records of a kind about a user.
func records(t *testing.T, i *idptest.IdP, u *idptest.User, kind idp.AuditKind) (found []idp.AuditRecord) {
	t.Helper()
	all, err := audit.UserRecords(t.Context(), i.Store, u.Record.ID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r idp.AuditRecord) bool { return r.Kind != kind })
}

// posted returns whether a page has a form for a path, and the values of a field in all forms and
// buttons for it.
func posted(page *idptest.Page, path, field string) (values []string) {
	for form := range page.Doc.Descendants() {
		if form.Data != "form" || attribute(form, "action") != path {
			continue
		}
		for n := range form.Descendants() {
			if (n.Data == "input" || n.Data == "button") && attribute(n, "name") == field {
				values = append(values, attribute(n, "value"))
			}
		}
	}
	return values
}

const (
	withdrawPath = "/account/services/withdraw"
	emailPath    = "/account/services/email"
)

// connect gives a user a consent for each service provider.
func connect(t *testing.T, i *idptest.IdP, u *idptest.User, sps ...idp.EntityID) {
	t.Helper()
	update(t, i, u, func(u *idp.User) {
		for _, sp := range sps {
			now := i.Clock.Now()
			u.Services = append(u.Services, idp.ConnectedService{SP: sp, FirstAt: now, LastAt: now, ConsentAt: now, Attributes: []string{"email", "first_name"}})
		}
	})
}

func TestUserWithdrawsConsent(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
	i.AddProvider("https://a.example")
	connect(t, i, ann, "https://a.example", "https://gone.example")
	connect(t, i, bob, "https://a.example")
	here, _ := signIn(t, i, ann)
	there, _ := signIn(t, i, ann)

	page := here.Get("/account/services")
	if got := posted(page, withdrawPath, "service"); !slices.Equal(got, []string{"https://a.example", "https://gone.example"}) {
		t.Fatalf("services with consent: %v", got)
	}
	form := url.Values{"service": {"https://a.example"}}
	checkPage(t, here.CrossSitePost(withdrawPath, form), http.StatusForbidden)
	checkPage(t, here.Post(withdrawPath, nil), http.StatusBadRequest)
	i.Browser().Post(withdrawPath, form) // no session
	here.Post(withdrawPath, url.Values{"service": {"https://never.example"}})
	if u := load(t, i, ann); !u.Services[0].HasConsent() || len(records(t, i, ann, idp.AuditUserConsent)) != 0 {
		t.Fatal("a consent was withdrawn without the user's form")
	}

	i.Clock.Advance(1)
	for range 2 { // sent twice, also from another tab
		if page := here.Post(withdrawPath, form); page.Status != http.StatusOK || page.URL.Path != "/account/services" || page.URL.Query().Get("done") == "" {
			t.Fatalf("%d %s", page.Status, page.URL)
		}
	}
	s := load(t, i, ann).Service("https://a.example")
	if s.HasConsent() || s.WithdrawnAt.IsZero() || len(s.Attributes) != 0 || s.ConsentAt.IsZero() {
		t.Errorf("the record is %+v", s)
	}
	if u := load(t, i, ann); !u.Service("https://gone.example").HasConsent() || !load(t, i, bob).Service("https://a.example").HasConsent() {
		t.Error("another consent was withdrawn too")
	}
	found := records(t, i, ann, idp.AuditUserConsent)
	if len(found) != 1 {
		t.Fatalf("%d records", len(found))
	}
	if err := audit.ConsentWithdrawn.CheckRecord(&found[0]); err != nil || found[0].SP != "https://a.example" {
		t.Errorf("%v: %+v", err, found[0])
	}
	if got := posted(there.Get("/account/services"), withdrawPath, "service"); !slices.Equal(got, []string{"https://gone.example"}) {
		t.Errorf("no session may end, and the other tab shows %v", got)
	}
}

func TestUserChoosesEmailOfService(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	i.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.Attributes = []string{"email"} })
	i.AddProvider("https://b.example", func(p *idp.ServiceProvider) {
		p.Attributes, p.NameIDFormats = []string{"first_name"}, []string{idp.NameIDFormatPersistent}
	})
	connect(t, i, ann, "https://a.example", "https://b.example")
	b, _ := signIn(t, i, ann)
	if got := posted(b.Get("/account/services"), emailPath, "email"); len(got) != 0 {
		t.Errorf("one email address, and a choice of %v", got)
	}
	update(t, i, ann, func(u *idp.User) {
		u.Emails = append(u.Emails, idp.Email{Address: "second@example.gov", ConfirmedAt: i.Clock.Now()}, idp.Email{Address: "new@example.gov"})
	})
	page := b.Get("/account/services")
	if got := posted(page, emailPath, "service"); !slices.Equal(got, []string{"https://a.example"}) {
		t.Errorf("the email address of %v can be chosen", got)
	}
	if got := posted(page, emailPath, "email"); !slices.Equal(got, []string{"ann@example.gov", "second@example.gov"}) {
		t.Errorf("the choice is %v", got)
	}
	choose := func(sp, email string) *idptest.Page {
		return b.Post(emailPath, url.Values{"service": {sp}, "email": {email}})
	}
	for _, wrong := range [][2]string{{"https://a.example", "new@example.gov"}, {"https://a.example", "bob@example.gov"}, {"https://b.example", "second@example.gov"}, {"https://no.example", "second@example.gov"}} {
		if page := choose(wrong[0], wrong[1]); page.URL.Query().Has("done") {
			t.Errorf("%v was chosen", wrong)
		}
	}
	if n := len(records(t, i, ann, idp.AuditUserEditEmail)); n != 0 {
		t.Errorf("%d records of refused choices", n)
	}
	for range 2 {
		choose("https://a.example", "SECOND@example.gov")
	}
	if s := load(t, i, ann).Service("https://a.example"); s.Email != "second@example.gov" {
		t.Errorf("the record is %+v", s)
	}
	found := records(t, i, ann, idp.AuditUserEditEmail)
	if len(found) != 1 {
		t.Fatalf("%d records", len(found))
	}
	if err := audit.ServiceEmailChosen.CheckRecord(&found[0]); err != nil || strings.Contains(found[0].Detail["email"], "@") {
		t.Errorf("%v: %+v", err, found[0])
	}
	choose("https://a.example", "")
	if s := load(t, i, ann).Service("https://a.example"); s.Email != "" {
		t.Errorf("the record is %+v", s)
	}
}

func TestUserChoosesLanguageOfMails(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b, _ := signIn(t, i, ann)
	if got := posted(b.Get("/account"), "/account/language", "mail_language"); !slices.Equal(got, []string{"es", "fr"}) {
		t.Fatalf("the choice is %v", got)
	}
	checkPage(t, b.Post("/account/language", url.Values{"mail_language": {"de"}}), http.StatusBadRequest)
	checkPage(t, b.CrossSitePost("/account/language", url.Values{"mail_language": {"fr"}}), http.StatusForbidden)
	for range 2 {
		page := b.Post("/account/language", url.Values{"mail_language": {"fr"}})
		if page.URL.Path != "/account" || page.Header.Get("Content-Language") != "en" {
			t.Errorf("%s in %s", page.URL, page.Header.Get("Content-Language"))
		}
	}
	if u := load(t, i, ann); u.Lang != "fr" {
		t.Errorf("the language is %q", u.Lang)
	}
	if found := records(t, i, ann, idp.AuditUserEditLang); len(found) != 1 || audit.LangChosen.CheckRecord(&found[0]) != nil {
		t.Errorf("records: %+v", found)
	}
	if got := posted(b.Get("/account"), "/account/language", "mail_language"); !slices.Equal(got, []string{"en", "es"}) {
		t.Errorf("the choice is %v", got)
	}
}
