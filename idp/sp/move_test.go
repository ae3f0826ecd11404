package sp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/sp"
)

// signIn signs a user in at a provider as currently registered, and returns the NameID
// disclosed to the provider.
func signIn(t *testing.T, r *sp.Registry, s idp.Store, id idp.EntityID, user string) idp.NameID {
	t.Helper()
	ctx := t.Context()
	p, err := r.Lookup(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	records, err := audit.Records(ctx, s, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	unique := string(id) + user + strings.Repeat("+", len(records))
	err = s.StartSession(ctx, idp.SessionStart{Session: &idp.Session{ID: idp.SessionID(unique), User: idp.UserID(user), ExpiresAt: testTime}})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := s.RecordIssuance(ctx, &idp.Issuance{
		Request: &idp.LoginRequest{Handle: idp.RequestHandle(unique), SP: id, MessageID: unique, ExpiresAt: testTime},
		Session: idp.SessionID(unique), User: idp.UserID(user), Scope: p.NameIDScope, ProposedNameID: idp.NameID("new-" + unique),
		SessionIndex: unique, At: testTime, Event: idp.AuditEvent{Kind: "sign_in"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return issued.NameID
}

func join(agency string) func(*idp.ServiceProvider) error {
	return func(p *idp.ServiceProvider) error { p.Agency = agency; return nil }
}

// TestKeepNameIDs moves providers with users into an agency and out again.
func TestKeepNameIDs(t *testing.T) {
	t.Parallel()
	r, store := newRegistry(t)
	const permits, maps = idp.EntityID("https://permits/"), idp.EntityID("https://maps/")
	for _, id := range []idp.EntityID{permits, maps} {
		mustAdd(t, r, newProvider(t, id), sp.Options{})
	}
	ana, bo := signIn(t, r, store, permits, "ana"), signIn(t, r, store, permits, "bo")

	c, err := r.Edit(t.Context(), permits, join("Parks"), sp.Options{KeepNameIDs: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if c.NameIDsCopied != 2 {
		t.Errorf("%d copied, want 2", c.NameIDsCopied)
	}
	if got := lastEvent(t, store).Detail; got["name_ids"] != "kept" || got["name_id_scope"] != "agency:Parks" {
		t.Errorf("audit detail %v", got)
	}
	if a, b := signIn(t, r, store, permits, "ana"), signIn(t, r, store, permits, "bo"); a != ana || b != bo {
		t.Errorf("NameIDs %q and %q, want %q and %q as before", a, b, ana, bo)
	}
	if c, err = r.Edit(t.Context(), permits, join(""), sp.Options{KeepNameIDs: true}, "test"); err != nil || c.NameIDsCopied != 2 {
		t.Fatalf("leave the agency: %+v, %v", c, err)
	}
	if a := signIn(t, r, store, permits, "ana"); a != ana {
		t.Errorf("NameID %q after leaving, want %q", a, ana)
	}

	// maps knows ana by another NameID than the agency does.
	mapsAna := signIn(t, r, store, maps, "ana")
	before, events := mustGet(t, r, maps), lastEvent(t, store)
	_, err = r.Edit(t.Context(), maps, join("Parks"), sp.Options{KeepNameIDs: true}, "test")
	var refused *sp.RefusedError
	if !errors.As(err, &refused) || refused.Code != "name_ids" || !strings.Contains(refused.Text, "1 of") {
		t.Fatalf("a clash: %v", err)
	}
	if diff := cmp.Diff(before, mustGet(t, r, maps)); diff != "" {
		t.Errorf("the refused change changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(events, lastEvent(t, store)); diff != "" {
		t.Errorf("the refused change is recorded:\n%s", diff)
	}
	if a := signIn(t, r, store, maps, "ana"); a != mapsAna {
		t.Errorf("NameID %q after the refusal, want %q", a, mapsAna)
	}
	if _, err := r.Edit(t.Context(), maps, join("Parks"), sp.Options{NewNameIDs: true}, "test"); err != nil {
		t.Fatal(err)
	}
	if got := lastEvent(t, store).Detail["name_ids"]; got != "new" {
		t.Errorf("audit detail name_ids %q", got)
	}
	if a := signIn(t, r, store, maps, "ana"); a != ana {
		t.Errorf("NameID %q in the agency, want the one it has there, %q", a, ana)
	}
}

func mustGet(t *testing.T, r *sp.Registry, id idp.EntityID) *idp.ServiceProvider {
	t.Helper()
	p, err := r.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lastEvent returns the newest record of the trail.
func lastEvent(t *testing.T, s idp.Store) idp.AuditRecord {
	t.Helper()
	records, err := audit.Records(t.Context(), s, 0, 1000)
	if err != nil || len(records) == 0 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	return records[len(records)-1]
}
