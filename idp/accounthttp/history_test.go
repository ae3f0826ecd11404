package accounthttp_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"vernal/idp"
	"vernal/idp/idptest"
)

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// entries returns the times of a page of the history, and the URL of the older page.
func entries(page *idptest.Page) (times []string, older string) {
	for n := range page.Doc.Descendants() {
		switch href := attribute(n, "href"); {
		case n.Data == "time":
			times = append(times, attribute(n, "datetime"))
		case n.Data == "a" && strings.Contains(href, "before="):
			older = href
		}
	}
	return times, older
}

func TestHistoryHasEveryRecordOnce(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
	here, _ := signIn(t, i, ann)
	i.Clock.Advance(time.Minute)
	for n := range 70 {
		at := i.Clock.Now()
		for _, u := range []*idptest.User{ann, bob} {
			if err := i.Store.AppendAudit(t.Context(), idp.AuditEvent{Kind: idp.AuditUserUnlock, Outcome: "ok", Actor: "cli:uid=0(root)", User: u.Record.ID}); err != nil {
				t.Fatal(err)
			}
		}
		if n%10 == 0 {
			i.Clock.Advance(at.Add(time.Second).Sub(at))
		}
	}
	total := len(records(t, i, ann, idp.AuditUserUnlock)) + len(records(t, i, ann, idp.AuditAuthn)) + len(records(t, i, ann, idp.AuditAuthnPassword)) + len(records(t, i, ann, idp.AuditUserAdd)) + len(records(t, i, ann, idp.AuditUserAddTOTP))

	page := here.Get("/account/history")
	var all []string
	for n := 0; ; n++ {
		checkPage(t, page, http.StatusOK)
		times, older := entries(page)
		if len(times) > 30 {
			t.Fatalf("%d entries on a page", len(times))
		}
		all = append(all, times...)
		if older == "" {
			break
		}
		if n > 10 {
			t.Fatal("the pages do not end")
		}
		page = here.Get(older)
	}
	if len(all) != total {
		t.Errorf("%d entries, want %d", len(all), total)
	}
	for n := 1; n < len(all); n++ {
		if all[n] > all[n-1] {
			t.Errorf("entry %d is newer than the one before it", n)
		}
	}

	// The mark of another user, and anything that is no mark, shows the newest page of one's own.
	theirs, _ := signIn(t, i, bob)
	_, bobsMark := entries(theirs.Get("/account/history"))
	newest, _ := entries(here.Get("/account/history"))
	for _, mark := range []string{bobsMark, "/account/history?before=7", "/account/history?before=" + url.QueryEscape(strings.Repeat("A", 60))} {
		if got, _ := entries(here.Get(mark)); fmt.Sprint(got) != fmt.Sprint(newest) {
			t.Errorf("%s shows other entries", mark)
		}
	}
}

// The history shows part of the IP address, who did it, and no one else's name.
func TestHistoryShowsOriginAndNetwork(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	provider := i.AddProvider("https://a.example")
	b, _ := signIn(t, i, ann)
	b.Get(provider.URL(&idptest.Request{}))
	i.Browser().Post("/sign-in", url.Values{"email": {ann.Email}, "password": {"wrong"}})
	body := string(b.Get("/account/history").Body)
	for _, key := range []string{"history.sign_in", "history.authn", "history.authn.password", "history.refusal.password", "history.by.you", "history.user.add"} {
		if !strings.Contains(body, text(key)) {
			t.Errorf("no %s", key)
		}
	}
	if !strings.Contains(body, "127.0.0.x") || strings.Contains(body, "127.0.0.1") {
		t.Error("the page has no network, or the whole IP address")
	}
}
