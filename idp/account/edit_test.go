package account

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// newTwoEmails adds alice with a second email address, one that is not confirmed, a session and a
// device.
func newTwoEmails(t *testing.T) (*house, *idp.User) {
	t.Helper()
	h := newHouse(t)
	u := h.create()
	err := h.store.UpdateUser(t.Context(), u.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: "two@example.gov", ConfirmedAt: h.clock()}, idp.Email{Address: "new@example.gov"})
		u.Services = []idp.ConnectedService{{SP: "urn:a", Email: "Two@example.gov"}}
		u.Devices = []idp.RememberedDevice{{Hash: []byte("x"), At: h.clock()}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.session(u.ID, "one")
	return h, h.user(u.ID)
}

func addresses(u *idp.User) string {
	var list []string
	for _, e := range u.Emails {
		text, _, _ := strings.Cut(e.Address, "@")
		if e.ConfirmedAt.IsZero() {
			text += "?"
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func TestEditUser(t *testing.T) {
	t.Parallel()
	fr, same := "fr", ""
	for name, tt := range map[string]struct {
		edit   Edit
		emails string
		kinds  []idp.AuditKind
	}{
		"nothing":      {Edit{Lang: &same, Primary: alice}, "alice two new?", nil},
		"language":     {Edit{Lang: &fr}, "alice two new?", []idp.AuditKind{idp.AuditUserEdit}},
		"add":          {Edit{AddEmails: []string{" More@EXAMPLE.gov"}}, "alice two new? More", []idp.AuditKind{idp.AuditUserAddEmail}},
		"confirm":      {Edit{AddEmails: []string{"NEW@example.gov"}}, "alice two new", []idp.AuditKind{idp.AuditUserAddEmail}},
		"primary":      {Edit{Primary: "TWO@example.gov"}, "two alice new?", []idp.AuditKind{idp.AuditUserEditEmail}},
		"remove":       {Edit{RemoveEmails: []string{"two@example.gov", "new@example.gov"}}, "alice", []idp.AuditKind{idp.AuditUserRemoveEmail, idp.AuditUserRemoveEmail}},
		"replace":      {Edit{AddEmails: []string{"more@example.gov"}, Primary: "more@example.gov", RemoveEmails: []string{alice}}, "more two new?", []idp.AuditKind{idp.AuditUserAddEmail, idp.AuditUserEditEmail, idp.AuditUserRemoveEmail}},
		"everything":   {Edit{Lang: &fr, AddEmails: []string{"new@example.gov"}, Primary: "new@example.gov", RemoveEmails: []string{"two@example.gov"}}, "new alice", []idp.AuditKind{idp.AuditUserEdit, idp.AuditUserAddEmail, idp.AuditUserEditEmail, idp.AuditUserRemoveEmail}},
		"case of name": {Edit{RemoveEmails: []string{"Two@Example.Gov"}}, "alice new?", []idp.AuditKind{idp.AuditUserRemoveEmail}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, before := newTwoEmails(t)
			records := len(h.audited(before.ID))
			edited, err := h.EditUser(t.Context(), "two@example.gov", tt.edit, actor)
			if err != nil {
				t.Fatal(err)
			}
			u := h.user(before.ID)
			if addresses(u) != tt.emails || addresses(edited) != tt.emails {
				t.Errorf("email addresses %q and %q, want %q", addresses(u), addresses(edited), tt.emails)
			}
			var kinds []idp.AuditKind
			for _, kind := range h.audited(before.ID)[records:] {
				kinds = append(kinds, idp.AuditKind(kind))
			}
			if !slices.Equal(kinds, tt.kinds) {
				t.Errorf("records %q, want %q", kinds, tt.kinds)
			}
			if hasTwo := strings.Contains(tt.emails, "two"); (u.Services[0].Email != "") != hasTwo {
				t.Errorf("the service gets %q", u.Services[0].Email)
			}
			if u.PasswordHash != before.PasswordHash || len(u.TOTPs) != 1 || len(u.Devices) != 1 {
				t.Errorf("%+v", u)
			}
		})
	}
}

// TestEditUserIsAllOrNothing checks that one wrong part refuses the whole change, and that all
// problems are listed.
func TestEditUserIsAllOrNothing(t *testing.T) {
	t.Parallel()
	fr := "fr"
	var many []string
	for i := range maxEmails {
		many = append(many, string(rune('a'+i))+"@many.example")
	}
	for name, tt := range map[string]struct {
		edit     Edit
		problems []string
	}{
		"invalid":     {Edit{AddEmails: []string{"none", "a@b\nc"}}, []string{"add_email invalid", "add_email invalid"}},
		"present":     {Edit{AddEmails: []string{"TWO@example.gov"}}, []string{"add_email taken"}},
		"too many":    {Edit{AddEmails: many}, []string{"add_email too_many", "add_email too_many", "add_email too_many"}},
		"unknown":     {Edit{Primary: "x@example.gov", RemoveEmails: []string{"x@example.gov"}}, []string{"primary unknown", "remove_email unknown"}},
		"unconfirmed": {Edit{Primary: "new@example.gov"}, []string{"primary unconfirmed"}},
		"the primary": {Edit{RemoveEmails: []string{alice}}, []string{"remove_email needed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, before := newTwoEmails(t)
			tt.edit.Lang = &fr
			_, err := h.EditUser(t.Context(), alice, tt.edit, actor)
			list, _ := errors.AsType[InputErrors](err)
			var problems []string
			for _, p := range list {
				problems = append(problems, p.Field+" "+p.Problem)
			}
			if !slices.Equal(problems, tt.problems) {
				t.Errorf("problems %q, want %q: %v", problems, tt.problems, err)
			}
			if diff := cmp.Diff(before, h.user(before.ID)); diff != "" {
				t.Errorf("the user was changed (-before +after):\n%s", diff)
			}
		})
	}
	h, before := newTwoEmails(t)
	if _, _, err := h.Create(t.Context(), NewUser{Email: "bob@example.gov", Password: password}, actor); err != nil {
		t.Fatal(err)
	}
	if _, err := h.EditUser(t.Context(), alice, Edit{Lang: &fr, AddEmails: []string{"BOB@example.gov"}}, actor); !errors.Is(err, idp.ErrExists) {
		t.Errorf("an email address of another user: %v", err)
	}
	if _, err := h.EditUser(t.Context(), "none@example.gov", Edit{Lang: &fr}, actor); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("an unknown user: %v", err)
	}
	if diff := cmp.Diff(before, h.user(before.ID)); diff != "" {
		t.Errorf("the user was changed (-before +after):\n%s", diff)
	}
}

// TestLastConfirmedEmailStays checks a user whose primary email address is not confirmed.
func TestLastConfirmedEmailStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	invited, err := h.Invite(t.Context(), alice, "", actor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.EditUser(t.Context(), alice, Edit{AddEmails: []string{"two@example.gov"}}, actor); err != nil {
		t.Fatal(err)
	}
	_, err = h.EditUser(t.Context(), alice, Edit{RemoveEmails: []string{"two@example.gov"}}, actor)
	if list, _ := errors.AsType[InputErrors](err); len(list) != 1 || list[0].Problem != "needed" {
		t.Errorf("error %v", err)
	}
	if got := addresses(h.user(invited.User.ID)); got != "alice? two" {
		t.Errorf("email addresses %q", got)
	}
}
