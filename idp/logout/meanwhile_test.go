package logout_test

import (
	"context"
	"sync"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// held is a store that has something happen just before the answer to a
// LogoutRequest is written: when all is judged, and nothing has ended.
type held struct {
	idp.Store
	once sync.Once
	// arrived is closed when the answer is about to be written; it is written
	// once release is closed.
	arrived, release chan struct{}
}

func (h *held) RecordLogout(ctx context.Context, l *idp.Logout, events ...idp.AuditEvent) (int, error) {
	h.once.Do(func() {
		close(h.arrived)
		<-h.release
	})
	return h.Store.RecordLogout(ctx, l, events...)
}

// A step-up in another tab gives the session a new ID and a new cookie, while a
// LogoutRequest that was judged by the old ones is on its way to the store. The
// SP is told Success, so the session that the old one became must end too; one
// in another browser, which the request does not name, stays.
func TestLogoutMeetsStepUp(t *testing.T) {
	t.Parallel()
	store := &held{arrived: make(chan struct{}), release: make(chan struct{})}
	release := sync.OnceFunc(func() { close(store.release) })
	i := idptest.New(t, idptest.Options{Between: func(s idp.Store) idp.Store { store.Store = s; return store }})
	t.Cleanup(release)
	a := i.AddProvider(spA)
	ada, browser, elsewhere := i.AddPerson("ada@example.gov"), i.Browser(), i.Browser()

	// A browser that is remembered signs in with less than aal/2.
	browser.GiveCode(browser.GivePassword(browser.Get("/sign-in"), ada), ada, "remember")
	browser.Post("/account/sign-out", nil)
	r := &idptest.Request{}
	told, err := a.Check(r, browser.GivePassword(browser.Get(a.URL(r)), ada).Response())
	if err != nil {
		t.Fatal(err)
	}
	r = &idptest.Request{}
	if elsewhere.SignIn(elsewhere.Get(a.URL(r)), ada).Response() == nil {
		t.Fatal("not signed in in the other browser")
	}
	more := &idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/2"}}
	stepUp := browser.Get(a.URL(more))

	out := &idptest.LogoutRequest{NameID: told.Subject.NameID.Value}
	address, old := a.LogoutURL(out), browser.Session()
	answer := make(chan *idptest.Page, 1)
	go func() { answer <- browser.Get(address) }()
	select {
	case <-store.arrived:
	case page := <-answer:
		t.Fatalf("answered without a record: %d\n%s", page.Status, page.Text())
	}
	stepped := browser.GiveCode(stepUp, ada)
	release()
	page := <-answer
	if stepped.Response() == nil || old == "" {
		t.Fatalf("no step-up: %d %s\n%s", stepped.Status, stepped.URL, stepped.Text())
	}
	answered(t, page, a, out, ok, "")
	if left, err := i.Store.UserSessions(t.Context(), ada.User.ID); err != nil || len(left) != 1 {
		t.Errorf("sessions left: %d, %v; want that of the other browser", len(left), err)
	}
	if next := elsewhere.Get(a.URL(&idptest.Request{})); next.Response() == nil {
		t.Error("the session in the other browser has ended")
	}
}
