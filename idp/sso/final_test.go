package sso_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
)

// writes is a store that runs a function just before or just after the write of an answer.
type writes struct {
	idp.OwnedStore
	before, after atomic.Pointer[func()]
}

func (w *writes) around(write func() error) error {
	if then := w.before.Swap(nil); then != nil {
		(*then)()
	}
	err := write()
	if then := w.after.Swap(nil); then != nil {
		(*then)()
	}
	return err
}

func (w *writes) RecordIssuance(ctx context.Context, i *idp.Issuance) (issued idp.IssuedIDs, err error) {
	err = w.around(func() error { issued, err = w.OwnedStore.RecordIssuance(ctx, i); return err })
	return issued, err
}

func (w *writes) AnswerLoginRequest(ctx context.Context, r *idp.LoginRequest, at time.Time, check idp.Check, events ...idp.AuditEvent) error {
	return w.around(func() error { return w.OwnedStore.AnswerLoginRequest(ctx, r, at, check, events...) })
}

// Nothing is signed for a year or an SP that was closed before or after the write of the
// answer. If it was closed before, no record claims that an answer was given.
func TestClosedAroundTheWrite(t *testing.T) {
	t.Parallel()
	requests := map[string]idptest.Request{
		"assertion":  {},
		"no passive": {IsPassive: true, ForceAuthn: true},
	}
	revoke := func(t *testing.T, i *idptest.IdP) {
		if _, err := i.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: i.Year(), Reason: "leaked"}, "test", false); err != nil {
			t.Error(err)
		}
	}
	deactivate := func(t *testing.T, i *idptest.IdP) {
		edit(t, i, spA, func(p *idp.ServiceProvider) { p.Active = false })
	}
	remove := func(t *testing.T, i *idptest.IdP) {
		if err := i.Registry.Remove(t.Context(), spA, "test"); err != nil {
			t.Error(err)
		}
	}
	rename := func(t *testing.T, i *idptest.IdP) {
		edit(t, i, spA, func(p *idp.ServiceProvider) { p.Name = "Another name" })
	}
	tests := []struct {
		name          string
		close         func(*testing.T, *idptest.IdP)
		before, after int // the status of the answer; 200 with a Response
	}{
		{"year revoked", revoke, http.StatusGone, http.StatusGone},
		{"SP deactivated", deactivate, http.StatusBadRequest, http.StatusBadRequest},
		{"SP removed", remove, http.StatusBadRequest, http.StatusBadRequest},
		{"SP renamed", rename, http.StatusOK, http.StatusBadRequest},
	}
	for _, tt := range tests {
		for name, request := range requests {
			for _, after := range []bool{false, true} {
				want, when := tt.before, "before the write"
				if after {
					want, when = tt.after, "after the write"
				}
				t.Run(tt.name+" "+when+" of "+name, func(t *testing.T) {
					t.Parallel()
					store := new(writes)
					i := idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }})
					a, user, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
					sent := request // filled in when it is sent
					to := leaveRequest(t, browser, a, user, &sent)
					records := countSignIns(t, i)
					closing := func() { tt.close(t, i) }
					if after {
						store.after.Store(&closing)
					} else {
						store.before.Store(&closing)
					}
					page := browser.Get(to)
					if store.before.Load() != nil || store.after.Load() != nil {
						t.Fatal("nothing was written")
					}
					if page.Status != want {
						t.Errorf("status %d, want %d\n%s", page.Status, want, page.Text())
					}
					if got := page.Response() != nil; got != (want == http.StatusOK) {
						t.Errorf("a Response: %t", got)
					}
					wantRecords := records
					if after || want == http.StatusOK {
						wantRecords++
					}
					if got := countSignIns(t, i); got != wantRecords {
						t.Errorf("%d records of an answer, want %d", got, wantRecords)
					}
				})
			}
		}
	}
}

// countSignIns returns the number of audit records of sign-ins.
func countSignIns(t *testing.T, i *idptest.IdP) (n int) {
	t.Helper()
	records, err := audit.Records(t.Context(), i.Store, 0, 10000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Kind == "sign_in" {
			n++
		}
	}
	return n
}
