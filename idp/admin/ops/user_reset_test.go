package ops_test

import (
	"context"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/notify"
)

type mailSink struct{}

func (mailSink) Send(_ context.Context, mails []notify.Mail) []error {
	return make([]error, len(mails))
}

// A user who can be notified keeps the factors for the waiting period. The others lose them at once,
// and so does everyone with Now.
func TestResetMFAWaits(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, tt := range []struct {
		name                    string
		hasMail, isConfirmed    bool
		req                     ops.UserRequest
		waits, isRefused, isNew bool
	}{
		{name: "notified", hasMail: true, isConfirmed: true, waits: true},
		{name: "now", hasMail: true, isConfirmed: true, req: ops.UserRequest{Now: true}},
		{name: "no mail server", isConfirmed: true},
		{name: "no confirmed email address", hasMail: true},
		{name: "a new authenticator", hasMail: true, isConfirmed: true, req: ops.UserRequest{TOTP: true}, isRefused: true},
		{name: "a new authenticator now", hasMail: true, isConfirmed: true, req: ops.UserRequest{TOTP: true, Now: true}, isNew: true},
		{name: "a new authenticator without mail", isConfirmed: true, req: ops.UserRequest{TOTP: true}, isNew: true},
	} {
		s, _ := newService(t)
		if tt.hasMail {
			s.UserMails.Sender = mailSink{}
		}
		const email = "ana@example.gov"
		before, _, err := s.Accounts.Create(ctx, account.NewUser{Email: email, Password: "nine jars of plum jam", TOTP: true}, "test")
		if err != nil {
			t.Fatal(err)
		}
		if !tt.isConfirmed {
			if err := s.Store.UpdateUser(ctx, before.ID, func(u *idp.User) error { u.Emails[0].ConfirmedAt = time.Time{}; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		c := overSocket(t, s, t.TempDir())
		tt.req.Email = email
		answer, err := admin.Call(ctx, c, ops.ResetMFA, tt.req)
		if tt.isRefused {
			wantCode(t, tt.name, err, admin.CodeInvalid)
		} else if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		u, err := s.Store.User(ctx, before.ID)
		if err != nil {
			t.Fatal(err)
		}
		dueAt := testTime.Add(account.FactorResetWait)
		if waits := !u.FactorResetAt.IsZero(); waits != tt.waits || waits && (!answer.DueAt.Equal(dueAt) || !answer.User.FactorResetAt.Equal(dueAt)) {
			t.Errorf("%s: due at %s, answer %+v", tt.name, u.FactorResetAt, answer)
		}
		isKept := len(u.TOTPs) == 1 && string(u.TOTPs[0].Secret) == string(before.TOTPs[0].Secret)
		if isKept != (tt.waits || tt.isRefused) || (len(u.TOTPs) == 1 && !isKept) != tt.isNew {
			t.Errorf("%s: authenticators %+v", tt.name, u.TOTPs)
		}
	}
}
