package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
)

// decisionDeployment is a whole identity provider whose next year is not published.
type decisionDeployment struct {
	*idptest.IdP
	t      *testing.T
	next   idp.Year
	last   uint64
	walked map[audit.Decision]bool
}

func newDecisionDeployment(t *testing.T) *decisionDeployment {
	t.Helper()
	years := rotation.DefaultPolicy().FirstYears(time.Now().UTC())
	at, err := time.Parse("2006", string(years[len(years)-1]))
	ok(t, err)
	next := idp.Year(at.AddDate(1, 0, 0).Format("2006"))
	return &decisionDeployment{IdP: idptest.New(t, idptest.Options{Years: []idp.Year{next}, TLS: true}), t: t, next: next, walked: map[audit.Decision]bool{}}
}

// anyUser matches a user whose ID is not known in advance.
const anyUser idp.UserID = "*"

// leaves walks one exit and checks that it leaves the records of the decisions, in
// their order, and no others. All of them name the user.
func (w *decisionDeployment) leaves(name string, do func(), user idp.UserID, want ...audit.Decision) []idp.AuditRecord {
	w.t.Helper()
	found, err := w.Trail.FindBefore(w.t.Context(), 0, audit.Filter{}, 1)
	ok(w.t, err)
	w.last = found.Last
	do()
	after, err := w.Trail.FindAfter(w.t.Context(), w.last, audit.Filter{}, 100)
	ok(w.t, err)
	records := after.Records
	if len(records) != len(want) {
		w.t.Errorf("%s left %d records, want %v: %+v", name, len(records), want, records)
		return nil
	}
	for i, d := range want {
		w.walked[d] = true
		if err := d.CheckRecord(&records[i]); err != nil {
			w.t.Errorf("%s: %v", name, err)
		}
		if records[i].User != user && (user != anyUser || records[i].User == "") {
			w.t.Errorf("%s: the record of %s names user %q, want %q", name, d, records[i].User, user)
		}
	}
	return records
}

// TestEveryDecisionIsRecorded walks the decisions that package authn does not make:
// previews, answers to service providers, exports and account changes. A decision
// that neither this test walks nor package authn makes is one that no test holds.
func TestEveryDecisionIsRecorded(t *testing.T) {
	t.Parallel()
	w := newDecisionDeployment(t)
	ctx := t.Context()
	provider := w.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.LogoutURL = "https://a.example/slo" })
	byField := w.AddProvider("https://field.example", func(p *idp.ServiceProvider) { p.Preview, p.LogoutURL = w.next, "https://field.example/slo" })
	ana := w.AddUser("ana@example.gov")
	_, token, err := w.Links.Create(ctx, sharelink.Link{Kind: sharelink.Preview, Year: w.next, SP: "https://a.example", ExpiresAt: w.Clock.Now().Add(time.Hour)}, "test")
	ok(t, err)
	open := "/developers/preview?link=" + url.QueryEscape(token)
	metadata := w.URL + "/api/saml/metadata" + string(w.next)
	plain := func(address string) {
		resp, err := w.Client.Get(address)
		ok(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		ok(t, err)
		ok(t, resp.Body.Close())
	}
	next := func() *idptest.Request { return &idptest.Request{Year: w.next} }

	// Previews, opened by a browser without a session and by a signed-in user.
	stranger := w.Browser()
	w.leaves("no link", func() { stranger.Get("/developers/preview?link=none.none") }, "")
	w.leaves("unpublished year without a link", func() { stranger.Get(provider.URL(next())) }, "")
	w.leaves("the head of a link", func() { stranger.Head(open) }, "")
	w.leaves("link opened", func() { stranger.Get(open) }, "", audit.PreviewOpened)
	w.leaves("page of previews", func() { stranger.Get("/developers/preview") }, "")
	w.leaves("request by link", func() { stranger.Get(provider.URL(next())) }, "", audit.PreviewAdmitted)
	w.leaves("posted request by link", func() {
		stranger.CrossSitePost("/api/saml/auth"+string(w.next), provider.Form(next()))
	}, "", audit.PreviewAdmitted)
	w.leaves("request by registration", func() { w.Browser().Get(byField.URL(next())) }, "", audit.PreviewAdmitted)
	w.leaves("metadata by link", func() { plain(metadata + "?preview=" + url.QueryEscape(token)) }, "", audit.PreviewFetched)
	w.leaves("certificate by link", func() {
		plain(w.URL + "/api/saml/certificate" + string(w.next) + ".pem?preview=" + url.QueryEscape(token))
	}, "", audit.PreviewFetched)
	w.leaves("metadata without link", func() { plain(metadata) }, "")

	// Answers to a service provider.
	verified := w.AddProvider("https://v.example", func(p *idp.ServiceProvider) { p.IAL = idp.IALVerified })
	known := w.Browser()
	known.SignIn(known.Get("/sign-in"), ana)
	w.leaves("link opened by a user", func() { known.Get(open) }, ana.Record.ID, audit.PreviewOpened)
	w.leaves("assertion", func() { known.Get(provider.URL(&idptest.Request{})) }, ana.Record.ID, audit.AssertionIssued)
	w.leaves("assertion of an unpublished year", func() { known.Get(byField.URL(next())) }, ana.Record.ID, audit.PreviewAdmitted, audit.AssertionIssued)
	w.leaves("no one may be asked", func() { w.Browser().Get(provider.URL(&idptest.Request{IsPassive: true})) }, "", audit.NoPassive)
	w.leaves("the user may not be asked", func() {
		known.Get(provider.URL(&idptest.Request{IsPassive: true, ForceAuthn: true}))
	}, ana.Record.ID, audit.NoPassive)
	w.leaves("not proofed", func() {
		known.Get(verified.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/2"}}))
	}, ana.Record.ID, audit.NotVerified)

	// Logout, by the browser and from the service provider's server.
	registered, err := w.Registry.Lookup(ctx, idp.EntityID(provider.EntityID))
	ok(t, err)
	name, err := w.Store.NameID(ctx, registered.NameIDScope, ana.Record.ID)
	ok(t, err)
	w.leaves("logout of no one", func() { w.Browser().Get(provider.LogoutURL(&idptest.LogoutRequest{NameID: "none"})) }, "", audit.LoggedOut)
	w.leaves("logout of another user", func() { known.Get(provider.LogoutURL(&idptest.LogoutRequest{NameID: "none"})) }, "", audit.LogoutUnknown)
	w.leaves("logout", func() { known.Get(provider.LogoutURL(&idptest.LogoutRequest{NameID: string(name)})) }, ana.Record.ID, audit.LoggedOut)
	w.leaves("remote logout of no one", func() {
		provider.SendRemoteLogout(&idptest.LogoutRequest{NameID: "none", Remote: true})
	}, "", audit.RemoteLogoutUnknown)
	w.leaves("remote logout", func() {
		provider.SendRemoteLogout(&idptest.LogoutRequest{NameID: string(name), SessionIndexes: []string{string(name)}, Remote: true})
	}, ana.Record.ID, audit.RemoteLoggedOut)

	// Account changes, and an export.
	email, by := "bob@example.gov", "cli:uid=1(ops)"
	bob, _, err := w.Accounts.Create(ctx, account.NewUser{Email: email, Password: "plum jam on nine windows"}, by)
	ok(t, err)
	w.leaves("user added", func() {
		_, _, err := w.Accounts.Create(ctx, account.NewUser{Email: "eve@example.gov", Password: "plum jam on nine windows"}, by)
		ok(t, err)
	}, anyUser, audit.UserAdded)
	change := func(name string, d audit.Decision, do func() error) {
		t.Helper()
		w.leaves(name, func() { ok(t, do()) }, bob.ID, d)
	}
	change("password", audit.PasswordSet, func() error {
		_, err := w.Accounts.SetPassword(ctx, email, "nine windows on plum jam", by)
		return err
	})
	change("factor added", audit.FactorAdded, func() error { _, err := w.Accounts.AddTOTP(ctx, email, account.NewTOTP{}, by); return err })
	change("factors reset", audit.FactorsReset, func() error { _, err := w.Accounts.ResetMFA(ctx, email, by); return err })
	change("locked", audit.UserLocked, func() error { _, err := w.Accounts.Lock(ctx, email, "", by); return err })
	change("unlocked", audit.UserUnlocked, func() error { return w.Accounts.Unlock(ctx, email, by) })
	change("verified", audit.UserVerified, func() error {
		_, err := w.Accounts.Verify(ctx, email, &idp.Profile{Level: idp.IALVerified, VerifiedAt: w.Clock.Now(), FirstName: "Bob", LastName: "Roe"}, false, by)
		return err
	})
	w.leaves("exported", func() {
		_, err := w.Accounts.Export(ctx, account.ExportOptions{After: "p", Secrets: true}, by)
		ok(t, err)
	}, "", audit.UsersExported)
	change("deleted", audit.UserDeleted, func() error { return w.Accounts.Delete(ctx, email, by) })
	w.leaves("imported", func() {
		rec, err := account.ParseRecord([]byte(`{"email":"imp@example.gov"}`))
		ok(t, err)
		_, err = w.Accounts.Import(ctx, []account.ImportLine{{Line: 1, Record: *rec}}, account.ImportOptions{}, by)
		ok(t, err)
	}, anyUser, audit.UserImported)

	// The back channel answers a server, which has no session.
	found, err := w.Trail.FindBefore(ctx, 0, audit.Filter{}, 1)
	ok(t, err)
	byField.SendRemoteLogout(&idptest.LogoutRequest{NameID: "none", Remote: true, Year: w.next})
	after, err := w.Trail.FindAfter(ctx, found.Last, audit.Filter{Kind: string(idp.AuditPreviewAdmit)}, 10)
	if ok(t, err); len(after.Records) != 1 {
		t.Errorf("a remote logout of an unpublished year left %+v", after.Records)
	}

	made := decisionsNamedIn(t, "../authn")
	maps.Copy(made, decisionsNamedIn(t, "../signup"))
	for _, d := range audit.Decisions() {
		// The walk of package authn covers the records of that package and those of error
		// pages.
		writer := d.Rule().Writer
		if !w.walked[d] && !made[d] && writer != audit.WriterNone && writer != audit.WriterPage {
			t.Errorf("no test walks the decision %s", d)
		}
	}
}

// decisionsNamedIn finds the decisions that the code of a package names.
func decisionsNamedIn(t *testing.T, folder string) map[audit.Decision]bool {
	t.Helper()
	byName := map[string]audit.Decision{}
	for _, d := range audit.Decisions() {
		byName[strings.ReplaceAll(d.String(), "_", "")] = d
	}
	files, err := filepath.Glob(folder + "/*.go")
	ok(t, err)
	named := map[audit.Decision]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		ok(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, isSel := n.(*ast.SelectorExpr); isSel {
				if x, isName := sel.X.(*ast.Ident); isName && x.Name == "audit" {
					if d, known := byName[strings.ToLower(sel.Sel.Name)]; known {
						named[d] = true
					}
				}
			}
			return true
		})
	}
	return named
}
