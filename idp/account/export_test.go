package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
	"vernal/idp/audit"
)

// everybody exports all pages, as JSON lines.
func (h *house) everybody(secrets bool, limit int) string {
	h.t.Helper()
	var out strings.Builder
	o := ExportOptions{Secrets: secrets, Limit: limit}
	for {
		page, err := h.Export(h.t.Context(), o, actor)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, rec := range page.Records {
			out.WriteString(mustJSON(h.t, rec) + "\n")
		}
		if o.After = page.Next; page.Next == "" {
			return out.String()
		}
	}
}

// told is the NameID that a provider would be told of a person: what a sign-in
// looks up.
func (h *house) told(sp idp.EntityID, email string) idp.NameID {
	h.t.Helper()
	list, err := h.store.Providers(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	u, err := h.store.UserByEmail(h.t.Context(), email)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range list {
		if p.EntityID == sp {
			name, _ := h.store.NameID(h.t.Context(), p.NameIDScope, u.ID)
			return name
		}
	}
	return ""
}

// TestExportImport moves people to a new installation: every provider must
// know everybody as before, whatever lives it has led.
func TestExportImport(t *testing.T) {
	t.Parallel()
	// What is registered in the old installation and in the new one.
	old := map[idp.EntityID]idp.NameIDScope{
		"https://a/": "sp:https://a/", "https://b/": "agency:Parks", "https://c/": "sp:https://c/#3", "Parks": "sp:Parks",
		"https://d/#x": "sp:https://d/##x",
	}
	fresh := map[idp.EntityID]idp.NameIDScope{
		"https://a/": "sp:https://a/", "https://b/": "agency:Parks", "https://c/": "sp:https://c/", "Parks": "sp:Parks",
		"https://d/#x": "sp:https://d/##x",
	}
	var homes []*house
	for _, registered := range []map[idp.EntityID]idp.NameIDScope{old, fresh} {
		h := newHouse(t)
		for id, scope := range registered {
			h.provider(id, scope)
		}
		homes = append(homes, h)
	}
	from, to := homes[0], homes[1]
	n := 0 // NameIDs and IDs are never given again, so no run may draw those of another
	unique := func(s string) string { n++; return fmt.Sprintf("%s%d", s, n) }
	rapid.Check(t, func(rt *rapid.T) {
		from.clear()
		to.clear()
		moveAll(rt, from, to, old, unique)
	})
}

// clear deletes everybody; their NameIDs stay taken.
func (h *house) clear() {
	for {
		users, err := h.store.Users(h.t.Context(), "", 100)
		if err != nil {
			h.t.Fatal(err)
		}
		h.remove(users)
		if len(users) == 0 {
			return
		}
	}
}

// remove deletes people all at once, which costs one sync of the store.
func (h *house) remove(users []*idp.User) {
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() {
			if err := h.store.DeleteUser(h.t.Context(), u.ID); err != nil {
				h.t.Error(err)
			}
		})
	}
	wg.Wait()
}

func moveAll(t *rapid.T, from, to *house, registered map[idp.EntityID]idp.NameIDScope, unique func(string) string) {
	ctx := from.t.Context()
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(1, from.now.Unix()).Draw(t, "at"), 0).UTC()
	})
	text := rapid.StringMatching(`[A-Za-zäöüß' -]{0,12}[a-z]`)
	var people []idp.ImportedUser
	var gone []*idp.User
	for i := range rapid.IntRange(0, 5).Draw(t, "people") {
		id := unique("u")
		p := idp.ImportedUser{Event: event("test", idp.UserID(id), actor), NameIDs: map[idp.NameIDScope]idp.NameID{}}
		address := strings.ToLower(string(rune('a'+i))) + "@" + rapid.StringMatching(`[a-z]{1,8}\.gov`).Draw(t, "domain")
		p.User = &idp.User{
			ID: idp.UserID(id), CreatedAt: at.Draw(t, "created"),
			Emails: []idp.Email{{Address: address, ConfirmedAt: at.Draw(t, "confirmed"), LastSignInAt: at.Draw(t, "signed in")}},
		}
		if rapid.Bool().Draw(t, "profile") {
			p.Profile = &idp.Profile{
				Level:     rapid.SampledFrom([]string{idp.IALVerified, idp.IALFacialMatch}).Draw(t, "level"),
				FirstName: strings.TrimSpace(text.Draw(t, "first")), LastName: strings.TrimSpace(text.Draw(t, "last")),
				SSN: rapid.SampledFrom([]string{"", "900-11-2222", "900112222"}).Draw(t, "ssn"), VerifiedAt: at.Draw(t, "verified"),
			}
		}
		if rapid.Bool().Draw(t, "totp") {
			p.User.TOTPs = []idp.TOTP{{Name: "key", Secret: []byte(rapid.StringMatching(`.{10,20}`).Draw(t, "secret"))[:10], Period: 60, AddedAt: at.Draw(t, "added")}}
		}
		if rapid.Bool().Draw(t, "locked") {
			p.User.LockedAt, p.User.LockReason = at.Draw(t, "locked at"), text.Draw(t, "why")
		}
		for _, scope := range registered {
			if rapid.Bool().Draw(t, "known") {
				p.NameIDs[scope] = idp.NameID(unique(rapid.StringMatching(`[!-~é]{1,32}`).Draw(t, "name")))
			}
		}
		people = append(people, p)
		if rapid.IntRange(0, 4).Draw(t, "deleted") == 0 {
			gone = append(gone, p.User)
		}
	}
	outcome, err := from.store.ImportUsers(ctx, people)
	if err = errors.Join(append(outcome, err)...); err != nil {
		t.Fatal(err)
	}
	from.remove(gone)
	file := from.everybody(true, rapid.IntRange(1, 4).Draw(t, "page"))
	result := to.take(file, ImportOptions{})
	if len(result.Problems) > 0 {
		t.Fatalf("%v\n%s", result.Problems, file)
	}
	users, err := from.store.Users(ctx, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		for sp := range registered {
			if before, after := from.told(sp, u.Emails[0].Address), to.told(sp, u.Emails[0].Address); before != after {
				t.Fatalf("%s knew a person as %q, and now as %q", sp, before, after)
			}
		}
	}
	// What comes out again is what went in, but for who comes first.
	if diff := cmp.Diff(living(file), living(to.everybody(true, 100))); diff != "" {
		t.Fatalf("exported again (-first +second):\n%s", diff)
	}
	if again := to.take(file, ImportOptions{}); again.Added+again.Extended+len(again.Problems) > 0 {
		t.Fatalf("imported again: %+v", again)
	}
}

// living are the lines of those who were not deleted.
func living(file string) map[string]bool {
	lines := map[string]bool{}
	for line := range strings.Lines(file) {
		if !strings.Contains(line, `"deleted":true`) {
			lines[line] = true
		}
	}
	return lines
}

// An export without secrets holds none, and each page is recorded.
func TestExportWithoutSecrets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	if _, err := h.Verify(t.Context(), alice, proofed(), false, actor); err != nil {
		t.Fatal(err)
	}
	before := len(h.audit())
	for _, secrets := range []bool{false, true} {
		file := h.everybody(secrets, 1)
		for _, secret := range []string{h.user(u.ID).PasswordHash, base32NoPad.EncodeToString(h.user(u.ID).TOTPs[0].Secret), "900-11-2222"} {
			if strings.Contains(file, secret) != secrets {
				t.Errorf("with secrets %v: %s", secrets, file)
			}
		}
		if !strings.Contains(file, alice) || !strings.Contains(file, `"first_name":"Ana"`) {
			t.Errorf("not all is there: %s", file)
		}
	}
	trail := h.audit()[before:]
	first := string(u.ID)
	want := []map[string]string{ // the users, nothing more of them, and the deleted ones
		{"secrets": "false", "after": "p", "count": "1", "next": "p" + first}, {"secrets": "false", "after": "p" + first, "count": "0", "next": "d"}, {"secrets": "false", "after": "d", "count": "0"},
		{"secrets": "true", "after": "p", "count": "1", "next": "p" + first}, {"secrets": "true", "after": "p" + first, "count": "0", "next": "d"}, {"secrets": "true", "after": "d", "count": "0"},
	}
	var got []map[string]string
	for _, rec := range trail {
		if err := audit.UsersExported.CheckRecord(&rec); err != nil {
			t.Error(err)
		}
		got = append(got, rec.Detail)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recorded pages (-want +got):\n%s", diff)
	}
}

// A mark that is not ours is refused: it would carry its text into the audit trail.
func TestExportRefusesForeignMark(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	before := len(h.audit())
	for _, after := range []string{"x", "p" + alice, "p a", "d\n", "p" + strings.Repeat("a", 65)} {
		var input *InputError
		if page, err := h.Export(t.Context(), ExportOptions{After: after, Secrets: true}, actor); !errors.As(err, &input) || page != nil {
			t.Errorf("after %q: %v", after, err)
		}
	}
	if n := len(h.audit()) - before; n != 0 {
		t.Errorf("%d records of what was refused", n)
	}
}

// A page that cannot be recorded does not leave.
func TestExportNeedsItsRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	h.Store = deafStore{h.Store}
	for _, after := range []string{"", "p", "d"} {
		if page, err := h.Export(t.Context(), ExportOptions{After: after}, actor); err == nil || page != nil {
			t.Errorf("after %q: a page without a record", after)
		}
	}
}

// deafStore writes no audit record.
type deafStore struct{ Store }

func (deafStore) AppendAudit(context.Context, ...idp.AuditEvent) error {
	return errors.New("no space left on device")
}

// Deleted people's NameIDs come along, so that nobody gets them in the new
// installation; those of a provider's earlier life do not.
func TestExportDeleted(t *testing.T) {
	t.Parallel()
	from, to := newHouse(t), newHouse(t)
	for _, h := range []*house{from, to} {
		h.provider("https://a/", "sp:https://a/")
	}
	from.provider("https://b/", "sp:https://b/#2")
	from.take(`{"email":"a@x.gov","name_ids":{"https://a/":"n1","agency:Left":"n2","sp:https://gone/":"n3"}}`, ImportOptions{})
	outcome, err := from.store.ImportUsers(t.Context(), []idp.ImportedUser{{
		User: &idp.User{ID: "u2", Emails: []idp.Email{{Address: "b@x.gov", ConfirmedAt: from.now}}}, Event: event("test", "u2", actor),
		NameIDs: map[idp.NameIDScope]idp.NameID{"sp:https://b/": "earlier", idp.OwnScope(idp.RehearsalSP): "earlier", "sp:https://b/#2": "now"},
	}})
	if err != nil || outcome[0] != nil {
		t.Fatal(outcome, err)
	}
	if err := from.Delete(t.Context(), "a@x.gov", actor); err != nil {
		t.Fatal(err)
	}
	file := from.everybody(false, 10)
	for _, want := range []string{`{"name_ids":{"agency:Left":"n2","https://a/":"n1"`, `"deleted":true}`, `"https://b/":"now"`} {
		if !strings.Contains(file, want) {
			t.Errorf("%s is not in\n%s", want, file)
		}
	}
	if strings.Contains(file, "earlier") {
		t.Errorf("a NameID that nobody asks for any more is in\n%s", file)
	}
	wants(t, to.take(file, ImportOptions{Unregistered: true}), 2, 0, nil)
	wants(t, to.take(`{"email":"new@x.gov","name_ids":{"https://a/":"n1"}}`, ImportOptions{}), 0, 0, nil, "belonged to somebody who was deleted")
}
