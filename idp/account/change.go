package account

import (
	"context"
	"fmt"
	"time"

	"vernal/idp"
)

// SetPassword sets a user's new password, ends their sessions and returns the number of
// sessions. Errors: *InputError; idp.ErrNotFound.
func (s *Service) SetPassword(ctx context.Context, email, password, actor string) (sessions int, err error) {
	u, err := s.Lookup(ctx, email)
	if err != nil {
		return 0, err
	}
	for _, e := range u.Emails {
		if err := checkPassword(password, e.Address); err != nil {
			return 0, err
		}
	}
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return 0, fmt.Errorf("set password: %w", err)
	}
	return s.changeUser(ctx, email, idp.AuditUserSetPassword, actor, func(u *idp.User) error {
		setNewPassword(u, hash, s.Clock.Now())
		return nil
	})
}

// Lock prevents a user from signing in, ends their sessions and returns the number of sessions.
// The reason is stored with the account. Locking again replaces it. Errors: *InputError;
// idp.ErrNotFound.
func (s *Service) Lock(ctx context.Context, email, reason, actor string) (sessions int, err error) {
	if err := checkLockReason(reason); err != nil {
		return 0, err
	}
	return s.changeUser(ctx, email, idp.AuditUserLock, actor, func(u *idp.User) error {
		if !u.IsLocked() {
			u.LockedAt = s.Clock.Now()
		}
		u.LockReason = reason
		return nil
	})
}

// Unlock lets a user sign in again. It also clears the failures counted for the account as a
// whole, so that it helps after an attack on it. Failures counted for one network expire
// automatically.
func (s *Service) Unlock(ctx context.Context, email, actor string) error {
	u, err := s.Lookup(ctx, email)
	if err != nil {
		return err
	}
	err = s.Store.UpdateUser(ctx, u.ID, func(u *idp.User) error {
		now := s.Clock.Now()
		u.LockedAt, u.LockReason = time.Time{}, ""
		u.UnlockedAt, u.UpdatedAt = now, now
		return nil
	}, newChangeEvent(idp.AuditUserUnlock, u.ID, actor))
	if err != nil {
		return fmt.Errorf("user.unlock: %w", err)
	}
	return s.forgetFailures(ctx, u)
}

// AddTOTP adds an authenticator, ends the user's sessions, removes their remembered devices, and
// returns the data that the user needs to set it up. Errors: *InputError, with problem "too_many"
// beyond MaxTOTPs.
func (s *Service) AddTOTP(ctx context.Context, email string, authenticator NewTOTP, actor string) (*Enrolment, error) {
	t, err := newTOTP(authenticator, s.Clock.Now())
	if err != nil {
		return nil, err
	}
	var primaryEmail string
	_, err = s.changeUser(ctx, email, idp.AuditUserAddTOTP, actor, func(u *idp.User) error {
		if len(u.TOTPs) >= MaxTOTPs {
			return &InputError{"totp_secret", "too_many", fmt.Sprintf("the account already has %d authenticators, the maximum", len(u.TOTPs))}
		}
		u.TOTPs, primaryEmail = append(u.TOTPs, t), u.PrimaryEmail()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add authenticator: %w", err)
	}
	return s.newEnrolment(t, primaryEmail), nil
}

// ResetMFA removes all second factors and recovery codes of a user at once, ends their sessions and
// returns the number of sessions. AddTOTP adds a new one. PlanFactorReset is for a user who can be
// asked by mail first.
func (s *Service) ResetMFA(ctx context.Context, email, actor string) (sessions int, err error) {
	return s.changeUser(ctx, email, idp.AuditUserResetMFA, actor, func(u *idp.User) error {
		removeFactors(u)
		return nil
	})
}

// Delete permanently removes a user and ends their sessions. Their NameIDs are never given to
// another user.
func (s *Service) Delete(ctx context.Context, email, actor string) error {
	u, err := s.Lookup(ctx, email)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteUser(ctx, u.ID, newChangeEvent(idp.AuditUserDelete, u.ID, actor)); err != nil {
		return fmt.Errorf("user.delete: %w", err)
	}
	return s.forgetFailures(ctx, u)
}

// changeUser changes a user, removes their remembered devices and ends their sessions, all in one
// step. It returns the number of sessions.
func (s *Service) changeUser(ctx context.Context, email string, kind idp.AuditKind, actor string, change func(*idp.User) error) (int, error) {
	u, err := s.Lookup(ctx, email)
	if err != nil {
		return 0, err
	}
	count, err := s.Store.EndSessions(ctx, idp.SessionEnd{User: u.ID, Change: func(u *idp.User) error {
		u.UpdatedAt = s.Clock.Now()
		u.Devices = nil
		return change(u)
	}}, newChangeEvent(kind, u.ID, actor))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", kind, err)
	}
	return count, nil
}

// checkLockReason returns an *InputError if a text cannot be the reason of a lock.
func checkLockReason(reason string) error {
	if len(reason) > maxLockReason || !isOneLine(reason) {
		return &InputError{"lock_reason", "invalid", fmt.Sprintf("must be text of at most %d bytes without control characters", maxLockReason)}
	}
	return nil
}
