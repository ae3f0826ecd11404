package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// ErrLinkVoid is returned when a mailed link no longer fits the account, because the password was
// changed after it was mailed or because the account was deleted.
var ErrLinkVoid = errors.New("link is void")

// CheckUserPassword returns an *InputError if the user cannot have the password; see
// CheckNewPassword.
func CheckUserPassword(u *idp.User, password string) error {
	if len(u.Emails) == 0 {
		return CheckNewPassword(password, "")
	}
	for _, e := range u.Emails {
		if err := CheckNewPassword(password, e.Address); err != nil {
			return err
		}
	}
	return nil
}

// ResetPassword sets the new password of a user who opened a mailed link, which was issued with
// stamp (idp.User.LinkStamp). It removes the remembered devices and ends all sessions. The second
// factors stay, because access to the mailbox must not be enough to pass them. A proofed identity is
// paused.
//
// The password of a locked account changes too: only a right password may disclose the lock.
// Errors: *InputError; ErrLinkVoid.
func (s *Service) ResetPassword(ctx context.Context, user idp.UserID, stamp, password string, event idp.AuditEvent) error {
	u, err := s.Store.User(ctx, user)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return ErrLinkVoid
	case err != nil:
		return fmt.Errorf("reset password: %w", err)
	}
	if err := CheckUserPassword(u, password); err != nil {
		return err
	}
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("reset password: %w", err)
	}
	if u.LinkStamp() != stamp {
		return ErrLinkVoid
	}
	event.Kind, event.Outcome, event.User = idp.AuditUserResetPassword, "ok", user
	// The link is used up, so a canceled request must not leave the change undone.
	_, err = s.Store.EndSessions(context.WithoutCancel(ctx), idp.SessionEnd{User: user, Change: func(u *idp.User) error {
		if u.LinkStamp() != stamp {
			return ErrLinkVoid
		}
		now := s.Clock.Now()
		setNewPassword(u, hash, now)
		u.Devices, u.UpdatedAt = nil, now
		if u.Proofing != nil {
			u.ProofingPausedAt = now
		}
		return nil
	}}, event)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return ErrLinkVoid
	case err != nil:
		return fmt.Errorf("reset password: %w", err)
	}
	return nil
}

// setNewPassword sets a password. The time of the change always differs from the earlier one, also
// if the clock was set back, because it identifies the password for mailed links.
func setNewPassword(u *idp.User, hash string, now time.Time) {
	if now.Equal(u.PasswordChangedAt) {
		now = now.Add(1)
	}
	u.PasswordHash, u.PasswordChangedAt = hash, now
}
