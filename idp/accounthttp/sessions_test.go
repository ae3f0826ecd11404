package accounthttp_test

import (
	crand "crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

func TestUserSeesAndEndsOwnSessions(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
	provider := i.AddProvider("https://a.example")
	here, mine := signIn(t, i, ann)
	there, theirs := signIn(t, i, ann)
	there.Get(provider.URL(&idptest.Request{}))
	bobs, bobsSession := signIn(t, i, bob)
	third := giveOnlyPassword(t, i, ann)

	page := here.Get("/account/sessions")
	checkPage(t, page, http.StatusOK, "this browser", text("account.pending"), "127.0.0.x", "Services")
	if strings.Contains(string(page.Body), string(mine.ID)) || strings.Contains(string(page.Body), "bob@") {
		t.Error("the page holds a whole SessionID, or another user")
	}
	if strings.Contains(string(page.Body), bobsSession.ID.ShortID()) {
		t.Error("the page lists a session of another sender")
	}

	// The session of another user is not ended, and the answer does not disclose that it
	// exists.
	one := url.Values{"session": {bobsSession.ID.ShortID()}}
	checkPage(t, here.Post("/account/sessions/end", one), http.StatusOK, "That session has ended")
	checkPage(t, bobs.Get("/account"), http.StatusOK, "bob@example.gov")
	checkPage(t, here.Post("/account/sessions/end", nil), http.StatusBadRequest)
	checkPage(t, here.Post("/account/sessions/end", url.Values{"session": {mine.ID.ShortID()}}), http.StatusOK, text("account.this")) // the sign-out button is for that
	checkPage(t, here.CrossSitePost("/account/sessions/end-others", nil), http.StatusForbidden)
	checkPage(t, i.Browser().Post("/account/sessions/end-others", nil), http.StatusOK, "Password") // no session

	checkPage(t, here.Post("/account/sessions/end", url.Values{"session": {theirs.ID.ShortID()}}), http.StatusOK, "That session has ended")
	checkPage(t, there.Get("/account"), http.StatusOK, "Your session has ended", text("ended.elsewhere"))
	checkPage(t, there.Get("/account"), http.StatusOK, "Password") // it is said only once
	checkPage(t, third.Get("/sign-in/code"), http.StatusOK, "Enter your code")

	signIn(t, i, ann)
	checkPage(t, here.Post("/account/sessions/end-others", nil), http.StatusOK, text("notice.sessions_ended"), text("account.alone"))
	checkPage(t, third.Get("/sign-in/code"), http.StatusUnprocessableEntity, "Password")
	checkPage(t, bobs.Get("/account"), http.StatusOK, "bob@example.gov")

	ends := 0
	records, err := audit.Records(t.Context(), i.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Kind == "session.end" {
			ends++
			if r.User != ann.Record.ID || r.Actor != "user:"+string(ann.Record.ID) || len(r.Detail["session"]) != 16 {
				t.Errorf("record %+v", r.AuditEvent)
			}
		}
	}
	if ends != 3 {
		t.Errorf("%d ends are recorded, want 3", ends)
	}
}

func TestUnlistedSessionsEndToo(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	here, _ := signIn(t, i, ann)
	for range 25 {
		s := &idp.Session{ID: idp.HashSessionToken(crand.Text()), User: ann.Record.ID, CreatedAt: i.Clock.Now(), SeenAt: i.Clock.Now(), ExpiresAt: i.Clock.Now().Add(time.Hour)}
		if err := i.Store.StartSession(t.Context(), idp.SessionStart{Session: s}); err != nil {
			t.Fatal(err)
		}
	}
	page := here.Get("/account/sessions")
	checkPage(t, page, http.StatusOK, "this browser", "6 "+text("account.more"))
	if n := strings.Count(page.Text(), "End this session"); n != 19 {
		t.Errorf("%d sessions can be ended, want 19", n)
	}
	here.Post("/account/sessions/end-others", nil)
	if left, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: ann.Record.ID}); err != nil || len(left) != 1 {
		t.Errorf("%d sessions are left, %v", len(left), err)
	}
}

// TestSessionEndIsAnnouncedAndExtended follows a session to its end: warned, extended, and
// finally ended.
func TestSessionEndIsAnnouncedAndExtended(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b, _ := signIn(t, i, ann)
	refresh := func(page *idptest.Page, want string) {
		t.Helper()
		if got := page.Header.Get("Refresh"); got != want {
			t.Errorf("Refresh of %s is %q, want %q", page.URL, got, want)
		}
	}
	refresh(b.Get("/account"), "780; url=/account/stay") // 15 minutes less 2
	i.Clock.Advance(5 * time.Minute)
	page := b.Get("/account/stay")
	checkPage(t, page, http.StatusOK, text("stay.heading_live"), "10 minutes")
	refresh(page, "480; url=/account/stay")
	i.Clock.Advance(8 * time.Minute)
	page = b.Get("/account/stay")
	checkPage(t, page, http.StatusOK, "Your session is about to end", "about 2 minutes", "Stay signed in")
	refresh(page, "120; url=/account/stay")
	checkPage(t, b.CrossSitePost("/account/stay", nil), http.StatusForbidden)
	checkPage(t, b.Post("/account/stay", nil), http.StatusOK, text("account.sign_out"), "ann@example.gov")

	// Loading the warning, or a HEAD request, does not count as use of the session.
	for range 14 {
		i.Clock.Advance(time.Minute)
		checkPage(t, b.Get("/account/stay"), http.StatusOK)
		b.Head("/account")
	}
	i.Clock.Advance(time.Minute)
	page = b.Get("/account/stay")
	checkPage(t, page, http.StatusOK, "Your session has ended", "not used for a while")
	refresh(page, "")
	checkPage(t, b.Get("/account"), http.StatusOK, "Password")
	if n, err := i.Store.Sweep(t.Context(), i.Clock.Now().Add(15*time.Minute), 100); err != nil || n == 0 {
		t.Errorf("the session is in the store yet: %d, %v", n, err)
	}
	if left, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: ann.Record.ID}); err != nil || len(left) != 0 {
		t.Errorf("%d sessions are in the store yet, %v", len(left), err)
	}
}

// A session in constant use still ends, and another one can be begun before that.
func TestSessionEndsDespiteUse(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b, s := signIn(t, i, ann)
	for i.Clock.Now().Before(s.ExpiresAt.Add(-5 * time.Minute)) {
		i.Clock.Advance(5 * time.Minute)
		checkPage(t, b.Get("/account"), http.StatusOK, text("account.sign_out"))
	}
	other := i.Browser()
	other.SignIn(other.Get("/sign-in"), ann)
	i.Clock.Advance(s.ExpiresAt.Sub(i.Clock.Now()) - time.Minute)
	checkPage(t, b.Post("/account/stay", nil), http.StatusOK, text("account.sign_out")) // changes nothing
	checkPage(t, b.Get("/account/stay"), http.StatusOK, text("stay.final.one"), text("stay.again"))
	checkPage(t, b.Get("/sign-in"), http.StatusOK, text("account.sign_out"))
	checkPage(t, b.Get("/sign-in?again=1"), http.StatusOK, "Password")
	i.Clock.Advance(time.Minute)
	checkPage(t, b.Get("/account"), http.StatusOK, "Your session has ended", text("ended.absolute"))
	checkPage(t, other.Get("/account"), http.StatusOK, "ann@example.gov")
}
