package logout_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

// The audit trail distinguishes a request that ended a session from one whose user is unknown
// to its SP, and an ordinary request from a preview.
func TestLogoutsAreAudited(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: "nobody"}))
	w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: "nobody"})
	w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name}))
	w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.bob.name})
	w.wantSignedIn()
	records, err := audit.Records(t.Context(), w.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Kind           idp.AuditKind
		Outcome, Actor string
		User           idp.UserID
		Detail         map[string]string
	}
	var got []line
	for _, r := range records {
		if r.Kind == "logout" || r.Kind == "remote_logout" {
			got = append(got, line{r.Kind, r.Outcome, r.Actor, r.User, r.Detail})
		}
	}
	want := []line{
		{"logout", "unknown_principal", "sp:" + spA, "", nil},
		{"remote_logout", "unknown_principal", "sp:" + spA, "", nil},
		{"logout", "ok", "sp:" + spA, w.ada.Record.ID, nil},
		{"remote_logout", "ok", "sp:" + spA, w.bob.Record.ID, nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// A repeated message is recorded only if it ends a session, on any channel and however often
// it arrives, because records are permanent.
func TestLogoutRepetitionIsRecorded(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	recorded := func(want ...string) {
		t.Helper()
		records, err := audit.Records(t.Context(), w.Store, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range records {
			if r.Kind == "logout" || r.Kind == "remote_logout" {
				got = append(got, string(r.Kind)+" "+r.Outcome)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("recorded (-want +got):\n%s", diff)
		}
	}
	everywhere := func(r *idptest.LogoutRequest) {
		for range 2 {
			w.bob.browser.Get(w.a.LogoutURL(r))
			w.bob.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
		}
	}
	r := &idptest.LogoutRequest{NameID: w.ada.name, Destination: "-"}
	everywhere(r)
	recorded("logout unknown_principal")
	w.wantSignedIn("ada", "bob")
	w.ada.browser.CrossSitePost(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
	w.wantSignedIn("bob")
	everywhere(r)
	recorded("logout unknown_principal", "logout ok")

	remote := *r
	for range 3 {
		w.a.SendRemoteLogout(&remote)
		w.a.SendSOAPLogout(&remote)
	}
	recorded("logout unknown_principal", "logout ok")
	for range 2 {
		w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.ada.name, ID: "_1"})
		w.Browser().Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.bob.name, ID: "_2"}))
	}
	recorded("logout unknown_principal", "logout ok", "remote_logout ok", "logout ok")
	w.wantSignedIn()
}
