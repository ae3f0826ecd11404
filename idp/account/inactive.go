package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

const (
	// firstNotice and lastNotice are how long before an inactive account is locked its user is
	// notified.
	firstNotice = 30 * 24 * time.Hour
	lastNotice  = 7 * 24 * time.Hour
	// LockedInactive is the reason of the lock of an inactive account.
	LockedInactive = "inactive"
)

// InactiveStep is what is due for an account that is not used.
type InactiveStep int

// The steps, in their order.
const (
	InactiveNone InactiveStep = iota
	InactiveFirstNotice
	InactiveLastNotice
	InactiveLock
)

// NextInactiveStep returns the step that is due, and when the account will be locked at the earliest.
// It never shortens the time between a notice and the lock, so that a server that did not run, or a
// clock that was wrong, locks no user who was not notified in time.
func NextInactiveStep(u *idp.User, after time.Duration, now time.Time) (step InactiveStep, lockAt time.Time) {
	last := u.LastUsedAt()
	lockAt = last.Add(after)
	if u.IsLocked() || after <= 0 || now.Before(lockAt.Add(-firstNotice)) {
		return InactiveNone, lockAt
	}
	notices := u.Inactive
	if notices == nil || !notices.FirstAt.After(last) || notices.FirstAt.After(now) {
		return InactiveFirstNotice, findLater(lockAt, now.Add(firstNotice))
	}
	lockAt = findLater(lockAt, notices.FirstAt.Add(firstNotice))
	if notices.LastAt.IsZero() || notices.LastAt.After(now) {
		if now.Before(lockAt.Add(-lastNotice)) {
			return InactiveNone, lockAt
		}
		return InactiveLastNotice, findLater(lockAt, now.Add(lastNotice))
	}
	if lockAt = findLater(lockAt, notices.LastAt.Add(lastNotice)); now.Before(lockAt) {
		return InactiveNone, lockAt
	}
	return InactiveLock, lockAt
}

func findLater(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// errNoStep is returned if a step is no longer due.
var errNoStep = errors.New("step is not due")

// TakeInactiveStep takes the step that is due for an account that is not used for the time, and
// returns it. notify is called before a notice is recorded, so that a notice can be repeated, but not
// be missing. The lock is compared with the account in the same write: a sign-in at this moment
// prevents it.
func (s *Service) TakeInactiveStep(ctx context.Context, u *idp.User, after time.Duration, notify func(u *idp.User, lockAt time.Time) error) (InactiveStep, error) {
	now := s.Clock.Now()
	step, lockAt := NextInactiveStep(u, after, now)
	switch step {
	case InactiveNone:
		return InactiveNone, nil
	case InactiveFirstNotice, InactiveLastNotice:
		if err := notify(u, lockAt); err != nil {
			return InactiveNone, fmt.Errorf("notify of an inactive account: %w", err)
		}
	}
	change := func(u *idp.User) error {
		if again, _ := NextInactiveStep(u, after, now); again != step {
			return errNoStep
		}
		switch step {
		case InactiveFirstNotice:
			u.Inactive = &idp.InactiveNotices{FirstAt: now}
		case InactiveLastNotice:
			u.Inactive.LastAt = now
		case InactiveLock:
			u.LockedAt, u.LockReason, u.Devices, u.Inactive, u.UpdatedAt = now, LockedInactive, nil, nil, now
		}
		return nil
	}
	var err error
	if step == InactiveLock {
		_, err = s.Store.EndSessions(ctx, idp.SessionEnd{User: u.ID, Change: change}, newChangeEvent(idp.AuditUserLock, u.ID, "server"))
	} else {
		err = s.Store.UpdateUser(ctx, u.ID, change)
	}
	switch {
	case errors.Is(err, errNoStep), errors.Is(err, idp.ErrNotFound):
		return InactiveNone, nil
	case err != nil:
		return InactiveNone, fmt.Errorf("inactive account: %w", err)
	}
	return step, nil
}
