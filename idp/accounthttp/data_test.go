package accounthttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

func TestUserDownloadsOwnData(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
	provider := i.AddProvider("https://a.example")
	if err := i.Store.SetProfile(t.Context(), ann.Record.ID, &idp.Profile{Level: idp.IALVerified, SSN: "123456789"}, i.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Accounts.ReplaceRecoveryCodes(t.Context(), ann.Record.ID, idp.AuditEvent{}); err != nil {
		t.Fatal(err)
	}
	signIn(t, i, bob)
	b, s := signIn(t, i, ann)
	b.Get(provider.URL(&idptest.Request{}))
	page := b.Get("/account/data")
	checkPage(t, page, http.StatusOK, text("data.download"), text("data.identity"))
	if n := len(records(t, i, ann, idp.AuditUserExport)); n != 0 {
		t.Fatalf("showing the page is recorded %d times", n)
	}
	checkPage(t, b.CrossSitePost("/account/data", nil), http.StatusForbidden)

	page = b.Post("/account/data", nil)
	if h := page.Header; page.Status != http.StatusOK || h.Get("Content-Type") != "application/json" ||
		!strings.HasPrefix(h.Get("Content-Disposition"), "attachment;") || !strings.Contains(h.Get("Cache-Control"), "no-store") {
		t.Errorf("%d %v", page.Status, h)
	}
	var data struct {
		Emails   []struct{ Address string }
		Sessions []struct{ Browser string }
		History  []struct{ Event, By, Network string }
		Codes    struct{ Left int } `json:"recovery_codes"`
		Services []struct {
			EntityID string `json:"entity_id"`
		}
		Identifiers map[string]string
		Identity    struct{ SSN string } `json:"verified_identity"`
	}
	if err := json.Unmarshal(page.Body, &data); err != nil {
		t.Fatalf("%v: %s", err, page.Body)
	}
	if len(data.Emails) != 1 || data.Emails[0].Address != ann.Email || len(data.Sessions) != 1 || len(data.History) < 3 || data.Codes.Left != 10 ||
		len(data.Services) != 1 || data.Services[0].EntityID != "https://a.example" || data.Identifiers["https://a.example"] == "" || data.Identity.SSN != "123456789" {
		t.Errorf("%s", page.Body)
	}
	u := load(t, i, ann)
	for what, secret := range map[string]string{
		"the password hash": u.PasswordHash, "the session": string(s.ID), "the IP address": "127.0.0.1", "another user": "bob", "an actor": "cli:",
	} {
		if strings.Contains(string(page.Body), secret) {
			t.Errorf("the file has %s", what)
		}
	}
	found := records(t, i, ann, idp.AuditUserExport)
	if len(found) != 1 {
		t.Fatalf("%d records", len(found))
	}
	if err := audit.OwnDataDownloaded.CheckRecord(&found[0]); err != nil {
		t.Error(err)
	}

	// An old proof of the second factor is not enough, and nothing is unsealed or recorded.
	for range 3 {
		i.Clock.Advance(10 * time.Minute)
		checkPage(t, b.Get("/account/data"), http.StatusOK)
	}
	if page := b.Post("/account/data", nil); page.URL.Path != "/account/confirm" || page.Header.Get("Content-Disposition") != "" {
		t.Errorf("%d %s", page.Status, page.URL)
	}
	if n := len(records(t, i, ann, idp.AuditUserExport)); n != 1 {
		t.Errorf("%d records", n)
	}
}

// failingTrail is a store that can write no records of downloads.
type failingTrail struct {
	idp.OwnedStore
	isBroken atomic.Bool
}

func (s *failingTrail) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	if s.isBroken.Load() && len(events) > 0 && events[0].Kind == idp.AuditUserExport {
		return errors.New("no space left on device")
	}
	return s.OwnedStore.AppendAudit(ctx, events...)
}

func TestNoDataWithoutRecord(t *testing.T) {
	t.Parallel()
	store := &failingTrail{}
	i := idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }})
	ann := i.AddUser("ann@example.gov")
	b, _ := signIn(t, i, ann)
	i.Accounts.Store = store
	store.isBroken.Store(true)
	page := b.Post("/account/data", nil)
	if page.Status != http.StatusInternalServerError || strings.Contains(string(page.Body), ann.Email) {
		t.Errorf("%d: %s", page.Status, page.Body)
	}
}
