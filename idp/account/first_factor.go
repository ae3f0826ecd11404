package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"vernal/idp"
)

// MayAddFirstFactor reports whether a user who has proved only the password can add a second factor.
// A user who has recovery codes must use one, because the password alone must not replace a factor.
func MayAddFirstFactor(u *idp.User) bool {
	return !u.HasSecondFactor() && (u.RecoveryCodes == nil || len(u.RecoveryCodes.Hashes) == 0)
}

// FirstFactor is an authenticator that a user adds in a sign-in that has only the password.
type FirstFactor struct {
	User idp.UserID
	// SignIn is the sign-in. PasswordProvedAt is when it proved the password.
	SignIn           idp.SessionID
	PasswordProvedAt time.Time
	EmailMark        string
	// Browser is the browser of the sign-in, nil if it is not recorded.
	Browser *BrowserUse
	// Name is the user's name for the authenticator.
	Name string
	// Code is the authenticator's code, and From the IP address of its sender.
	Code string
	From netip.Addr
}

// firstSecret returns the secret of the authenticator that a sign-in can add. It is derived, so that
// the page shows the same one in every tab and after a reload, and nothing is stored before the
// user has proved that the authenticator works.
func (s *Service) firstSecret(user idp.UserID, signIn idp.SessionID) []byte {
	return s.Sealer.Hash("first-totp", []byte(string(user)+"\x00"+string(signIn)))[:secretSize]
}

// NewFirstEnrolment returns the data to set up the authenticator that a sign-in can add.
func (s *Service) NewFirstEnrolment(u *idp.User, signIn idp.SessionID) *Enrolment {
	return s.newEnrolment(idp.TOTP{Secret: s.firstSecret(u.ID, signIn), Period: 30}, u.PrimaryEmail())
}

// AddFirstTOTP adds the user's first second factor once its code is right, records the data of the
// sign-in in the same step, and ends the user's other sign-ins. The code counts as a step of
// guessing, as in CompleteTOTP.
//
// Errors: *InputError for the name; ErrWrong, *ThrottledError, ErrLocked; ErrOutdated if the user has
// a factor, or another password than the one that the sign-in proved.
func (s *Service) AddFirstTOTP(ctx context.Context, f FirstFactor, event idp.AuditEvent) error {
	now := s.Clock.Now()
	t, err := newTOTP(NewTOTP{Name: f.Name}, now)
	if err != nil {
		return err
	}
	t.Secret = s.firstSecret(f.User, f.SignIn)
	code, ok := normalizeCode(f.Code)
	if !ok {
		return ErrWrong // not a guess, so it does not count
	}
	counters := []counter{s.newCodeCounter(f.User), s.newNetworkCounter(f.From)}
	if _, err := s.reserve(ctx, counters); err != nil {
		return err
	}
	var changed *idp.User
	err = s.changeSignIn(ctx, OwnChange{User: f.User, Keep: f.SignIn, Event: event}, idp.AuditUserAddTOTP, func(u *idp.User) error {
		if !MayAddFirstFactor(u) || u.PasswordChangedAt.After(f.PasswordProvedAt) {
			return ErrOutdated
		}
		candidate := &idp.User{TOTPs: []idp.TOTP{t}}
		if err := acceptCode(candidate, code, now); err != nil {
			return err
		}
		u.TOTPs = candidate.TOTPs
		s.recordSignIn(u, SignIn{EmailMark: f.EmailMark, Browser: f.Browser}, now)
		changed = u
		return nil
	})
	switch {
	case err == nil:
		return s.settle(ctx, append(counters, s.newBrowserCounters(changed, f.Browser)...))
	case errors.Is(err, ErrWrong), errors.Is(err, ErrLocked):
		return err
	}
	return errors.Join(fmt.Errorf("add first factor: %w", err), s.release(ctx, counters))
}
