package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// DeletionWait is how long users can cancel the deletion that they asked for on their account page.
const DeletionWait = 14 * 24 * time.Hour

// lockedForDeletion is the reason of the lock that keeps an account unchanged while it is deleted.
const lockedForDeletion = "being deleted, as planned"

// errNotDue is returned if an account is not due for deletion.
var errNotDue = errors.New("account is not due for deletion")

// DeleteDue deletes a user whose planned deletion is due, and reports whether it did. An account that
// an operator locked waits until it is unlocked. notify is called before the user and the email
// addresses are gone. The account is locked before that, so that the user cannot cancel a deletion
// of which they are notified. After a crash in between, the next call continues.
func (s *Service) DeleteDue(ctx context.Context, user idp.UserID, notify func(*idp.User) error) (bool, error) {
	var doomed *idp.User
	err := s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		now := s.Clock.Now()
		if u.DeletionAt.IsZero() || now.Before(u.DeletionAt) || u.IsLocked() && u.LockReason != lockedForDeletion {
			return errNotDue
		}
		if !u.IsLocked() {
			u.LockedAt, u.LockReason = now, lockedForDeletion
		}
		doomed = u
		return nil
	})
	if errors.Is(err, errNotDue) || errors.Is(err, idp.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = notify(doomed)
	}
	if err == nil {
		err = s.Store.DeleteUser(ctx, user, newChangeEvent(idp.AuditUserDelete, user, "server"))
	}
	if err != nil {
		return false, fmt.Errorf("delete the account that is due: %w", err)
	}
	return true, s.forgetFailures(ctx, doomed)
}
