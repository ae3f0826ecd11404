package sp_test

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/sp"
)

// The provider of rehearsals exists while one runs, and cannot be added, listed or edited.
func TestRehearsalProviderIsTemporaryAndHidden(t *testing.T) {
	t.Parallel()
	now := testTime
	r, _ := newRegistryAt(t, func() time.Time { return now })
	p := newProvider(t, idp.RehearsalSP)
	var invalid *sp.InvalidError
	if _, err := r.Add(t.Context(), p, sp.Options{}, "test"); !errors.As(err, &invalid) {
		t.Errorf("it can be added: %v", err)
	}
	if _, err := r.Lookup(t.Context(), idp.RehearsalSP); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("it is there before: %v", err)
	}
	other := newProvider(t, "https://a.example")
	if err := r.Rehearse(other, now.Add(time.Minute)); err == nil {
		t.Error("another provider can be put in memory")
	}
	if err := r.Rehearse(p, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Lookup(t.Context(), idp.RehearsalSP); err != nil || got.EntityID != idp.RehearsalSP {
		t.Errorf("it is not there: %v", err)
	}
	if list, err := r.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("it is listed: %v, %v", list, err)
	}
	if _, err := r.Get(t.Context(), idp.RehearsalSP); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("it can be read: %v", err)
	}
	if _, err := r.Edit(t.Context(), idp.RehearsalSP, func(*idp.ServiceProvider) error { return nil }, sp.Options{}, "test"); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("it can be edited: %v", err)
	}
	now = now.Add(time.Minute)
	if _, err := r.Lookup(t.Context(), idp.RehearsalSP); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("it outlives its time: %v", err)
	}
	now = testTime
	r.EndRehearsal()
	if _, err := r.Lookup(t.Context(), idp.RehearsalSP); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("it outlives its end: %v", err)
	}
}
