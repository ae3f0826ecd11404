package account

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vernal/idp"
)

// The email address that a user signed in with is recorded with the second factor, and not
// before.
func TestSignInEmailIsNotedWithSecondFactor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	const second = "alice.jones@example.gov"
	err := h.store.UpdateUser(t.Context(), u.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: second, ConfirmedAt: u.CreatedAt})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mark := h.EmailMark(u.ID, " Alice.Jones@EXAMPLE.gov ")
	if len(mark) != 32 || strings.Contains(mark, "alice") || mark == h.EmailMark("somebody else", second) {
		t.Errorf("mark %q", mark)
	}
	noted := func(when string, first, last time.Time) {
		t.Helper()
		e := h.user(u.ID).Emails
		if !e[0].LastSignInAt.Equal(first) || !e[1].LastSignInAt.Equal(last) {
			t.Errorf("%s: noted %v and %v, want %v and %v", when, e[0].LastSignInAt, e[1].LastSignInAt, first, last)
		}
	}
	h.pass(time.Hour)
	if err := h.CompleteTOTP(t.Context(), u.ID, "000000", home, SignIn{EmailMark: mark}); !errors.Is(err, ErrWrong) {
		t.Fatal(err)
	}
	noted("a wrong code", time.Time{}, time.Time{})
	in := SignIn{EmailMark: mark, Remember: &RememberRequest{Device: idp.RememberedDevice{Hash: []byte("device")}, PasswordProvedAt: h.clock()}}
	if err := h.CompleteTOTP(t.Context(), u.ID, h.code(u.ID, 0), home, in); err != nil {
		t.Fatal(err)
	}
	at := h.clock()
	noted("the right code", time.Time{}, at)
	h.pass(time.Hour)
	if _, err := h.UseDevice(t.Context(), u.ID, []byte("another"), SignIn{EmailMark: h.EmailMark(u.ID, alice)}); !errors.Is(err, idp.ErrNotFound) {
		t.Fatal(err)
	}
	noted("an unknown device", time.Time{}, at)
	if _, err := h.UseDevice(t.Context(), u.ID, []byte("device"), SignIn{EmailMark: h.EmailMark(u.ID, alice)}); err != nil {
		t.Fatal(err)
	}
	noted("a remembered device", h.clock(), at)
	h.pass(time.Hour)
	if err := h.CompleteTOTP(t.Context(), u.ID, h.code(u.ID, 0), home, SignIn{EmailMark: "of no address"}); err != nil {
		t.Fatal(err)
	}
	noted("an address that is gone", h.clock().Add(-time.Hour), at)
}
