package account

import (
	"context"
	"errors"
	"fmt"

	"vernal/idp"
)

// OwnChange is a change that a user makes to their own account.
type OwnChange struct {
	User idp.UserID
	// Keep is the session that makes the change, "" for none. All others end if the change is
	// about how the user signs in.
	Keep idp.SessionID
	// Event is its audit record, whose Kind, Outcome and User are set here.
	Event idp.AuditEvent
}

// changeSignIn changes how a user signs in, removes the remembered devices and ends the other
// sessions. They end before the change, because the user cannot repeat it after a crash, and again
// after it, for those that began in between. A change that is refused ends none, so it is tried on a
// copy first. If the session that makes the change has ended, the error is idp.ErrSessionEnded: the
// change was made, and no session is left.
func (s *Service) changeSignIn(ctx context.Context, c OwnChange, kind idp.AuditKind, change func(*idp.User) error) error {
	draft, err := s.Store.User(ctx, c.User)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	if draft.IsLocked() {
		return fmt.Errorf("%s: %w", kind, ErrLocked)
	}
	if err := change(draft); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	_, err = s.Store.EndSessions(ctx, idp.SessionEnd{User: c.User, KeptID: c.Keep})
	if err != nil && !errors.Is(err, idp.ErrSessionEnded) {
		return fmt.Errorf("end sessions before %s: %w", kind, err)
	}
	err = s.changeOwn(ctx, c, kind, func(u *idp.User) error {
		u.Devices = nil
		return change(u)
	})
	if err != nil {
		return err
	}
	_, err = s.Store.EndSessions(ctx, idp.SessionEnd{User: c.User, KeptID: c.Keep})
	if errors.Is(err, idp.ErrSessionEnded) {
		_, end := s.Store.EndSessions(ctx, idp.SessionEnd{User: c.User})
		err = errors.Join(err, end)
	}
	if err != nil {
		return fmt.Errorf("%s was done, but ending the sessions failed: %w", kind, err)
	}
	return nil
}

// changeOwn changes a user and writes the audit record in the same step.
func (s *Service) changeOwn(ctx context.Context, c OwnChange, kind idp.AuditKind, change func(*idp.User) error) error {
	c.Event.Kind, c.Event.Outcome, c.Event.User = kind, "ok", c.User
	err := s.Store.UpdateUser(ctx, c.User, func(u *idp.User) error {
		if u.IsLocked() {
			return ErrLocked
		}
		u.UpdatedAt = s.Clock.Now()
		return change(u)
	}, c.Event)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}
