package account

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
)

func (h *house) records(user idp.UserID, kind idp.AuditKind) (list []idp.AuditRecord) {
	h.t.Helper()
	records, err := audit.Records(h.t.Context(), h.store, 0, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range records {
		if r.User == user && r.Kind == kind {
			list = append(list, r)
		}
	}
	return list
}

// check fails unless err matches want.
func check(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestDeletionIsPlannedOnceAndCanceled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	event := idp.AuditEvent{Actor: "user:" + string(u.ID), Detail: map[string]string{"route": "x"}}
	dueAt := h.clock().Add(LostDeletionWait)
	check(t, h.CancelDeletion(ctx, u.ID, event), ErrNotPlanned)
	for _, asked := range []time.Time{dueAt, dueAt.Add(time.Hour), dueAt} { // no one can postpone it
		h.pass(time.Minute)
		at, err := h.PlanDeletion(ctx, u.ID, asked, event)
		if err != nil || !at.Equal(dueAt) || !h.user(u.ID).DeletionAt.Equal(dueAt) {
			t.Fatalf("planned for %s, %v", at, err)
		}
	}
	records := h.records(u.ID, idp.AuditUserPlanDeletion)
	if len(records) != 1 || records[0].Detail["due"] != dueAt.Format(time.RFC3339) || records[0].Detail["route"] != "x" {
		t.Errorf("records %+v", records)
	}
	sooner := dueAt.Add(-time.Hour)
	if at, err := h.PlanDeletion(ctx, u.ID, sooner, event); err != nil || !at.Equal(sooner) || !h.user(u.ID).DeletionAt.Equal(sooner) {
		t.Errorf("planned for %s, %v", at, err)
	}
	if _, err := h.Lock(ctx, alice, "", actor); err != nil {
		t.Fatal(err)
	}
	_, err := h.PlanDeletion(ctx, u.ID, sooner.Add(-time.Hour), event)
	check(t, err, ErrLocked)
	if err := h.CancelDeletion(ctx, u.ID, event); err != nil || !h.user(u.ID).DeletionAt.IsZero() {
		t.Errorf("canceled: %v", err)
	}
	if n := len(h.records(u.ID, idp.AuditUserCancelDeletion)); n != 1 {
		t.Errorf("%d records", n)
	}
	_, err = h.PlanDeletion(ctx, "unknown", dueAt, event)
	check(t, err, idp.ErrNotFound)
	check(t, h.CancelDeletion(ctx, "unknown", event), idp.ErrNotFound)
}

// A new registration after a deletion gets new NameIDs.
func TestDeletedUserIsNotRecognized(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, before := t.Context(), h.create()
	if err := h.Delete(ctx, alice, "server"); err != nil {
		t.Fatal(err)
	}
	after := h.create()
	if before.ID == after.ID {
		t.Error("the same user")
	}
}

func TestDueResetRemovesFactors(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	event := idp.AuditEvent{Actor: "user:" + string(u.ID)}
	if _, err := h.ReplaceRecoveryCodes(ctx, u.ID, event); err != nil {
		t.Fatal(err)
	}
	other, _, err := h.Create(ctx, NewUser{Email: "bob@example.gov", Password: password, TOTP: true}, actor)
	if err != nil {
		t.Fatal(err)
	}
	dueAt := h.clock().Add(FactorResetWait)
	for range 2 {
		if at, err := h.PlanFactorReset(ctx, alice, dueAt, actor); err != nil || !at.Equal(dueAt) {
			t.Fatalf("planned for %s, %v", at, err)
		}
	}
	if r := h.records(u.ID, idp.AuditUserPlanReset); len(r) != 1 || r[0].Detail["due"] != dueAt.Format(time.RFC3339) {
		t.Errorf("records %+v", r)
	}
	h.session(u.ID, "one")
	h.session(other.ID, "two")
	h.pass(FactorResetWait - 1)
	if n, err := h.ApplyDueResets(ctx); n != 0 || err != nil || len(h.user(u.ID).TOTPs) != 1 {
		t.Fatalf("before it is due: %d, %v", n, err)
	}
	h.pass(1)
	if n, err := h.ApplyDueResets(ctx); n != 1 || err != nil {
		t.Fatalf("when it is due: %d, %v", n, err)
	}
	got := h.user(u.ID)
	if len(got.TOTPs) != 0 || got.RecoveryCodes != nil || got.Devices != nil || !got.FactorResetAt.IsZero() || got.PasswordHash != u.PasswordHash {
		t.Errorf("user %+v", got)
	}
	for id, want := range map[idp.UserID]int{u.ID: 0, other.ID: 1} {
		if left, err := h.store.Sessions(ctx, idp.SessionQuery{User: id}); err != nil || len(left) != want || len(h.user(id).TOTPs) != want {
			t.Errorf("sessions %v, %v", left, err)
		}
	}
	if n, err := h.ApplyDueResets(ctx); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	if r := h.records(u.ID, idp.AuditUserResetMFA); len(r) != 1 || r[0].Actor != "server" {
		t.Errorf("records %+v", r)
	}
}

func TestCanceledResetIsNotApplied(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, u := t.Context(), h.create()
	event := idp.AuditEvent{Actor: "user:" + string(u.ID)}
	check(t, h.CancelFactorReset(ctx, u.ID, event), ErrNotPlanned)
	if _, err := h.PlanFactorReset(ctx, alice, h.clock().Add(time.Hour), actor); err != nil {
		t.Fatal(err)
	}
	if err := h.CancelFactorReset(ctx, u.ID, event); err != nil {
		t.Fatal(err)
	}
	h.pass(2 * time.Hour)
	if n, err := h.ApplyDueResets(ctx); n != 0 || err != nil || len(h.user(u.ID).TOTPs) != 1 {
		t.Errorf("%d, %v", n, err)
	}
	_, err := h.PlanFactorReset(ctx, "unknown@example.gov", h.clock(), actor)
	check(t, err, idp.ErrNotFound)
	if n := len(h.records(u.ID, idp.AuditUserCancelReset)); n != 1 {
		t.Errorf("%d records", n)
	}
}

// A restore cannot know whether a plan was canceled after the backup, so it drops plans.
func TestRestoreDropsPlans(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, isLater := range []bool{false, true} {
		u := &idp.User{UpdatedAt: at, DeletionAt: at.Add(time.Hour), FactorResetAt: at.Add(time.Hour)}
		if isLater {
			u.UpdatedAt = at.Add(1)
		}
		u.ExpireUntil(at)
		if u.DeletionAt.IsZero() == isLater || u.FactorResetAt.IsZero() == isLater {
			t.Errorf("planned later: %t: %+v", isLater, u)
		}
	}
}
