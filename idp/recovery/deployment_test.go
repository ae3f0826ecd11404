package recovery_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/notify"
)

// deployment is an identity provider that sends mails to an inbox.
type deployment struct {
	*idptest.IdP
	*inbox
	t   *testing.T
	ann *idptest.User
}

// inbox receives mails.
type inbox struct {
	mu    sync.Mutex
	mails []notify.Mail
}

func (b *inbox) Send(_ context.Context, mails []notify.Mail) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, mails...)
	return make([]error, len(mails))
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	return newWrappedDeployment(t, nil)
}

func newWrappedDeployment(t *testing.T, wrap func(idp.OwnedStore) idp.OwnedStore) *deployment {
	t.Helper()
	d := &deployment{IdP: idptest.New(t, idptest.Options{WrapStore: wrap}), inbox: &inbox{}, t: t}
	d.UserMails.Sender = d.inbox
	d.ann = d.AddUser("ann@example.gov")
	ok(t, d.UserMails.Tick(t.Context())) // notices begin here
	return d
}

// receive sends the queued mails and returns those to an email address since the last call.
func (d *deployment) receive(to string) (texts []string) {
	d.t.Helper()
	ok(d.t, d.UserMails.Tick(d.t.Context()))
	d.mu.Lock()
	defer d.mu.Unlock()
	var rest []notify.Mail
	for _, m := range d.mails {
		if m.To == to {
			texts = append(texts, m.Text)
		} else {
			rest = append(rest, m)
		}
	}
	d.mails = rest
	return texts
}

var linkPattern = regexp.MustCompile(`https?://\S+\?token=\S+`)

// receiveLink returns the path and query of the one link mailed to an email address.
func (d *deployment) receiveLink(to string) string {
	d.t.Helper()
	var links []string
	for _, text := range d.receive(to) {
		links = append(links, linkPattern.FindAllString(text, -1)...)
	}
	if len(links) != 1 {
		d.t.Fatalf("links to %s: %q", to, links)
	}
	path, isOurs := strings.CutPrefix(links[0], d.URL)
	if !isOurs {
		d.t.Fatalf("link %s", links[0])
	}
	return path
}

// forget asks for a link in a browser, through the link of the sign-in page.
func (d *deployment) forget(b *idptest.Browser, signIn *idptest.Page, email string) *idptest.Page {
	d.t.Helper()
	form := b.Get(d.findHref(signIn, "/sign-in/forgot")).Form()
	form.Fields.Set("email", email)
	page := b.Post(form.Action, form.Fields)
	d.checkStatus(page, http.StatusOK)
	return page
}

// findHref returns the link of a page that begins with a path.
func (d *deployment) findHref(page *idptest.Page, path string) string {
	d.t.Helper()
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllSubmatch(page.Body, -1) {
		if href := strings.ReplaceAll(string(m[1]), "&amp;", "&"); strings.HasPrefix(href, path) {
			return href
		}
	}
	d.t.Fatalf("%s has no link to %s:\n%s", page.URL, path, page.Text())
	return ""
}

const newPassword = "violets under the heavy rain"

// choose sends a new password with the form of a mailed link.
func (d *deployment) choose(b *idptest.Browser, link, password string) *idptest.Page {
	d.t.Helper()
	form := b.Get(link).Form()
	form.Fields.Set("password", password)
	return b.Post(form.Action, form.Fields)
}

// mailLink returns a mailed link to choose a new password.
func (d *deployment) mailLink() string {
	d.t.Helper()
	b := d.Browser()
	d.forget(b, b.Get("/sign-in"), d.ann.Email)
	return d.receiveLink(d.ann.Email)
}

func (d *deployment) checkStatus(page *idptest.Page, status int) {
	d.t.Helper()
	if page.Status != status {
		d.t.Fatalf("%s: status %d, want %d:\n%s", page.URL, page.Status, status, page.Text())
	}
}

// checkPath checks the path of a page and its status 200.
func (d *deployment) checkPath(page *idptest.Page, path string) {
	d.t.Helper()
	d.checkStatus(page, http.StatusOK)
	if page.URL.Path != path {
		d.t.Fatalf("at %s, want %s:\n%s", page.URL, path, page.Text())
	}
}

func (d *deployment) user() *idp.User {
	d.t.Helper()
	u, err := d.Store.User(d.t.Context(), d.ann.Record.ID)
	ok(d.t, err)
	return u
}

func (d *deployment) records(kind idp.AuditKind) (list []idp.AuditRecord) {
	d.t.Helper()
	records, err := audit.Records(d.t.Context(), d.Store, 0, 1000)
	ok(d.t, err)
	for _, r := range records {
		if r.Kind == kind {
			list = append(list, r)
		}
	}
	return list
}

// check compares the records with the rule of the decision, and counts them.
func (d *deployment) checkRecords(decision audit.Decision, count int) {
	d.t.Helper()
	list := d.records(decision.Rule().Kind)
	if len(list) != count {
		d.t.Errorf("%d records of %s, want %d", len(list), decision, count)
	}
	for _, r := range list {
		if err := decision.CheckRecord(&r); err != nil {
			d.t.Error(err)
		}
	}
}

// pending returns a browser at the code page, and the page.
func (d *deployment) pending() (*idptest.Browser, *idptest.Page) {
	d.t.Helper()
	b := d.Browser()
	page := b.GivePassword(b.Get("/sign-in"), d.ann)
	d.checkPath(page, "/sign-in/code")
	return b, page
}

// codes gives the user a set of recovery codes.
func (d *deployment) codes() []string {
	d.t.Helper()
	codes, err := d.Accounts.ReplaceRecoveryCodes(d.t.Context(), d.ann.Record.ID, idp.AuditEvent{Actor: "test"})
	ok(d.t, err)
	return codes
}

// giveRecoveryCode enters a recovery code from the link of the code page.
func (d *deployment) giveRecoveryCode(b *idptest.Browser, codePage *idptest.Page, code string) *idptest.Page {
	d.t.Helper()
	form := b.Get(d.findHref(codePage, "/sign-in/recovery-code")).Form()
	form.Fields.Set("code", code)
	return b.Post(form.Action, form.Fields)
}

func form(pairs ...string) url.Values {
	f := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	return f
}

const day = 24 * time.Hour
