package account

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
)

// exportAll exports all pages, as JSON lines.
func (h *house) exportAll(secrets bool, limit int) string {
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

// remove deletes users all at once, which costs one sync of the store.
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

// An import accepts whatever an operator can set for a user.
func TestOperatorsWriteWhatAnImportTakes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	var input *InputError
	for _, text := range []string{"two\nlines", "a\x00", strings.Repeat("x", maxLockReason+1), "\xff"} {
		if _, err := h.Lock(t.Context(), alice, text, actor); !errors.As(err, &input) || input.Field != "lock_reason" {
			t.Errorf("locked because of %q: %v", text, err)
		}
		if _, err := h.AddTOTP(t.Context(), alice, NewTOTP{Name: text}, actor); !errors.As(err, &input) || input.Field != "totp_name" {
			t.Errorf("authenticator named %q: %v", text, err)
		}
	}
	if got := h.user(u.ID); got.IsLocked() || len(got.TOTPs) != len(u.TOTPs) {
		t.Error("what was refused was done")
	}
}

// An export without secrets contains none, and each page is recorded.
func TestExportWithoutSecretsHoldsNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	if _, err := h.Verify(t.Context(), alice, proofedProfile(), false, actor); err != nil {
		t.Fatal(err)
	}
	before := len(h.audit())
	for _, secrets := range []bool{false, true} {
		file := h.exportAll(secrets, 1)
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
	want := []map[string]string{ // the users, without their data, and the deleted ones
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

// A mark that is not ours is refused, because its text would be written to the audit trail.
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

// A page that cannot be recorded is not returned.
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

// Deleted users' NameIDs are exported, so that no one gets them in the new installation. Those
// of a provider's earlier registration are not.
func TestExportKeepsDeletedUsersNameIDs(t *testing.T) {
	t.Parallel()
	from, to := newHouse(t), newHouse(t)
	for _, h := range []*house{from, to} {
		h.provider("https://a/", "sp:https://a/")
	}
	from.provider("https://b/", "sp:https://b/#2")
	from.take(`{"email":"a@x.gov","name_ids":{"https://a/":"n1","agency:Left":"n2","sp:https://gone/":"n3"}}`, ImportOptions{})
	outcome, err := from.store.ImportUsers(t.Context(), []idp.ImportedUser{{
		User: &idp.User{ID: "u2", Emails: []idp.Email{{Address: "b@x.gov", ConfirmedAt: from.now}}}, Event: newChangeEvent("test", "u2", actor),
		NameIDs: map[idp.NameIDScope]idp.NameID{"sp:https://b/": "earlier", idp.OwnScope(idp.RehearsalSP): "earlier", "sp:https://b/#2": "now"},
	}})
	if err != nil || outcome[0] != nil {
		t.Fatal(outcome, err)
	}
	if err := from.Delete(t.Context(), "a@x.gov", actor); err != nil {
		t.Fatal(err)
	}
	file := from.exportAll(false, 10)
	for _, want := range []string{`{"name_ids":{"agency:Left":"n2","https://a/":"n1"`, `"deleted":true}`, `"https://b/":"now"`} {
		if !strings.Contains(file, want) {
			t.Errorf("%s is not in\n%s", want, file)
		}
	}
	if strings.Contains(file, "earlier") {
		t.Errorf("a NameID that no service provider uses any more is in\n%s", file)
	}
	checkResult(t, to.take(file, ImportOptions{Unregistered: true}), 2, 0, nil)
	checkResult(t, to.take(`{"email":"new@x.gov","name_ids":{"https://a/":"n1"}}`, ImportOptions{}), 0, 0, nil, "belonged to a user who was deleted")
}
