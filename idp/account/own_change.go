package account

import (
	"context"
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
// sessions, all in one step. If the session that makes the change has ended, nothing changes and the
// error is idp.ErrSessionEnded.
func (s *Service) changeSignIn(ctx context.Context, c OwnChange, kind idp.AuditKind, change func(*idp.User) error) error {
	c.Event.Kind, c.Event.Outcome, c.Event.User = kind, "ok", c.User
	_, err := s.Store.EndSessions(ctx, idp.SessionEnd{User: c.User, KeptID: c.Keep, Change: s.guardOwnChange(func(u *idp.User) error {
		u.Devices = nil
		return change(u)
	})}, c.Event)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

// guardOwnChange returns a change that a locked user cannot make, with its time.
func (s *Service) guardOwnChange(change func(*idp.User) error) func(*idp.User) error {
	return func(u *idp.User) error {
		if u.IsLocked() {
			return ErrLocked
		}
		u.UpdatedAt = s.Clock.Now()
		return change(u)
	}
}

// changeOwn changes a user and writes the audit record in the same step.
func (s *Service) changeOwn(ctx context.Context, c OwnChange, kind idp.AuditKind, change func(*idp.User) error) error {
	c.Event.Kind, c.Event.Outcome, c.Event.User = kind, "ok", c.User
	if err := s.Store.UpdateUser(ctx, c.User, s.guardOwnChange(change), c.Event); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}
