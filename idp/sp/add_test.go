package sp_test

import (
	"context"
	"sync/atomic"
	"testing"

	"vernal/idp"
	"vernal/idp/sp"
)

// lastScope is a store that has something happen once, after the scope of a
// removed provider was read.
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

// A provider that is added while another of its name is removed is a new one:
// without Resume it never sees the NameIDs of the one before.
func TestAddDuringRemove(t *testing.T) {
	t.Parallel()
	_, store := newRegistry(t)
	slow := &lastScope{Store: store}
	r := sp.New(slow, testClock)
	before := mustAdd(t, r, newProvider(t, entity), sp.Options{})
	remove := func() { mustRemove(t, r, entity) }
	slow.then.Store(&remove)
	after := mustAdd(t, r, newProvider(t, entity), sp.Options{})
	if after.NameIDScope == before.NameIDScope {
		t.Errorf("the provider that was added has the scope %q of the one that was removed", after.NameIDScope)
	}

	// With Resume nothing is there to resume until it is removed.
	slow.then.Store(&remove)
	if _, err := r.Add(t.Context(), newProvider(t, entity), sp.Options{Resume: true}, "test"); err != nil {
		t.Errorf("resume during remove: %v", err)
	}
}
