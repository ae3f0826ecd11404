package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// FactorResetWait is how long a reset of the second factors waits, so that a user who did not ask
// for it can cancel it.
const FactorResetWait = 24 * time.Hour

// removeFactors removes everything that replaces or proves a second factor.
func removeFactors(u *idp.User) {
	u.TOTPs, u.RecoveryCodes, u.Devices, u.FactorResetAt = nil, nil, nil, time.Time{}
}

// PlanFactorReset plans the removal of a user's second factors on behalf of an operator and returns
// when it is due. An earlier plan stays, without a new audit record. Errors: idp.ErrNotFound.
func (s *Service) PlanFactorReset(ctx context.Context, email string, dueAt time.Time, actor string) (time.Time, error) {
	u, err := s.Lookup(ctx, email)
	if err != nil {
		return time.Time{}, err
	}
	event := newChangeEvent(idp.AuditUserPlanReset, u.ID, actor)
	event.Detail = addDue(nil, dueAt)
	plannedAt := dueAt
	err = s.Store.UpdateUser(ctx, u.ID, func(u *idp.User) error {
		if plannedAt = dueAt; !u.FactorResetAt.IsZero() && !u.FactorResetAt.After(dueAt) {
			plannedAt = u.FactorResetAt
			return errPlanned
		}
		u.FactorResetAt, u.UpdatedAt = dueAt, s.Clock.Now()
		return nil
	}, event)
	if err != nil && !errors.Is(err, errPlanned) {
		return time.Time{}, fmt.Errorf("%s: %w", event.Kind, err)
	}
	return plannedAt, nil
}

// CancelFactorReset cancels a planned reset of the second factors. Errors: ErrNotPlanned;
// idp.ErrNotFound.
func (s *Service) CancelFactorReset(ctx context.Context, user idp.UserID, event idp.AuditEvent) error {
	event.Kind, event.Outcome, event.User = idp.AuditUserCancelReset, "ok", user
	err := s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if u.FactorResetAt.IsZero() {
			return ErrNotPlanned
		}
		u.FactorResetAt, u.UpdatedAt = time.Time{}, s.Clock.Now()
		return nil
	}, event)
	if err != nil {
		return fmt.Errorf("cancel reset of the second factors: %w", err)
	}
	return nil
}

// userBatch is how many users a job reads at once.
const userBatch = 200

// ApplyDueResets removes the second factors of the users whose planned reset is due, ends their
// sessions, and returns the number of users. It is safe to repeat after a failure, and in several
// servers at once.
func (s *Service) ApplyDueResets(ctx context.Context) (count int, err error) {
	query := idp.UserQuery{Limit: userBatch}
	for {
		users, err := s.Store.Users(ctx, query)
		if err != nil {
			return count, fmt.Errorf("find planned resets: %w", err)
		}
		for _, u := range users {
			done, err := s.applyDueReset(ctx, u)
			if err != nil {
				return count, err
			}
			if done {
				count++
			}
		}
		if len(users) < userBatch {
			return count, nil
		}
		query.After = users[len(users)-1].ID
	}
}

// applyDueReset applies the planned reset of one user if it is due.
func (s *Service) applyDueReset(ctx context.Context, u *idp.User) (bool, error) {
	now := s.Clock.Now()
	isDue := func(u *idp.User) bool { return !u.FactorResetAt.IsZero() && !u.FactorResetAt.After(now) }
	if !isDue(u) {
		return false, nil
	}
	_, err := s.Store.EndSessions(ctx, idp.SessionEnd{User: u.ID, Change: func(u *idp.User) error {
		if !isDue(u) {
			return ErrNotPlanned // canceled since, or applied by another server
		}
		removeFactors(u)
		u.UpdatedAt = now
		return nil
	}}, newChangeEvent(idp.AuditUserResetMFA, u.ID, "server"))
	if errors.Is(err, ErrNotPlanned) || errors.Is(err, idp.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reset the second factors of user %s: %w", u.ID, err)
	}
	return true, nil
}
