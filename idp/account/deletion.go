package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// LostDeletionWait is how long an account is kept after a user without any second factor asked for
// its deletion. The owner of the email addresses can cancel it until then.
const LostDeletionWait = 24 * time.Hour

// ErrNotPlanned is returned when there is no planned change to cancel.
var ErrNotPlanned = errors.New("nothing is planned for the account")

// errPlanned cancels an update because the account already has an earlier plan.
var errPlanned = errors.New("it is already planned")

// PlanDeletion plans the deletion of an account and returns when it is due. An earlier plan stays,
// without a new audit record, so that no one can postpone what a user has asked for. Errors:
// ErrLocked; idp.ErrNotFound.
func (s *Service) PlanDeletion(ctx context.Context, user idp.UserID, dueAt time.Time, event idp.AuditEvent) (time.Time, error) {
	event.Kind, event.Outcome, event.User = idp.AuditUserPlanDeletion, "ok", user
	event.Detail = addDue(event.Detail, dueAt)
	plannedAt := dueAt
	err := s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if u.IsLocked() {
			return ErrLocked
		}
		if plannedAt = dueAt; !u.DeletionAt.IsZero() && !u.DeletionAt.After(dueAt) {
			plannedAt = u.DeletionAt
			return errPlanned
		}
		u.DeletionAt, u.UpdatedAt = dueAt, s.Clock.Now()
		return nil
	}, event)
	if err != nil && !errors.Is(err, errPlanned) {
		return time.Time{}, fmt.Errorf("plan deletion: %w", err)
	}
	return plannedAt, nil
}

// CancelDeletion cancels a planned deletion, also that of a locked account. Errors: ErrNotPlanned;
// idp.ErrNotFound.
func (s *Service) CancelDeletion(ctx context.Context, user idp.UserID, event idp.AuditEvent) error {
	event.Kind, event.Outcome, event.User = idp.AuditUserCancelDeletion, "ok", user
	err := s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if u.DeletionAt.IsZero() {
			return ErrNotPlanned
		}
		u.DeletionAt, u.UpdatedAt = time.Time{}, s.Clock.Now()
		return nil
	}, event)
	if err != nil {
		return fmt.Errorf("cancel deletion: %w", err)
	}
	return nil
}

// addDue returns the detail of a plan's audit event.
func addDue(detail map[string]string, dueAt time.Time) map[string]string {
	with := map[string]string{"due": dueAt.UTC().Format(time.RFC3339)}
	for name, value := range detail {
		with[name] = value
	}
	return with
}
