package logout_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/idptest"
)

// The audit trail tells a request that ended a session from one whose person its
// SP does not know, and an ordinary one from a preview.
func TestLogoutOnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: "nobody"}))
	w.a.RemoteLogout(&idptest.LogoutRequest{NameID: "nobody"})
	w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name}))
	w.a.RemoteLogout(&idptest.LogoutRequest{NameID: w.bob.name})
	w.want()
	records, err := w.Store.AuditRecords(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Kind, Outcome, Actor string
		User                 idp.UserID
		Detail               map[string]string
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
		{"logout", "ok", "sp:" + spA, w.ada.User.ID, nil},
		{"remote_logout", "ok", "sp:" + spA, w.bob.User.ID, nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
}
