package recovery_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/maillink"
)

// A recovery code is the second factor of a sign-in for a service. Afterwards the user learns how many
// are left.
func TestRecoveryCodeSignsIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	codes := d.codes()
	d.receive(d.ann.Email)
	for n, classRefs := range [][]string{nil, {"http://idmanagement.gov/ns/assurance/aal/2"}} {
		sp, b := d.AddProvider("https://"+[]string{"a", "b"}[n]+".example"), d.Browser()
		page := b.GivePassword(b.Get(sp.URL(&idptest.Request{ClassRefs: classRefs})), d.ann)
		page = d.giveRecoveryCode(b, page, strings.ToLower(codes[n]))
		d.checkPath(page, "/sign-in/recovery-code/used")
		if got := d.user().RecoveryCodeCount(); got != account.RecoveryCodeCount-n-1 {
			t.Errorf("%d codes left", got)
		}
		d.checkPath(b.Get(page.URL.String()), "/sign-in/recovery-code/used") // reload
		if page := b.Get(d.findHref(page, "/sign-in/continue")); page.Response() == nil {
			t.Errorf("no Response, but %d %s:\n%s", page.Status, page.URL, page.Text())
		}
		if got := d.receive(d.ann.Email); len(got) != 1+n { // the second browser is new to the account
			t.Errorf("notices %q", got)
		}
	}
	d.checkRecords(audit.RecoveryCodeUsed, 2)
	list := d.records(idp.AuditAuthn)
	if len(list) != 2 || list[0].Detail["factors"] != "password+recovery-code" || list[0].Detail["remembered"] != "" {
		t.Errorf("records %+v", list)
	}
}

// A service that asks for a phishing-resistant factor does not accept a recovery code.
func TestRecoveryCodeIsNotPhishingResistant(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	codes := d.codes()
	sp := d.AddProvider("https://a.example")
	b, page := d.pending()
	d.checkPath(d.giveRecoveryCode(b, page, codes[0]), "/sign-in/recovery-code/used")
	page = b.Get(sp.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/3"}}))
	if page.Response() != nil || page.Status != http.StatusBadRequest {
		t.Errorf("%d %s", page.Status, page.URL)
	}
}

// A browser is never remembered with a recovery code, even if the form asks for it.
func TestRecoveryCodeRemembersNoBrowser(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	codes := d.codes()
	b, page := d.pending()
	f := b.Get(d.findHref(page, "/sign-in/recovery-code")).Form()
	if f.Fields.Has("remember") {
		t.Error("offered")
	}
	f.Fields.Set("code", codes[0])
	f.Fields.Set("remember", "yes")
	d.checkPath(b.Post(f.Action, f.Fields), "/sign-in/recovery-code/used")
	if n := len(d.user().Devices); n != 0 {
		t.Errorf("%d devices", n)
	}
}

// The pages and the answers are the same with and without recovery codes, until the limit, which codes
// share.
func TestRecoveryCodePageIsNoOracle(t *testing.T) {
	t.Parallel()
	var bodies []string
	var changes []uint64
	for _, hasCodes := range []bool{true, false} {
		d := newDeployment(t)
		var codes []string
		if hasCodes {
			codes = d.codes()
		}
		b, page := d.pending()
		first := b.Get(d.findHref(page, "/sign-in/recovery-code"))
		slip := b.Post("/sign-in/recovery-code", form("code", "123"))
		d.checkStatus(slip, http.StatusUnprocessableEntity)
		before := d.Changes()
		wrong := b.Post("/sign-in/recovery-code", form("code", "8F3K-22XM-PQ7D"))
		changes = append(changes, d.Changes()-before)
		d.checkStatus(wrong, http.StatusUnprocessableEntity)
		for range account.DefaultLimits().Code.Max - 1 {
			d.checkStatus(b.Post("/sign-in/code", form("code", "000000")), http.StatusUnprocessableEntity)
		}
		throttled := b.Post("/sign-in/recovery-code", form("code", "8F3K-22XM-PQ7D"))
		d.checkStatus(throttled, http.StatusTooManyRequests)
		if hasCodes {
			d.checkStatus(b.Post("/sign-in/recovery-code", form("code", codes[0])), http.StatusTooManyRequests)
		}
		all := ""
		for _, p := range []*idptest.Page{first, slip, wrong, throttled} {
			all += p.Text()
		}
		bodies = append(bodies, all)
	}
	if bodies[0] != bodies[1] || changes[0] != changes[1] {
		t.Errorf("changes %v, pages\n%s\n---\n%s", changes, bodies[0], bodies[1])
	}
}

// A code that is sent twice, by a second click or another tab, signs in once and ends at the page of
// the signed-in user. Back and reload lead on, too.
func TestRecoveryCodeInTwoTabs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	codes := d.codes()
	b, page := d.pending()
	href := d.findHref(page, "/sign-in/recovery-code")
	f := b.Get(href).Form()
	f.Fields.Set("code", codes[0])
	pages := make([]*idptest.Page, 3)
	var wg sync.WaitGroup
	for i := range pages {
		wg.Go(func() { pages[i] = b.Post(f.Action, f.Fields) })
	}
	wg.Wait()
	if d.user().RecoveryCodeCount() != account.RecoveryCodeCount-1 {
		t.Errorf("%d codes left", d.user().RecoveryCodeCount())
	}
	d.checkPath(b.Get(href), "/account")
	d.checkPath(b.Post(f.Action, f.Fields), "/account")
	d.checkPath(d.Browser().Get("/sign-in/recovery-code/used"), "/sign-in")
	stranger := d.Browser().Get("/sign-in/recovery-code")
	d.checkStatus(stranger, http.StatusUnprocessableEntity)
	if !stranger.Form().Fields.Has("password") {
		t.Errorf("a stranger sees %s", stranger.Text())
	}
}

// A code of another user, and one of an earlier set, is wrong.
func TestRecoveryCodeBelongsToUser(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	earlier := d.codes()
	d.codes()
	bob := d.AddUser("bob@example.gov")
	bobs, err := d.Accounts.ReplaceRecoveryCodes(t.Context(), bob.Record.ID, idp.AuditEvent{Actor: "test"})
	ok(t, err)
	b, page := d.pending()
	for _, code := range []string{earlier[0], bobs[0]} {
		d.checkStatus(d.giveRecoveryCode(b, page, code), http.StatusUnprocessableEntity)
	}
	d.checkRecords(audit.CodeWrong, 2)
}

// The time for the code can be extended, and the page stays the same in another language.
func TestRecoveryCodePageGivesMoreTime(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	b, page := d.pending()
	f := b.Get(d.findHref(page, "/sign-in/recovery-code")).Form()
	f.Fields.Set("more", "yes")
	page = b.Post(f.Action, f.Fields)
	d.checkStatus(page, http.StatusOK)
	if got := page.Form(); got.Action != "/sign-in/recovery-code" || got.Fields.Get("notice") == "" {
		t.Errorf("form %+v", got)
	}
	page = b.Post("/sign-in/recovery-code", form("language", "es", "problem", "recovery.problem.code_wrong"))
	if got := page.Form(); got.Action != "/sign-in/recovery-code" || got.Fields.Get("problem") == "" {
		t.Errorf("form %+v", got)
	}
}

// lose returns a browser at the lost page, and the page.
func (d *deployment) lose() (*idptest.Browser, *idptest.Page) {
	d.t.Helper()
	b, page := d.pending()
	page = b.Get(d.findHref(page, "/sign-in/lost"))
	d.checkPath(page, "/sign-in/lost")
	return b, page
}

// addEmail adds an email address to the user.
func (d *deployment) addEmail(address string, isConfirmed bool) {
	d.t.Helper()
	ok(d.t, d.Store.UpdateUser(d.t.Context(), d.ann.Record.ID, func(u *idp.User) error {
		e := idp.Email{Address: address}
		if isConfirmed {
			e.ConfirmedAt = d.Clock.Now()
		}
		u.Emails = append(u.Emails, e)
		return nil
	}))
}

// A user who lost the second factor and everything else plans the deletion of the account. Each
// confirmed email address gets a link that cancels it.
func TestLostUserPlansDeletion(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addEmail("ann@example.org", true)
	d.addEmail("ann@example.net", false)
	b, page := d.lose()
	f := page.Form()
	d.checkStatus(b.Post(f.Action, f.Fields), http.StatusUnprocessableEntity)
	if !d.user().DeletionAt.IsZero() {
		t.Fatal("planned without a confirmation")
	}
	f.Fields.Set("confirm", "yes")
	dueAt := d.Clock.Now().Add(account.LostDeletionWait)
	for range 2 { // sent twice
		page = b.Post(f.Action, f.Fields)
		d.checkPath(page, "/sign-in/lost")
		if page.Form().Action == f.Action {
			t.Error("offered again")
		}
	}
	if got := d.user().DeletionAt; !got.Equal(dueAt) {
		t.Errorf("planned for %s", got)
	}
	d.checkRecords(audit.DeletionPlanned, 1)
	links := []string{d.receiveLink(d.ann.Email), d.receiveLink("ann@example.org")}
	if len(d.receive("ann@example.net")) != 0 {
		t.Error("a mail to an unconfirmed email address")
	}

	// A GET changes nothing. The POST of either link cancels, in any browser.
	other := d.Browser()
	for _, link := range links {
		d.checkStatus(other.Get(link), http.StatusOK)
	}
	if d.user().DeletionAt.IsZero() {
		t.Fatal("canceled by a GET")
	}
	keep := other.Get(links[1]).Form()
	page = other.Post(keep.Action, keep.Fields)
	d.checkStatus(page, http.StatusOK)
	d.findHref(page, "/sign-in/forgot")
	if !d.user().DeletionAt.IsZero() {
		t.Error("not canceled")
	}
	for _, link := range links {
		_, token, _ := strings.Cut(link, "token=")
		d.checkStatus(other.Get(link), http.StatusGone)
		d.checkStatus(other.Post("/sign-in/keep-account", form("token", token)), http.StatusGone)
	}
	d.checkRecords(audit.DeletionCanceled, 1)
	if got := d.receive(d.ann.Email); len(got) != 1 { // the notice
		t.Errorf("mails %q", got)
	}
}

// The links of the deletion serve no other purpose, and expire.
func TestKeepLinkServesItsPurpose(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	b, page := d.lose()
	f := page.Form()
	f.Fields.Set("confirm", "yes")
	b.Post(f.Action, f.Fields)
	_, token, _ := strings.Cut(d.receiveLink(d.ann.Email), "token=")
	d.checkStatus(b.Post("/sign-in/reset", form("token", token, "password", newPassword)), http.StatusGone)
	reset := d.mailLink()
	_, resetToken, _ := strings.Cut(reset, "token=")
	d.checkStatus(b.Post("/sign-in/keep-account", form("token", resetToken)), http.StatusGone)
	d.checkStatus(b.Post("/sign-in/keep-account", nil), http.StatusGone)
	d.checkStatus(b.CrossSitePost("/sign-in/keep-account", form("token", token)), http.StatusForbidden)
	if d.user().DeletionAt.IsZero() {
		t.Error("canceled")
	}
	d.Clock.Advance(maillink.CancelDeletion.Lifetime())
	d.checkStatus(b.Post("/sign-in/keep-account", form("token", token)), http.StatusGone)
	if d.user().DeletionAt.IsZero() {
		t.Error("canceled by an expired link")
	}
}

// Without a password, a mail server or a confirmed email address, no deletion is offered.
func TestLostPageNeedsPasswordAndMail(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	stranger := d.Browser()
	for _, page := range []*idptest.Page{stranger.Get("/sign-in/lost"), stranger.Post("/sign-in/lost", form("confirm", "yes"))} {
		d.checkStatus(page, http.StatusUnprocessableEntity)
		if !page.Form().Fields.Has("password") {
			t.Errorf("a stranger sees %s", page.Text())
		}
	}
	signedIn := d.Browser()
	signedIn.SignIn(signedIn.Get("/sign-in"), d.ann)
	d.checkPath(signedIn.Get("/sign-in/lost"), "/account")

	b, _ := d.lose()
	d.UserMails.Sender = nil
	page := b.Post("/sign-in/lost", form("confirm", "yes"))
	d.checkPath(page, "/sign-in/lost")
	d.findHref(page, "/sign-in/recovery-code")
	d.UserMails.Sender = d.inbox
	ok(t, d.Store.UpdateUser(t.Context(), d.ann.Record.ID, func(u *idp.User) error { u.Emails[0].ConfirmedAt = u.DeletionAt; return nil }))
	b.Post("/sign-in/lost", form("confirm", "yes"))
	if !d.user().DeletionAt.IsZero() {
		t.Error("planned")
	}
	_, err := d.Accounts.Lock(t.Context(), d.ann.Email, "", "test")
	ok(t, err)
	b.Post("/sign-in/lost", form("confirm", "yes"))
	if !d.user().DeletionAt.IsZero() {
		t.Error("planned for a locked account")
	}
}

// A failure of any write plans no deletion without a mail.
func TestPlanSurvivesFailedWrites(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 3; n++ {
		d := newDeployment(t)
		b, page := d.lose()
		store := &failingStore{OwnedStore: d.Store, left: n}
		d.Accounts.Store, d.MailLinks.Store, d.UserMails.Store = store, store, userMailStore{store, d.Store}
		f := page.Form()
		f.Fields.Set("confirm", "yes")
		if page := b.Post(f.Action, f.Fields); page.Status < 500 {
			t.Fatalf("%d: status %d", n, page.Status)
		}
		if !d.user().DeletionAt.IsZero() {
			t.Errorf("%d: planned", n)
		}
		store.left = 0
		d.checkPath(b.Post(f.Action, f.Fields), "/sign-in/lost")
		if d.user().DeletionAt.IsZero() {
			t.Errorf("%d: not planned", n)
		}
		if got := d.receive(d.ann.Email); len(got) == 0 {
			t.Errorf("%d: no mail", n)
		}
	}
}

// userMailStore fails only the queue.
type userMailStore struct {
	*failingStore
	idp.AuditStore
}

// Every journey ends with a link to help, support and, with a request, to the service.
func TestEveryPageHasNextStep(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	sp := d.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.ReturnToSPURL = "https://a.example/back" })
	b := d.Browser()
	signIn := b.Get(sp.URL(&idptest.Request{}))
	forgot := b.Get(d.findHref(signIn, "/sign-in/forgot"))
	sent := d.forget(b, signIn, d.ann.Email)
	code := b.GivePassword(signIn, d.ann)
	recovery := b.Get(d.findHref(code, "/sign-in/recovery-code"))
	lost := b.Get(d.findHref(recovery, "/sign-in/lost"))
	for _, page := range []*idptest.Page{forgot, sent, code, recovery, lost} {
		d.findHref(page, "https://a.example/back")
		d.findHref(page, "/help/lost")
	}
	if ids := slices.Collect(func(yield func(string) bool) {
		for _, page := range []*idptest.Page{forgot, sent, code, recovery, lost} {
			if !yield(page.Form().Fields.Get("request")) {
				return
			}
		}
	}); slices.Contains(ids, "") {
		t.Errorf("requests %q", ids)
	}
	d.checkStatus(b.Get("/help/lost"), http.StatusOK)
}

// The lost page keeps its problems in another language, and plans nothing.
func TestLostPageInAnotherLanguage(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	b, page := d.lose()
	fields := b.Post("/sign-in/lost", page.Form().Fields).Form().Fields
	fields.Set("language", "es")
	fields.Set("confirm", "yes")
	page = b.Post("/sign-in/lost", fields)
	d.checkStatus(page, http.StatusOK)
	if page.Header.Get("Content-Language") != "es" || page.Form().Fields.Get("problem") == "" || !d.user().DeletionAt.IsZero() {
		t.Errorf("fields %v", page.Form().Fields)
	}
}
