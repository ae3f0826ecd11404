package ops_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/idptest/fixture"
	"vernal/idp/maillink"
	"vernal/idp/notify"
	"vernal/idp/usermail"
	"vernal/templates"
)

// outbox is a mail server that accepts everything.
type outbox struct{ mails []notify.Mail }

func (o *outbox) Send(_ context.Context, mails []notify.Mail) []error {
	o.mails = append(o.mails, mails...)
	return make([]error, len(mails))
}

// newInviter returns a service with mail in three languages, and a client of it.
func newInviter(t *testing.T) (*ops.Service, *fixture.Fixture, *outbox, *admin.Client) {
	t.Helper()
	s, f := newService(t)
	f.Languages = []templates.Lang{"en", "es", "fr"}
	f.Notices.Langs = f.Languages
	box := &outbox{}
	f.UserMails.Sender = box
	if err := f.UserMails.Tick(t.Context()); err != nil { // it begins to read the audit trail
		t.Fatal(err)
	}
	return s, f, box, admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
}

// lookup returns the invitation of a URL.
func lookup(t *testing.T, f *fixture.Fixture, link string) *maillink.Link {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, fixture.BaseURL+"/sign-up/confirm?") {
		t.Fatalf("%q: %v", link, err)
	}
	l, err := f.MailLinks.Lookup(t.Context(), maillink.Invitation, u.Query().Get("token"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// urlIn returns the link in a mail.
func urlIn(t *testing.T, text string) string {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		if strings.HasPrefix(word, fixture.BaseURL+"/sign-up/") {
			return word
		}
	}
	t.Fatalf("no link in %q", text)
	return ""
}

func TestInvitationIsMailed(t *testing.T) {
	t.Parallel()
	_, f, box, c := newInviter(t)
	if _, err := admin.Call(t.Context(), c, ops.AddUser, account.NewUser{Email: "has@example.gov", Password: "plum jam on nine windows"}); err != nil {
		t.Fatal(err)
	}
	if outcome, err := f.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: &idp.User{ID: "OLD", Lang: "fr", Emails: []idp.Email{{Address: "Old@example.gov", ConfirmedAt: testTime}}}}}); errors.Join(append(outcome, err)...) != nil {
		t.Fatal(err)
	}
	result, err := admin.Call(t.Context(), c, ops.InviteUsers, ops.InviteRequest{Lang: "es", Lines: []ops.InviteLine{
		{1, "ana@example.gov"}, {2, "has@example.gov"}, {3, "old@example.gov"}, {4, "nothing"}, {5, "bo@example.gov"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var invited, problems []string
	for _, i := range result.Invited {
		invited = append(invited, i.Email)
		if !i.Mailed || i.URL != "" || i.Created == (i.User == "OLD") || !i.ExpiresAt.Equal(testTime.Add(14*24*time.Hour)) {
			t.Errorf("%+v", i)
		}
	}
	for _, p := range result.Problems {
		problems = append(problems, p.Email+" "+p.Code)
	}
	if diff := cmp.Diff([]string{"ana@example.gov", "Old@example.gov", "bo@example.gov"}, invited); diff != "" {
		t.Errorf("invited (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"has@example.gov has_password", "nothing invalid"}, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if s := result.Problems[0].Suggestions; len(s) != 1 || s[0].Do != idp.DoUserSetPassword || s[0].Subjects[0] != "has@example.gov" {
		t.Errorf("suggestions %+v", s)
	}
	if err := f.UserMails.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(box.mails) != 3 {
		t.Fatalf("%d mails, want the invitations only", len(box.mails))
	}
	var mailed []string
	for _, m := range box.mails {
		mailed = append(mailed, m.To)
		l := lookup(t, f, urlIn(t, m.Text))
		u, err := f.Store.User(t.Context(), l.User)
		if err != nil || l.Email != m.To || l.Stamp != u.LinkStamp() || u.PasswordHash != "" || l.SP != "" || l.Request != "" {
			t.Errorf("mail to %s with %+v for %+v, %v", m.To, l, u, err)
		}
		if u.Lang != map[string]string{"Old@example.gov": "fr"}[m.To] && u.Lang != "es" {
			t.Errorf("%s has language %q", m.To, u.Lang)
		}
	}
	slices.Sort(mailed)
	if diff := cmp.Diff([]string{"Old@example.gov", "ana@example.gov", "bo@example.gov"}, mailed); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	records := auditKinds(t, f.Store)
	if n := strings.Count(strings.Join(records, "\n"), string(idp.AuditUserInvite)+" "+admin.Self().Actor()); n != 3 {
		t.Errorf("records %q", records)
	}
}

// TestLinksOfInvitationsAreShown checks an installation without mail, and one that is asked for
// the links. A second invitation leaves the first valid.
func TestLinksOfInvitationsAreShown(t *testing.T) {
	t.Parallel()
	_, f, box, c := newInviter(t)
	invite := func(req ops.InviteRequest) ops.Invitation {
		t.Helper()
		req.Lines = []ops.InviteLine{{Email: "ana@example.gov"}}
		result, err := admin.Call(t.Context(), c, ops.InviteUsers, req)
		if err != nil || len(result.Invited) != 1 {
			t.Fatalf("%+v, %v", result, err)
		}
		return result.Invited[0]
	}
	first := invite(ops.InviteRequest{ShowLinks: true})
	f.UserMails.Sender = nil
	second := invite(ops.InviteRequest{})
	if first.Mailed || second.Mailed || !first.Created || second.Created || first.URL == second.URL {
		t.Errorf("%+v, then %+v", first, second)
	}
	for _, i := range []ops.Invitation{first, second} {
		if l := lookup(t, f, i.URL); l.Email != "ana@example.gov" || l.User != i.User {
			t.Errorf("%+v", l)
		}
	}
	f.UserMails.Sender = box
	if err := f.UserMails.Tick(t.Context()); err != nil || len(box.mails) != 0 {
		t.Errorf("%d mails, %v", len(box.mails), err)
	}
}

func TestInviteRequestsAreChecked(t *testing.T) {
	t.Parallel()
	s, _, _, c := newInviter(t)
	_, err := admin.Call(t.Context(), c, ops.InviteUsers, ops.InviteRequest{Lang: "de", Lines: []ops.InviteLine{{Email: "ana@example.gov"}}})
	wantCode(t, "language", err, admin.CodeInvalid)
	_, err = admin.Call(t.Context(), c, ops.InviteUsers, ops.InviteRequest{Lines: make([]ops.InviteLine, ops.InviteBatch+1)})
	wantCode(t, "too many", err, admin.CodeBadRequest)
	// A server whose mail settings are wrong must not seem to have no mail server.
	s.MailErr = errors.New("no password")
	_, err = admin.Call(t.Context(), c, ops.InviteUsers, ops.InviteRequest{Lines: []ops.InviteLine{{Email: "ana@example.gov"}}})
	wantCode(t, "mail settings", err, admin.CodeRefused)
	if users, err := allUsers(t.Context(), c); err != nil || len(users) != 0 {
		t.Errorf("%+v, %v", users, err)
	}
}

// brokenStore fails at the writes of documents of one kind.
type brokenStore struct {
	idp.OwnedStore
	kind string
}

var errBroken = errors.New("the disk is full")

func (s *brokenStore) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	if kind == s.kind {
		return errBroken
	}
	return s.OwnedStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

// TestInvitationAfterFailure checks that a failure at each write leaves a user who can be invited
// again, and no mail whose link does not work.
func TestInvitationAfterFailure(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{maillink.RecordKind, usermail.RecordKind} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, f, box, c := newInviter(t)
			store := f.Store
			f.MailLinks.Store, f.UserMails.Store = &brokenStore{store, kind}, &brokenStore{store, kind}
			req := ops.InviteRequest{Lines: []ops.InviteLine{{Email: "ana@example.gov"}}}
			_, err := admin.Call(t.Context(), c, ops.InviteUsers, req)
			wantCode(t, "invite", err, admin.CodeInternal)
			f.MailLinks.Store, f.UserMails.Store = store, store
			result, err := admin.Call(t.Context(), c, ops.InviteUsers, req)
			if err != nil || len(result.Invited) != 1 || result.Invited[0].Created {
				t.Fatalf("%+v, %v", result, err)
			}
			if err := f.UserMails.Tick(t.Context()); err != nil || len(box.mails) != 1 {
				t.Fatalf("%d mails, %v", len(box.mails), err)
			}
			lookup(t, f, urlIn(t, box.mails[0].Text))
		})
	}
}

func TestEditUserByOperator(t *testing.T) {
	t.Parallel()
	_, _, _, c := newInviter(t)
	added, err := admin.Call(t.Context(), c, ops.AddUser, account.NewUser{Email: "ana@example.gov", Password: "plum jam on nine windows"})
	if err != nil {
		t.Fatal(err)
	}
	fr, de := "fr", "de"
	u, err := admin.Call(t.Context(), c, ops.EditUser, ops.EditUserRequest{Email: string(added.User.ID), Edit: account.Edit{
		Lang: &fr, AddEmails: []string{"ana.ruiz@example.gov"}, Primary: "ana.ruiz@example.gov",
	}})
	if err != nil || u.Lang != "fr" || len(u.Emails) != 2 || u.Emails[0].Address != "ana.ruiz@example.gov" || u.Emails[0].ConfirmedAt.IsZero() {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := admin.Call(t.Context(), c, ops.AddUser, account.NewUser{Email: "bo@example.gov", Password: "plum jam on nine windows"}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		email string
		edit  account.Edit
		code  admin.Code
	}{
		"language":       {"ana@example.gov", account.Edit{Lang: &de}, admin.CodeInvalid},
		"another user":   {"ana@example.gov", account.Edit{AddEmails: []string{"bo@example.gov"}}, admin.CodeExists},
		"no such user":   {"no@example.gov", account.Edit{Lang: &fr}, admin.CodeNotFound},
		"no such ID":     {"NONE", account.Edit{Lang: &fr}, admin.CodeNotFound},
		"not the user's": {"ana@example.gov", account.Edit{RemoveEmails: []string{"bo@example.gov"}}, admin.CodeInvalid},
	} {
		_, err := admin.Call(t.Context(), c, ops.EditUser, ops.EditUserRequest{Email: tt.email, Edit: tt.edit})
		wantCode(t, name, err, tt.code)
	}
}
