// Package storetest is the conformance suite of stores. It has a test case for every promise in
// idp/store.go, and for every bug that was found in a store.
//
// The test of a store calls Run. The package of the store tests everything else, such as files,
// locks and crashes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
)

// startTime is the time of the first records of the suite. A store under test may
// have any clock.
var startTime = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// Open opens the store in dir, and creates it if it is missing. The suite closes it.
type Open func(t *testing.T, dir string) idp.OwnedStore

// Run tests the store.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		test func(*testing.T, idp.OwnedStore)
	}{
		{"providers", testProviders},
		{"provider errors", testProviderErrors},
		{"last scope", testLastScope},
		{"provider moved", testMoveProvider},
		{"provider move refused", testMoveProviderRefused},
		{"users", testUsers},
		{"user addresses", testUserAddresses},
		{"user list", testUserList},
		{"user deleted", testUserDeleted},
		{"users imported", testImport},
		{"email addresses reserved", testReservedEmails},
		{"email addresses reserved by an import", testReservedEmailsImported},
		{"NameID scopes", testNameIDScopes},
		{"sessions", testSessions},
		{"session replaced", testSessionReplaced},
		{"session completed", testCompleteSession},
		{"session stepped up", testReplaceSession},
		{"session index stays", testSessionIndexStays},
		{"session index after a move", testSessionIndexMoved},
		{"user sessions", testUserSessions},
		{"session list", testSessionList},
		{"sessions ended", testEndSessions},
		{"sessions ended by a change of the user", testEndSessionsWithChange},
		{"login requests", testLoginRequests},
		{"login request answered", testLoginRequestAnswered},
		{"issuance", testIssuance},
		{"issuance of a stored request", testIssuanceStored},
		{"issuance names an address", testIssuanceDisclosed},
		{"issuance refused", testIssuanceRefused},
		{"issuance visits", testIssuanceVisits},
		{"issuance user checked", testIssuanceUserChecked},
		{"issuance NameIDs", testIssuanceNameIDs},
		{"issuance NameID race", testIssuanceRace},
		{"issuance once", testIssuanceOnce},
		{"issuance after a move", testIssuanceMoved},
		{"issuance move race", testMoveRace},
		{"profiles", testProfiles},
		{"profiles imported", testProfilesImported},
		{"logout received", testLogoutReceived},
		{"logout decided", testLogoutDecided},
		{"logout repeated", testLogoutRepeated},
		{"logout meets a clock set back", testLogoutClock},
		{"logout at once", testLogoutConcurrent},
		{"logout function", testLogoutFunction},
		{"documents", testDocuments},
		{"documents counted", testDocumentsCounted},
		{"document claimed", testDocumentClaimed},
		{"documents expire", testDocumentsExpire},
		{"records", testRecords},
		{"audit", testAudit},
		{"audit under concurrency", testAuditConcurrent},
		{"audit as it is stored", testAuditStored},
		{"audit pruned", testAuditPrune},
		{"audit of a user", testAuditUser},
		{"atomic", testAtomic},
		{"update functions", testUpdateFunctions},
		{"restored", testRestore},
		{"sweep", testSweep},
		{"sweep follows changes", testSweepFollows},
		{"sweep of idle sessions", testSweepIdle},
		{"context", testContext},
		{"foreign strings", testForeignStrings},
		{"writes checked", testCheckWrites},
		{"examined", testExamine},
		{"closed", testClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			t.Cleanup(func() { closeStore(t, s) })
			tt.test(t, s)
		})
	}
	t.Run("reopened", func(t *testing.T) {
		t.Parallel()
		testReopened(t, open)
	})
	t.Run("restored and reopened", func(t *testing.T) {
		t.Parallel()
		testRestoredReopened(t, open)
	})
}

// testCheckWrites checks a store that can be written, also concurrently and for a caller whose
// context has ended.
func testCheckWrites(t *testing.T, s idp.OwnedStore) {
	done := make(chan error)
	for range 8 {
		go func() { done <- s.CheckWrites(t.Context()) }()
	}
	for range 8 {
		checkError(t, <-done, nil)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	checkError(t, s.CheckWrites(canceled), context.Canceled)
	if n := s.WriteFailures(); n != 0 {
		t.Errorf("%d changes failed", n)
	}
	requireNoError(t, s.Close())
	if s.CheckWrites(t.Context()) == nil {
		t.Error("a closed store can be written")
	}
}

func closeStore(t *testing.T, s idp.OwnedStore) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// requireNoError stops the test after an error.
func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkError checks for a sentinel error.
func checkError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error = %v, want %v", got, want)
	}
}

// checkSame compares the result of a look-up with the expected one.
func checkSame[T any](t *testing.T, want T, got T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("look-up: %v", err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// readTrail reads the whole audit trail in steps and verifies its chain.
func readTrail(t *testing.T, s idp.OwnedStore) (records []idp.AuditRecord) {
	t.Helper()
	var place audit.Place
	for {
		page, err := s.AuditPage(t.Context(), idp.AuditQuery{After: place.Seq, Limit: 7})
		requireNoError(t, err)
		if c := page.Checkpoint; c != nil && c.Seq > place.Seq {
			place = audit.Place{Seq: c.Seq, Hash: c.Hash}
			continue
		}
		if len(page.Lines) == 0 {
			return records
		}
		next, err := audit.Records(t.Context(), s, place.Seq, 7)
		requireNoError(t, err)
		records = append(records, next...)
		for _, line := range page.Lines {
			place, err = place.Next(line)
			requireNoError(t, err)
		}
	}
}

// checkKinds checks the Kinds of the events in the trail from index first.
func checkKinds(t *testing.T, s idp.OwnedStore, first int, want ...string) {
	t.Helper()
	got := []string{}
	for _, rec := range readTrail(t, s)[first:] {
		got = append(got, string(rec.Kind))
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func newEvent(kind string) idp.AuditEvent {
	return idp.AuditEvent{Kind: idp.AuditKind(kind), Outcome: "ok", Actor: "test"}
}

func newProvider(id string) *idp.ServiceProvider {
	return &idp.ServiceProvider{
		EntityID: idp.EntityID(id), Name: "Benefits <&>", NameIDScope: idp.NameIDScope("sp:" + id),
		ACSURLs: []string{id + "/acs"}, Certs: []string{"PEM"}, HelpText: map[string]string{"en": "Help"},
		SignRequests: idp.SignRequestsRequired, Attributes: []string{"email"}, Active: true,
		CreatedAt: startTime, UpdatedAt: startTime.Add(time.Nanosecond),
	}
}

func newUser(id string, emails ...string) *idp.User {
	u := &idp.User{
		ID: idp.UserID(id), PasswordHash: "$argon2id$", CreatedAt: startTime, UpdatedAt: startTime,
		TOTPs: []idp.TOTP{{Name: "phone", Secret: []byte{0, 1, 255}, Period: 30, LastStep: 7, AddedAt: startTime}},
	}
	for _, a := range emails {
		u.Emails = append(u.Emails, idp.Email{Address: a, ConfirmedAt: startTime})
	}
	return u
}

func newSession(id, user string) *idp.Session {
	return &idp.Session{
		ID: idp.SessionID(id), User: idp.UserID(user),
		CreatedAt: startTime, SeenAt: startTime, AuthnAt: startTime, ExpiresAt: startTime.Add(12 * time.Hour),
		Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: startTime}},
	}
}

func newParticipant(sp, name string, indexes ...string) idp.Participant {
	return idp.Participant{SP: idp.EntityID(sp), NameID: idp.NameID(name), SessionIndexes: indexes, Year: "2031", At: startTime}
}

func newRequest(handle, sp, message string) *idp.LoginRequest {
	return &idp.LoginRequest{
		Handle: idp.RequestHandle(handle), SecretHash: []byte{1, 2}, SP: idp.EntityID(sp), MessageID: message, Year: "2031",
		ACSURL: sp + "/acs", RelayState: "r", HasRelay: true, ClassRefs: []string{"a", "b"},
		ReceivedAt: startTime, ExpiresAt: startTime.Add(time.Hour),
	}
}

// newIssuance returns the answer to a request that is not stored, with the scope and proposal that
// most cases use.
func newIssuance(sess, user, message string) *idp.Issuance {
	return &idp.Issuance{
		Request: newRequest("h-"+message, "https://sp.example", message),
		Session: idp.SessionID(sess), User: idp.UserID(user), Scope: "agency:A", ProposedNameID: idp.NameID("name-" + user),
		SessionIndex: "index-" + message, At: startTime.Add(time.Minute), Event: newEvent("sign_in"),
	}
}

// addUser adds one user without NameIDs.
func addUser(ctx context.Context, s idp.OwnedStore, u *idp.User, events ...idp.AuditEvent) error {
	entry := idp.ImportedUser{User: u}
	if len(events) > 0 {
		entry.Event = events[0]
	}
	outcomes, err := s.ImportUsers(ctx, []idp.ImportedUser{entry})
	return errors.Join(append(outcomes, err)...)
}

func endSession(ctx context.Context, s idp.OwnedStore, id idp.SessionID, events ...idp.AuditEvent) error {
	_, err := s.EndSessions(ctx, idp.SessionEnd{IDs: []idp.SessionID{id}}, events...)
	return err
}

func updateProvider(ctx context.Context, s idp.OwnedStore, id idp.EntityID, change func(*idp.ServiceProvider) error, events ...idp.AuditEvent) error {
	n, err := s.UpdateProvider(ctx, idp.ProviderUpdate{ID: id, Change: change}, events...)
	if n != 0 {
		return fmt.Errorf("%d NameIDs were copied, want none", n)
	}
	return err
}

func moveProvider(ctx context.Context, s idp.OwnedStore, id idp.EntityID, change func(*idp.ServiceProvider) error, events ...idp.AuditEvent) (int, error) {
	return s.UpdateProvider(ctx, idp.ProviderUpdate{ID: id, Change: change, KeepNameIDs: true}, events...)
}

// getNameID returns the NameID of an issuance.
func getNameID(i idp.IssuedIDs, err error) (idp.NameID, error) { return i.NameID, err }

func numberedName(prefix string, n int) string { return fmt.Sprintf("%s%04d", prefix, n) }
