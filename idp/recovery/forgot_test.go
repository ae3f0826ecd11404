package recovery_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
)

// answer is everything that a sender can see or count.
type answer struct {
	Status  int
	Body    string
	Changes uint64
	Links   int
	Mails   int
}

// The answer is the same whether the email address has an account, and in every state of it.
func TestForgotDisclosesNothing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ctx := t.Context()
	for _, name := range []string{"locked", "planned", "bare", "unproved"} {
		d.AddUser(name + "@example.gov")
	}
	_, err := d.Accounts.Lock(ctx, "locked@example.gov", "", "test")
	ok(t, err)
	change := func(email string, change func(u *idp.User)) {
		u, err := d.Accounts.Lookup(ctx, email)
		ok(t, err)
		ok(t, d.Store.UpdateUser(ctx, u.ID, func(u *idp.User) error { change(u); return nil }))
	}
	change("planned@example.gov", func(u *idp.User) { u.DeletionAt = d.Clock.Now().Add(day) })
	change("bare@example.gov", func(u *idp.User) { u.PasswordHash, u.TOTPs, u.Lang = "", nil, "fr" })
	change("unproved@example.gov", func(u *idp.User) { u.Emails[0].ConfirmedAt = time.Time{} })
	count := func(kind string) int {
		docs, err := d.Store.Documents(ctx, kind, idp.DocumentQuery{All: true})
		ok(t, err)
		return len(docs)
	}
	var want *answer
	for _, tt := range []struct {
		name  string
		links int
	}{{"ann", 1}, {"unknown", 0}, {"locked", 1}, {"planned", 1}, {"bare", 1}, {"unproved", 0}} {
		email, b := tt.name+"@example.gov", d.Browser()
		d.receive(email)
		before, links, mails := d.Changes(), count(maillink.RecordKind), count(usermail.RecordKind)
		page := b.Post("/sign-in/forgot", form("email", email))
		got := &answer{page.Status, strings.ReplaceAll(string(page.Body), email, "X"), d.Changes() - before,
			count(maillink.RecordKind) - links, count(usermail.RecordKind) - mails}
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		texts := d.receive(email)
		if len(texts) != 1 || len(linkPattern.FindAllString(texts[0], -1)) != tt.links {
			t.Errorf("%s: mails %q", tt.name, texts)
		}
	}
	if want.Status != http.StatusOK || want.Links != 1 || want.Mails != 1 {
		t.Errorf("answer %+v", want)
	}
}

// Mails are limited per email address and per network, with or without an account. The page keeps the
// email address, says how long to wait, and no mail is sent.
func TestForgotLimitsMails(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	limit := account.DefaultLimits().MailEmail.Max
	for _, email := range []string{"ann@example.gov", "unknown@example.gov"} {
		b := d.Browser()
		var statuses []int
		var page *idptest.Page
		for range limit + 1 {
			page = b.Post("/sign-in/forgot", form("email", email))
			statuses = append(statuses, page.Status)
		}
		want := slices.Repeat([]int{http.StatusOK}, limit)
		if !slices.Equal(statuses, append(want, http.StatusTooManyRequests)) || page.Header.Get("Retry-After") == "" || page.Form().Fields.Get("email") != email {
			t.Errorf("%s: statuses %v, %s", email, statuses, page.Text())
		}
		if got := d.receive(email); len(got) != limit {
			t.Errorf("%d mails", len(got))
		}
	}
	ok(t, d.Trail.Refusals.Flush(t.Context()))
	d.checkRecords(audit.MailThrottled, 2)
}

// The page keeps what was typed on errors and in another language, and names the email address after
// it. Switching the language of the answer sends no mail.
func TestForgotKeepsInput(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	b := d.Browser()
	for _, typed := range []string{"", "ann", "ann@", "a b@example.gov", strings.Repeat("a", 300) + "@example.gov"} {
		page := b.Post("/sign-in/forgot", form("email", typed))
		d.checkStatus(page, http.StatusUnprocessableEntity)
		if page.Form().Fields.Get("email") != typed || page.Form().Fields.Get("problem") == "" {
			t.Errorf("%q: fields %v", typed, page.Form().Fields)
		}
		page = b.Post("/sign-in/forgot", form("email", typed, "problem", page.Form().Fields.Get("problem"), "language", "es"))
		if page.Status != http.StatusOK || page.Form().Fields.Get("email") != typed || page.Form().Fields.Get("problem") == "" || !strings.Contains(string(page.Body), `lang="es"`) {
			t.Errorf("%q in Spanish: %d, fields %v", typed, page.Status, page.Form().Fields)
		}
	}
	page := b.Post("/sign-in/forgot", form("email", " ann@EXAMPLE.gov "))
	sent := page.Form().Fields
	if sent.Get("email") != "ann@example.gov" || sent.Get("sent") != "yes" {
		t.Errorf("fields %v", sent)
	}
	d.receiveLink(d.ann.Email)
	sent.Set("language", "fr")
	page = b.Post("/sign-in/forgot", sent)
	if page.Form().Fields.Get("sent") != "yes" || len(d.receive(d.ann.Email)) != 0 {
		t.Errorf("the language was switched: %s", page.Text())
	}
	fields := page.Form().Fields
	d.checkStatus(b.Post("/sign-in/forgot", fields), http.StatusOK) // again
	d.receiveLink(d.ann.Email)
	d.checkStatus(b.CrossSitePost("/sign-in/forgot", form("email", d.ann.Email)), http.StatusForbidden)
}

// Without a mail server, the page leads to support.
func TestForgotWithoutMailServer(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.UserMails.Sender = nil
	b := d.Browser()
	before := d.Changes()
	for _, page := range []*idptest.Page{b.Get("/sign-in/forgot"), b.Post("/sign-in/forgot", form("email", d.ann.Email))} {
		d.checkStatus(page, http.StatusOK)
		if page.Form().Fields.Has("email") {
			t.Errorf("asks for an email address:\n%s", page.Text())
		}
		d.findHref(page, "/sign-in")
	}
	if d.Changes() != before {
		t.Error("the store changed")
	}
}
