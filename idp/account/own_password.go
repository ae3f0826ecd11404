package account

import (
	"context"
	"fmt"

	"vernal/idp"
)

// ChangePassword sets the new password of a user who has just proved the current one. It ends the
// other sessions, removes the remembered devices and voids the links that were mailed before.
// checked is the user whose password was compared: if it has been changed since, for example by
// recovery, the error is ErrWrong. Other errors: *InputError, ErrLocked.
func (s *Service) ChangePassword(ctx context.Context, c OwnChange, checked *idp.User, password string) error {
	for _, e := range checked.Emails {
		if err := CheckNewPassword(password, e.Address); err != nil {
			return err
		}
	}
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return s.changeSignIn(ctx, c, idp.AuditUserSetPassword, func(u *idp.User) error {
		if !u.PasswordChangedAt.Equal(checked.PasswordChangedAt) {
			return ErrWrong
		}
		u.PasswordHash, u.PasswordChangedAt = hash, s.Clock.Now()
		return nil
	})
}
