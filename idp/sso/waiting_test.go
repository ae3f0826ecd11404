package sso_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/session"
)

// full is a store that rejects every waiting request as if its queue were full, so that the
// requests wait in their browsers. If busy is set, it rejects every write.
type full struct {
	idp.OwnedStore
	room, busy atomic.Bool
	stored     atomic.Int64 // in bytes of sender-chosen content
}

func (f *full) CreateLoginRequest(ctx context.Context, r *idp.LoginRequest, events ...idp.AuditEvent) error {
	if !f.room.Load() {
		return idp.ErrBusy
	}
	n := len(r.RelayState) + len(r.MessageID)
	for _, ref := range r.ClassRefs {
		n += len(ref)
	}
	f.stored.Add(int64(n))
	return f.OwnedStore.CreateLoginRequest(ctx, r, events...)
}

func (f *full) StartSession(ctx context.Context, b idp.SessionStart, events ...idp.AuditEvent) error {
	if f.busy.Load() && b.PendingID == "" && b.PreviousID == "" {
		return fmt.Errorf("start session: %w", idp.ErrBusy)
	}
	return f.OwnedStore.StartSession(ctx, b, events...)
}

func (f *full) AnswerLoginRequest(ctx context.Context, r *idp.LoginRequest, at time.Time, check idp.Check, events ...idp.AuditEvent) error {
	if f.busy.Load() {
		return idp.ErrBusy
	}
	return f.OwnedStore.AnswerLoginRequest(ctx, r, at, check, events...)
}

func (f *full) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	if f.busy.Load() {
		return idp.ErrBusy
	}
	return f.OwnedStore.AppendAudit(ctx, events...)
}

func newFull(t *testing.T) (*idptest.IdP, *full) {
	t.Helper()
	store := new(full)
	return idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }}), store
}

// countHeld returns the number of requests that the browser holds.
func countHeld(b *idptest.Browser) (n int) {
	for _, c := range b.Cookies() {
		if strings.HasPrefix(c.Name, "vernal-request-") && strings.HasPrefix(c.Value, "w.") {
			n++
		}
	}
	return n
}

func allowUnsigned(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional }

// large returns a request of the maximum permitted size that cannot be compressed.
func large(n int) *idptest.Request {
	random := rand.New(rand.NewPCG(uint64(n), 1))
	noise := func(size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.IntN(64)]
		}
		return string(b)
	}
	return &idptest.Request{RelayState: noise(2048), ClassRefs: []string{
		"http://idmanagement.gov/ns/assurance/ial/1", "urn:x:" + noise(4000), "urn:x:" + noise(4000),
	}}
}

// send sends the server a request from an IP address and returns the response.
func send(t *testing.T, i *idptest.IdP, from, method, target string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = from
	w := httptest.NewRecorder()
	i.Handler.ServeHTTP(w, r)
	return w
}

func networkOf(n int) string { return fmt.Sprintf("[2001:db8:%x:%x::1]:443", n/0xffff, n%0xffff) }

// However many requests unauthenticated senders make, from any number of networks, the stored
// ones stay within the budgets and every request is accepted. Unsigned requests spend neither
// the budget of the SP that they claim nor that of signed requests.
func TestWaitingRequestsAreBounded(t *testing.T) {
	t.Parallel()
	i, store := newFull(t)
	store.room.Store(true)
	open := i.AddProvider(spA, allowUnsigned)
	address := i.URL + "/api/saml/auth" + string(i.Year())
	attack := func(count int, from func(int) string, unsigned bool) (bytes int64) {
		before := store.stored.Load()
		for n := range count {
			r := large(n)
			r.Unsigned = unsigned
			w := send(t, i, from(n), http.MethodPost, address, open.Form(r))
			if w.Code != http.StatusSeeOther {
				t.Fatalf("request %d: status %d", n, w.Code)
			}
			var header strings.Builder
			if _ = w.Result().Header.Write(&header); header.Len() > 3900 { // nginx takes 4 kB, including the status line and HSTS
				t.Fatalf("request %d: a header of %d bytes", n, header.Len())
			}
		}
		return store.stored.Load() - before
	}
	one := func(int) string { return "203.0.113.7:443" }
	if got := attack(60, one, true); got > 256<<10 || got < 200<<10 {
		t.Errorf("unsigned requests of one network: %d bytes are stored", got)
	}
	if got := attack(400, networkOf, true); got > 2<<20 || got < 1<<20 {
		t.Errorf("unsigned requests of many networks: %d bytes are stored", got)
	}
	before := store.stored.Load()
	if got := attack(250, one, false); got > 2<<20 || got < 1<<20 {
		t.Errorf("signed requests of one network: %d bytes are stored", got)
	}
	attack(400, func(n int) string { return networkOf(1000 + n) }, false)
	if got := store.stored.Load() - before; got > 5<<20 || got < 4<<20 {
		t.Errorf("signed requests of one SP: %d bytes are stored", got)
	}
	// Another SP has its own budget.
	b := i.AddProvider(spB)
	before = store.stored.Load()
	send(t, i, networkOf(9999), http.MethodPost, address, b.Form(large(0)))
	if store.stored.Load() == before {
		t.Error("one SP's requests spent another one's budget")
	}
}

// Beyond the budget a request changes nothing in the store until it is answered.
func TestRequestInBrowserWritesNothing(t *testing.T) {
	t.Parallel()
	i, _ := newFull(t)
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	before := i.Changes()
	r := &idptest.Request{RelayState: "r"}
	page := browser.Get(a.URL(r))
	browser.Get(page.URL.String())
	switchTo(t, browser, page, "fr")
	if n := i.Changes() - before; n > 0 {
		t.Errorf("%d changes before the user has proved anything", n)
	}
	if countHeld(browser) != 1 {
		t.Fatalf("the browser holds %d requests", countHeld(browser))
	}
	accept(t, a, r, browser.SignIn(page, person))
	if countHeld(browser) != 0 {
		t.Error("the browser still holds the request that was answered")
	}
}

// A sign-in that waits in the browser goes through every step, with either binding, and is
// answered once.
func TestSignInFromBrowser(t *testing.T) {
	t.Parallel()
	i, _ := newFull(t)
	a, b, person := i.AddProvider(spA), i.AddProvider(spB), i.AddUser("ada@example.gov")
	address := "/api/saml/auth" + string(i.Year())

	browser := i.Browser()
	first := &idptest.Request{RelayState: "/deep?link=1&two=ü", ClassRefs: []string{"urn:x:unknown", "http://idmanagement.gov/ns/assurance/ial/1"}}
	page := browser.CrossSitePost(address+"?locale=es", a.Form(first))
	checkLanguage(t, page, "es")
	waitsAt := page.URL.String()
	page = switchTo(t, browser, page, "fr")
	checkLanguage(t, page, "fr")
	page = browser.GiveCode(browser.GivePassword(page, person), person, "remember")
	accept(t, a, first, page)
	if relay := page.Form().Fields.Get("RelayState"); relay != first.RelayState {
		t.Errorf("RelayState %q, want %q", relay, first.RelayState)
	}
	checkRefusal(t, browser.Get(page.URL.String()), http.StatusBadRequest, "already_used")
	checkRefusal(t, browser.Get(waitsAt), http.StatusBadRequest, "already_used")
	checkRefusal(t, browser.CrossSitePost(address, a.Form(first)), http.StatusBadRequest, "already_used")
	checkRefusal(t, i.Browser().CrossSitePost(address, a.Form(first)), http.StatusBadRequest)

	// With a session: POST, forced, stepped up.
	second := &idptest.Request{}
	accept(t, b, second, browser.CrossSitePost(address, b.Form(second)))
	forced := &idptest.Request{ForceAuthn: true}
	accept(t, a, forced, signIn(browser, a, forced, person))
	browser.Post("/account/sign-out", nil)
	less := &idptest.Request{}
	accept(t, a, less, browser.GivePassword(browser.Get(a.URL(less)), person)) // the device is remembered
	more := &idptest.Request{ClassRefs: []string{aal2}}
	accept(t, a, more, browser.GiveCode(browser.Get(a.URL(more)), person))

	// Two tabs.
	other := i.Browser()
	one, two := &idptest.Request{}, &idptest.Request{}
	tabOne, tabTwo := other.Get(a.URL(one)), other.Get(b.URL(two))
	accept(t, b, two, other.SignIn(tabTwo, person))
	accept(t, a, one, other.SignIn(tabOne, person))
}

// A request that waits in one browser is refused in another, after a day, and once its SP may
// no longer use it.
func TestRequestInBrowserIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		meanwhile func(*idptest.IdP, *idptest.Provider)
		status    int
		code      string
	}{
		{"after a day", func(i *idptest.IdP, _ *idptest.Provider) { i.Clock.Advance(session.RequestLifetime) }, 400, "request_stale"},
		{"another ACS", func(_ *idptest.IdP, p *idptest.Provider) {
			p.Edit(func(r *idp.ServiceProvider) { r.ACSURLs = []string{spA + "/other"} })
		}, 400, "acs_url"},
		{"inactive", func(_ *idptest.IdP, p *idptest.Provider) {
			p.Edit(func(r *idp.ServiceProvider) { r.Active = false })
		}, 400, "sp_inactive"},
		{"another certificate", func(i *idptest.IdP, p *idptest.Provider) {
			other := i.AddProvider(spB)
			p.Edit(func(r *idp.ServiceProvider) {
				r.Certs = []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Cert.Raw}))}
			})
		}, 400, "signature_mismatch"},
		{"removed", func(i *idptest.IdP, _ *idptest.Provider) {
			if err := i.Registry.Remove(t.Context(), spA, "test"); err != nil {
				t.Error(err)
			}
		}, 400, "sp_unknown"},
		{"year retired", func(i *idptest.IdP, _ *idptest.Provider) { i.Retire(i.Year()) }, 410, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i, _ := newFull(t)
			a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
			to := leaveRequest(t, browser, a, person, &idptest.Request{})
			checkRefusal(t, i.Browser().Get(to), http.StatusBadRequest, "request_stale")
			tt.meanwhile(i, a)
			checkRefusal(t, browser.Get(to), tt.status, tt.code)
		})
	}
}

// If two browsers hold the same message, the first one to be answered wins and the other one
// is a replay. In a second tab of the same browser the request is already used.
func TestSameMessageInTwoBrowsers(t *testing.T) {
	t.Parallel()
	i, store := newFull(t)
	a, ada, bob := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.AddUser("bob@example.gov")
	one, two := i.Browser(), i.Browser()
	r := &idptest.Request{}
	address := a.URL(r)
	first, tab, second := one.Get(address), one.Get(address), two.Get(address)
	accept(t, a, r, two.SignIn(second, bob))
	checkRefusal(t, one.SignIn(first, ada), http.StatusBadRequest, "replayed")
	checkRefusal(t, one.Get(tab.URL.String()), http.StatusOK) // the sign-in page, and then:
	checkRefusal(t, one.Get(strings.Replace(tab.URL.String(), "/sign-in?", "/sign-in/continue?", 1)), http.StatusBadRequest, "replayed")

	r = &idptest.Request{}
	address = a.URL(r)
	fresh := i.Browser()
	first, tab = fresh.Get(address), fresh.Get(address)
	accept(t, a, r, fresh.SignIn(tab, ada))
	checkRefusal(t, fresh.Get(strings.Replace(first.URL.String(), "/sign-in?", "/sign-in/continue?", 1)), http.StatusBadRequest, "already_used")

	// If one of them is stored in the meantime, that one counts: its own browser goes on with
	// it, and another one is refused.
	r = &idptest.Request{}
	address = a.URL(r)
	three, four := i.Browser(), i.Browser()
	first, second = three.Get(address), four.Get(address)
	store.room.Store(true)
	three.Get(address)
	accept(t, a, r, three.SignIn(first, ada))
	checkRefusal(t, four.SignIn(second, bob), http.StatusBadRequest, "replayed")
}

// The second copy is not answered even after the store has forgotten the answer to the first.
func TestSameMessageAfterItsLifetime(t *testing.T) {
	t.Parallel()
	for _, passive := range []bool{false, true} {
		i, _ := newFull(t)
		a, ada, early, late := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser(), i.Browser()
		r := &idptest.Request{IsPassive: passive, ForceAuthn: passive}
		form := a.Form(r)
		address := "/api/saml/auth" + string(i.Year())
		_, first := early.CrossSitePostOnly(address, form)
		i.Clock.Advance(2 * time.Minute)
		_, second := late.CrossSitePostOnly(address, form)
		page := early.Get(first)
		if !passive {
			page = early.SignIn(page, ada)
		}
		if page.Response() == nil {
			t.Fatalf("no answer: %d %s", page.Status, page.URL)
		}
		answered, err := i.Store.LoginRequest(t.Context(), idp.RequestKey{SP: spA, MessageID: r.ID})
		if err != nil {
			t.Fatal(err)
		}
		i.Clock.Advance(answered.ExpiresAt.Sub(i.Clock.Now()))
		if _, err := i.Store.Sweep(t.Context(), i.Clock.Now(), 1000); err != nil {
			t.Fatal(err)
		}
		checkRefusal(t, late.Get(second), http.StatusBadRequest, "request_stale")
	}
}

// A request that waits in the browser is answered once, however many tabs ask at once.
func TestRequestInBrowserIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	i, _ := newFull(t)
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	to := leaveRequest(t, browser, a, person, &idptest.Request{})
	var answers atomic.Int64
	var wg sync.WaitGroup
	cookies := browser.Cookies()
	for range 6 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodGet, to, nil)
			for _, c := range cookies {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			i.Handler.ServeHTTP(w, r)
			if strings.Contains(w.Body.String(), "SAMLResponse") {
				answers.Add(1)
			}
		})
	}
	wg.Wait()
	if answers.Load() != 1 {
		t.Errorf("%d answers", answers.Load())
	}
}

// A browser holds two requests, and a third one replaces the oldest.
func TestBrowserHoldsTwoRequests(t *testing.T) {
	t.Parallel()
	i, _ := newFull(t)
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	var requests []*idptest.Request
	var pages []*idptest.Page
	for range 4 {
		r := &idptest.Request{}
		requests, pages = append(requests, r), append(pages, browser.Get(a.URL(r)))
		i.Clock.Advance(time.Second)
	}
	if n := countHeld(browser); n != 2 {
		t.Errorf("the browser holds %d requests, want 2", n)
	}
	accept(t, a, requests[3], browser.SignIn(pages[3], person))
	checkRefusal(t, browser.Get(pages[0].URL.String()), http.StatusBadRequest, "request_stale")
}

// An answered request no longer counts as waiting, so an SP whose users sign in does not spend
// its budget.
func TestAnsweredRequestsAreGivenBack(t *testing.T) {
	t.Parallel()
	i, store := newFull(t)
	store.room.Store(true)
	a, person, browser := i.AddProvider(spA, allowUnsigned), i.AddUser("ada@example.gov"), i.Browser()
	address := "/api/saml/auth" + string(i.Year())
	first := &idptest.Request{}
	accept(t, a, first, signIn(browser, a, first, person))
	for n := range 60 { // twice the budget of one network
		r := large(n)
		r.Unsigned = true
		resp, to := browser.CrossSitePostOnly(address, a.Form(r))
		_ = resp.Body.Close()
		if countHeld(browser) > 0 {
			t.Fatalf("request %d waits in the browser", n)
		}
		accept(t, a, r, browser.Get(to))
	}
}

// Passive requests leave a bounded number of records and changes, for every kind of sender and
// binding. Every one is answered, and unrecorded answers are counted. They spend nothing of
// the budget for the SP's refusals.
func TestPassiveRequestsAreBounded(t *testing.T) {
	t.Parallel()
	for _, unsigned := range []bool{true, false} {
		t.Run(fmt.Sprintf("unsigned=%v", unsigned), func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			a := i.AddProvider(spA, allowUnsigned)
			before := i.Changes()
			const count = 250
			for n := range count {
				r := &idptest.Request{IsPassive: true, Unsigned: unsigned, RelayState: "r"}
				browser := i.Browser()
				page := (*idptest.Page)(nil)
				if n%2 == 0 {
					page = browser.Get(a.URL(r))
				} else {
					page = browser.CrossSitePost("/api/saml/auth"+string(i.Year()), a.Form(r))
				}
				if !strings.Contains(string(page.Response()), "status:NoPassive") || page.Form().Fields.Get("RelayState") != "r" {
					t.Fatalf("request %d: %d %s", n, page.Status, page.Text())
				}
			}
			if n := i.Changes() - before; n > 100 {
				t.Errorf("%d changes of the store", n)
			}
			if err := i.Trail.Refusals.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			// A refusal of the same SP has a record of its own.
			i.Browser().Get(a.URL(&idptest.Request{ACS: "https://evil.example/acs"}))
			records, err := audit.Records(t.Context(), i.Store, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			recorded, counted, refusals := 0, "", 0
			for _, rec := range records {
				switch {
				case rec.Outcome == "no_passive":
					recorded++
				case rec.Kind == "refusals":
					counted += rec.Detail["no_passive"]
					if (rec.SP == spA) == unsigned {
						t.Errorf("the count names %q", rec.SP)
					}
				case rec.Outcome == "acs_url":
					refusals++
				}
			}
			if counted != fmt.Sprint(count-recorded) || recorded == 0 || recorded > 100 || refusals != 1 {
				t.Errorf("%d of %d are recorded and %q counted, %d refusals", recorded, count, counted, refusals)
			}
		})
	}
}

// Within the budget, the ID of a passive request is spent.
func TestPassiveRequestIDIsSpent(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	for range 12 {
		r := &idptest.Request{IsPassive: true}
		address := a.URL(r)
		if page := browser.Get(address); page.Response() == nil {
			t.Fatalf("no answer: %d", page.Status)
		}
		checkRefusal(t, browser.Get(address), http.StatusBadRequest, "already_used")
		checkRefusal(t, i.Browser().Get(address), http.StatusBadRequest, "replayed")
	}
	if n := len(browser.Cookies()); n > 9 {
		t.Errorf("the browser has %d cookies", n)
	}
	signIn(browser, a, &idptest.Request{}, person)
	r := &idptest.Request{IsPassive: true, ForceAuthn: true}
	address := a.URL(r)
	browser.Get(address)
	checkRefusal(t, browser.Get(address), http.StatusBadRequest, "already_used")
}

// A store that cannot take more leads to a page that says when to try again. It leaves no
// record, which would be one more change, but it is counted.
func TestBusyStoreAnswers503(t *testing.T) {
	t.Parallel()
	i, store := newFull(t)
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{}
	page := browser.Get(a.URL(r))
	store.busy.Store(true)
	failed := browser.GivePassword(page, person)
	if failed.Status != http.StatusServiceUnavailable || failed.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", failed.Status, failed.Header.Get("Retry-After"))
	}
	if passive := i.Browser().Get(a.URL(&idptest.Request{IsPassive: true})); passive.Response() == nil {
		t.Errorf("NoPassive needs no write, but: status %d", passive.Status)
	}
	store.busy.Store(false)
	accept(t, a, r, browser.SignIn(page, person))
	if err := i.Trail.Refusals.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	records, err := audit.Records(t.Context(), i.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	counted := ""
	for _, rec := range records {
		counted += rec.Detail["unavailable"] + rec.Detail["no_passive"]
		if rec.Kind == "failure" {
			t.Errorf("recorded one by one: %+v", rec)
		}
	}
	if counted != "11" { // one of each, for no user and for the SP
		t.Errorf("counted %q", counted)
	}
}

// A malformed or foreign cookie under the name of a request is refused like a missing one.
func TestForeignRequestCookieIsRefused(t *testing.T) {
	t.Parallel()
	i, _ := newFull(t)
	a := i.AddProvider(spA)
	one, two := i.Browser(), i.Browser()
	page := one.Get(a.URL(&idptest.Request{}))
	two.Get(a.URL(&idptest.Request{}))
	name, value := one.Cookies()[0].Name, one.Cookies()[0].Value
	for what, v := range map[string]string{
		"another request's": two.Cookies()[0].Value, "cut": value[:len(value)-4], "nothing": "w.", "noise": "w." + base64.RawURLEncoding.EncodeToString(make([]byte, 300)),
		"a secret": strings.Repeat("A", 43),
	} {
		for _, path := range []string{"/sign-in?", "/sign-in/continue?", "/sign-in/step-up?", "/sign-in/code?"} {
			r := httptest.NewRequest(http.MethodGet, path+page.URL.RawQuery, nil)
			r.AddCookie(&http.Cookie{Name: name, Value: v})
			w := httptest.NewRecorder()
			i.Handler.ServeHTTP(w, r)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "request_stale") {
				t.Errorf("%s at %s: %d", what, path, w.Code)
			}
		}
	}
}

// blocked is a store that answers no request without an assertion until release is closed.
type blocked struct {
	idp.OwnedStore
	release chan struct{}
	inside  atomic.Int64
	most    atomic.Int64
}

func (b *blocked) AnswerLoginRequest(ctx context.Context, r *idp.LoginRequest, at time.Time, check idp.Check, events ...idp.AuditEvent) error {
	b.most.Store(max(b.most.Load(), b.inside.Add(1)))
	<-b.release
	b.inside.Add(-1)
	return b.OwnedStore.AnswerLoginRequest(ctx, r, at, check, events...)
}

// Answers to unauthenticated senders are made a few at a time: a bounded number waits, more
// are refused as busy, and a user's sign-in goes on.
func TestPassiveRequestsLeaveRoom(t *testing.T) {
	t.Parallel()
	store := &blocked{release: make(chan struct{})}
	release := sync.OnceFunc(func() { close(store.release) })
	i := idptest.New(t, idptest.Options{Log: slog.DiscardHandler, WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }})
	defer release()
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	first := &idptest.Request{}
	accept(t, a, first, signIn(browser, a, first, person))

	const extra = 5
	slots := max(1, runtime.GOMAXPROCS(0)/2)
	total := slots + 200 + extra
	codes := make(chan int, total)
	for range total {
		target := a.URL(&idptest.Request{IsPassive: true})
		go func() { codes <- send(t, i, "203.0.113.7:443", http.MethodGet, target, nil).Code }()
	}
	for range extra { // all others are inside or wait
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Fatalf("status %d of one that came when all places were taken", code)
		}
	}
	second := &idptest.Request{}
	accept(t, a, second, browser.Get(a.URL(second)))
	release()
	for range total - extra {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("status %d of one that waited", code)
		}
	}
	if got := store.most.Load(); got > int64(slots) {
		t.Errorf("%d at once, want %d", got, slots)
	}
}

// slow is a client that does not read its response until release is closed.
type slow struct {
	*httptest.ResponseRecorder
	reached chan<- struct{}
	release <-chan struct{}
}

func (s slow) Write(b []byte) (int, error) {
	s.reached <- struct{}{}
	<-s.release
	return s.ResponseRecorder.Write(b)
}

// Clients that do not read their answers do not block places for others.
func TestSlowClientsLeaveRoom(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Log: slog.DiscardHandler})
	a := i.AddProvider(spA)
	reached, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	count := 2 * max(1, runtime.GOMAXPROCS(0)/2)
	for range count {
		r := httptest.NewRequest(http.MethodGet, a.URL(&idptest.Request{IsPassive: true}), nil)
		wg.Go(func() { i.Handler.ServeHTTP(slow{httptest.NewRecorder(), reached, release}, r) })
	}
	for range count {
		<-reached // all of them have their answer, more than can sign at once
	}
	close(release)
	wg.Wait()
}

// TestPassiveRequestsGiveNoRoomBack sends requests that are too long for a cookie and are
// answered at once. No user has authenticated, so they occupy the store until they are swept.
func TestPassiveRequestsGiveNoRoomBack(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, allowUnsigned)
	stored := 0
	const count = 200
	for n := range count {
		// JSON escapes each control character six-fold, and chance does not compress.
		relay := make([]byte, 2048)
		for i := range relay {
			relay[i] = byte(1 + rand.IntN(31))
		}
		r := &idptest.Request{IsPassive: true, Unsigned: true, RelayState: string(relay)}
		i.Browser().CrossSitePost("/api/saml/auth"+string(i.Year()), a.Form(r))
		_, err := i.Store.LoginRequest(t.Context(), idp.RequestKey{SP: spA, MessageID: r.ID})
		switch {
		case err == nil:
			stored++
		case !errors.Is(err, idp.ErrNotFound):
			t.Fatalf("request %d: %v", n, err)
		}
	}
	if stored == 0 || stored > 150 { // 256 KiB of one network, more than 2 kB each
		t.Errorf("%d of %d requests were stored", stored, count)
	}
}
