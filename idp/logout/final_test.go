package logout_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
)

// answers is a store that runs a function just before or just after the write of an answer to
// a LogoutRequest.
type answers struct {
	idp.OwnedStore
	before, after atomic.Pointer[func()]
}

func (a *answers) RecordLogout(ctx context.Context, l *idp.Logout) (*idp.LogoutOutcome, error) {
	if then := a.before.Swap(nil); then != nil {
		(*then)()
	}
	out, err := a.OwnedStore.RecordLogout(ctx, l)
	if then := a.after.Swap(nil); then != nil {
		(*then)()
	}
	return out, err
}

// A LogoutRequest whose year or SP is closed before its answer is written ends no session. If
// that happens after the write, the session has ended and nothing is signed.
func TestClosedAroundTheAnswer(t *testing.T) {
	t.Parallel()
	revoke := func(w *deployment) {
		if _, err := w.Rotation.Take(w.t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: w.Year(), Reason: "leaked"}, "test", false); err != nil {
			w.t.Error(err)
		}
	}
	deactivate := func(w *deployment) { w.a.Edit(func(p *idp.ServiceProvider) { p.Active = false }) }
	remove := func(w *deployment) {
		if err := w.Registry.Remove(w.t.Context(), spA, "test"); err != nil {
			w.t.Error(err)
		}
	}
	rename := func(w *deployment) { w.a.Edit(func(p *idp.ServiceProvider) { p.Name = "Another name" }) }
	tests := []struct {
		name  string
		close func(*deployment)
		// refused is the status of a refusal, or 0 if the request is answered.
		refused int
	}{
		{"year revoked", revoke, http.StatusGone},
		{"SP deactivated", deactivate, http.StatusBadRequest},
		{"SP removed", remove, http.StatusBadRequest},
		{"SP renamed", rename, 0},
	}
	for _, tt := range tests {
		for _, remote := range []bool{false, true} {
			for _, signed := range []bool{false, true} {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, remote %t, signed %t, after the write %t", tt.name, remote, signed, after), func(t *testing.T) {
						t.Parallel()
						store := new(answers)
						i := idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }})
						w := fillDeployment(t, i, func(p *idp.ServiceProvider) { p.SignLogoutResponse = signed })
						closing := func() { tt.close(w) }
						if after {
							store.after.Store(&closing)
						} else {
							store.before.Store(&closing)
						}
						status, answered := 0, false
						r := &idptest.LogoutRequest{NameID: w.ada.name, SessionIndexes: []string{w.ada.index}, Remote: remote}
						if remote {
							got := w.a.SendRemoteLogout(r)
							status, answered = got.Status, got.Response != nil
						} else {
							page := w.ada.browser.Get(w.a.LogoutURL(r))
							status, answered = page.Status, page.LogoutResponse() != nil
						}
						want := http.StatusOK
						if tt.refused != 0 && (!after || signed) {
							want = tt.refused
						}
						if status != want || answered != (want == http.StatusOK) {
							t.Errorf("status %d, a LogoutResponse: %t; want status %d", status, answered, want)
						}
						if tt.refused != 0 && !after {
							w.wantSignedIn("ada", "bob")
						} else {
							w.wantSignedIn("bob")
						}
					})
				}
			}
		}
	}
}
