package audit_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

var errorID = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{16}\b`)

// TestFlowsAreRecorded performs over HTTP what users, service providers and strangers do,
// and checks each audit record: the user, the action, the service provider and year, the
// outcome, and the error ID.
func TestFlowsAreRecorded(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	sp := i.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.LogoutURL = "https://a.example/slo" })
	unknown := *sp
	unknown.EntityID = "https://stranger.example"
	ana := i.AddUser("ana@example.gov")
	year := i.Year()
	signedIn := func() *idptest.Browser {
		b := i.Browser()
		b.SignIn(b.Get(sp.URL(&idptest.Request{})), ana)
		return b
	}
	nameID := func() string {
		p, err := i.Store.Provider(t.Context(), "https://a.example")
		ok(t, err)
		name, err := i.Store.NameID(t.Context(), p.NameIDScope, ana.Record.ID)
		ok(t, err)
		return string(name)
	}
	signInPage := func(password string) *idptest.Page {
		return i.Browser().Post("/sign-in", url.Values{"email": {ana.Email}, "password": {password}})
	}
	tests := []struct {
		name string
		do   func() *idptest.Page // nil if no page has an error id
		want idp.AuditEvent
	}{
		{"sign-in", func() *idptest.Page { signedIn(); return nil },
			idp.AuditEvent{Kind: "sign_in", Outcome: "ok", User: ana.Record.ID, SP: "https://a.example", Year: year}},
		{"proof of who it is", nil, idp.AuditEvent{Kind: "authn", Outcome: "ok", User: ana.Record.ID, SP: "https://a.example", Year: year}},
		{"step-up", func() *idptest.Page {
			b := signedIn()
			b.SignIn(b.Get(sp.URL(&idptest.Request{ForceAuthn: true})), ana)
			return nil
		}, idp.AuditEvent{Kind: "step_up", Outcome: "ok", User: ana.Record.ID, SP: "https://a.example", Year: year}},
		{"logout", func() *idptest.Page {
			signedIn().Get(sp.LogoutURL(&idptest.LogoutRequest{NameID: nameID()}))
			return nil
		}, idp.AuditEvent{Kind: "logout", Outcome: "ok", User: ana.Record.ID, SP: "https://a.example", Year: year}},
		{"logout of an unknown user", func() *idptest.Page {
			signedIn().Get(sp.LogoutURL(&idptest.LogoutRequest{NameID: "nobody"}))
			return nil
		}, idp.AuditEvent{Kind: "logout", Outcome: "unknown_principal", SP: "https://a.example", Year: year}},
		{"remote logout", func() *idptest.Page {
			sp.SendRemoteLogout(&idptest.LogoutRequest{NameID: nameID(), Remote: true})
			return nil
		}, idp.AuditEvent{Kind: "remote_logout", Outcome: "ok", User: ana.Record.ID, SP: "https://a.example", Year: year}},
		{"passive without a session", func() *idptest.Page {
			i.Browser().Get(sp.URL(&idptest.Request{IsPassive: true}))
			return nil
		}, idp.AuditEvent{Kind: "sign_in", Outcome: "no_passive", SP: "https://a.example", Year: year}},
		{"verified and refused", func() *idptest.Page {
			return i.Browser().Get(sp.URL(&idptest.Request{ACS: "https://evil.example/acs"}))
		}, idp.AuditEvent{Kind: "refusal", Outcome: "acs_url", Actor: "sp:https://a.example", SP: "https://a.example", Year: year}},
		{"another's key", func() *idptest.Page {
			return i.Browser().Get(sp.URL(&idptest.Request{Key: idptest.OtherKey()}))
		}, idp.AuditEvent{Kind: "refusal", Outcome: "signature_mismatch", SP: "https://a.example", Year: year}},
		{"unknown provider", func() *idptest.Page { return i.Browser().Get(unknown.URL(&idptest.Request{})) },
			idp.AuditEvent{Kind: "refusal", Outcome: "sp_unknown"}},
		{"forged logout", func() *idptest.Page {
			return i.Browser().Get(sp.LogoutURL(&idptest.LogoutRequest{NameID: "x", Key: idptest.OtherKey()}))
		}, idp.AuditEvent{Kind: "refusal", Outcome: "signature_mismatch", SP: "https://a.example", Year: year}},
		{"wrong password", func() *idptest.Page { signInPage("wrong"); return nil },
			idp.AuditEvent{Kind: "refusal", Outcome: "password", User: ana.Record.ID}},
		{"unknown email", func() *idptest.Page {
			i.Browser().Post("/sign-in", url.Values{"email": {"nobody@example.gov"}, "password": {"x"}})
			return nil
		}, idp.AuditEvent{Kind: "refusal", Outcome: "password"}},
		{"wrong code", func() *idptest.Page {
			b := i.Browser()
			b.Post("/sign-in", url.Values{"email": {ana.Email}, "password": {ana.Password}})
			b.Post("/sign-in/code", url.Values{"code": {"000000"}})
			return nil
		}, idp.AuditEvent{Kind: "refusal", Outcome: "code", User: ana.Record.ID}},
		{"locked", func() *idptest.Page {
			_, err := i.Accounts.Lock(t.Context(), ana.Email, "", "test")
			ok(t, err)
			return signInPage(ana.Password)
		}, idp.AuditEvent{Kind: "refusal", Outcome: "account_locked", User: ana.Record.ID}},
		{"lock", nil, idp.AuditEvent{Kind: "user.lock", Outcome: "ok", Actor: "test", User: ana.Record.ID}},
	}
	after := uint64(0)
	for _, tt := range tests {
		var page *idptest.Page
		if tt.do != nil {
			i.Clock.Advance(2 * time.Minute)
			found, err := i.Trail.FindBefore(t.Context(), 0, audit.Filter{}, 1)
			ok(t, err)
			after = found.Last
			page = tt.do()
		}
		found, err := i.Trail.FindAfter(t.Context(), after, audit.Filter{}, 100)
		ok(t, err)
		n := slices.IndexFunc(found.Records, func(r idp.AuditRecord) bool {
			return r.Kind == tt.want.Kind && r.Outcome == tt.want.Outcome && r.User == tt.want.User && r.SP == tt.want.SP && r.Year == tt.want.Year &&
				(tt.want.Actor == "" || r.Actor == tt.want.Actor)
		})
		if n < 0 {
			t.Errorf("%s: %+v is not recorded, but %+v", tt.name, tt.want, found.Records)
			continue
		}
		rec := found.Records[n]
		if page != nil && (page.Status != http.StatusBadRequest || rec.ErrorID == "" || rec.ErrorID != errorID.FindString(page.Text())) {
			t.Errorf("%s: status %d, error id %q is not the page's:\n%s", tt.name, page.Status, rec.ErrorID, page.Text())
		}
	}
	everything(t, i)
}

// everything holds that all records are of a known kind, without personal data,
// and whole.
func everything(t *testing.T, i *idptest.IdP) {
	t.Helper()
	records, err := audit.Records(t.Context(), i.Store, 0, 10_000)
	ok(t, err)
	for _, rec := range records {
		if !slices.ContainsFunc(idp.AuditKinds(), func(k idp.AuditMeaning) bool { return k.Kind == rec.Kind }) {
			t.Errorf("records of the kind %q are written, and it is not in audit.Kinds", rec.Kind)
		}
	}
	page, err := i.Store.AuditPage(t.Context(), idp.AuditQuery{Limit: 10_000})
	ok(t, err)
	for _, line := range page.Lines {
		for _, secret := range []string{"example.gov", "127.0.0.1", "otter"} {
			if strings.Contains(string(line.JSON), secret) {
				t.Errorf("%q is in the record %s", secret, line.JSON)
			}
		}
	}
	p, err := i.Trail.Verify(t.Context(), audit.Progress{}, nil, time.Minute)
	if ok(t, err); p.Broken != nil {
		t.Errorf("record %d %s", p.Broken.Seq, p.Broken.Problem)
	}
}
