package session

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"vernal/idp"
)

// PendingLifetime is how long a user has for the second factor after the password, unless they
// ask for more time.
const PendingLifetime = 10 * time.Minute

// maxExtensions is how often that time can be extended, at least: WCAG 2.2.1 requires ten times.
// It is limited so that a proved password does not count for as long as the browser keeps
// asking.
const maxExtensions = 10

// TimeForCode returns how long a user has for the second factor: CodeTime or its default.
func (m *Manager) TimeForCode() time.Duration {
	return cmp.Or(m.CodeTime, PendingLifetime)
}

// PendingEndsAt returns when a sign-in that waits for its second factor ends, regardless of how
// often more time is requested.
func (m *Manager) PendingEndsAt(s *idp.Session) time.Time {
	return s.CreatedAt.Add((1 + maxExtensions) * m.TimeForCode())
}

// ExtendPending restarts the time of a sign-in that waits for its second factor, up to
// PendingEndsAt, also in s. It returns idp.ErrNotFound if the sign-in has ended in the
// meantime.
func (m *Manager) ExtendPending(ctx context.Context, s *idp.Session) error {
	end, worth := m.Clock.Now().Add(m.TimeForCode()), min(touchEvery, m.TimeForCode()/10)
	if last := m.PendingEndsAt(s); !end.Before(last) {
		end, worth = last, 1 // the page says that this is the last extension
	}
	if end.Sub(s.ExpiresAt) < worth {
		return nil // not worth a write
	}
	err := m.Store.UpdateSession(ctx, s.ID, func(s *idp.Session) error {
		if !s.Pending {
			return idp.ErrNotFound
		}
		if end.After(s.ExpiresAt) {
			s.ExpiresAt = end
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("extend sign-in: %w", err)
	}
	s.ExpiresAt = end
	return nil
}
