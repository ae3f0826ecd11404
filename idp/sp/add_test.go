package sp_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"vernal/idp"
	"vernal/idp/sp"
)

// lastScope is a store that calls a function once, after the scope of a removed provider was
// read.
type lastScope struct {
	idp.Store
	then atomic.Pointer[func()]
}

func (l *lastScope) Provider(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error) {
	p, err := l.Store.Provider(ctx, id)
	if then := l.then.Swap(nil); then != nil {
		(*then)()
	}
	return p, err
}

// A provider that is added while another one with its EntityID is added and removed is new:
// without Resume it never sees the NameIDs of the earlier one.
func TestAddDuringRemoveGetsNewNameIDScope(t *testing.T) {
	t.Parallel()
	other, store := newRegistry(t)
	slow := &lastScope{Store: store}
	r := sp.New(slow, testClock)
	var before idp.NameIDScope
	meanwhile := func() {
		before = mustAdd(t, other, newProvider(t, entity), sp.Options{}).NameIDScope
		mustRemove(t, other, entity)
	}
	for _, state := range []string{"never registered", "removed"} {
		slow.then.Store(&meanwhile)
		after := mustAdd(t, r, newProvider(t, entity), sp.Options{})
		if after.NameIDScope == before {
			t.Errorf("%s: the provider that was added has the scope %q of the one that was removed", state, before)
		}
		mustRemove(t, r, entity)
	}

	// Resume works once the other provider is removed, and resumes its scope.
	slow.then.Store(&meanwhile)
	if after := mustAdd(t, r, newProvider(t, entity), sp.Options{Resume: true}); after.NameIDScope != before {
		t.Errorf("resumed the scope %q, want %q", after.NameIDScope, before)
	}

	// For a registered provider, the result is that it exists, whatever was asked.
	if _, err := r.Add(t.Context(), newProvider(t, entity), sp.Options{Resume: true}, "test"); !errors.Is(err, idp.ErrExists) {
		t.Errorf("added twice: %v, want ErrExists", err)
	}
}
