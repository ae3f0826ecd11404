package session

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"vernal/idp"
)

// PendingLifetime is how long a person has for the second factor after the
// password, unless they ask for more time.
const PendingLifetime = 10 * time.Minute

// moreTimes is how often that time can be had again, at least: WCAG 2.2.1 wants
// ten times. It is bounded so that a password that was proved does not count for
// as long as somebody keeps asking.
const moreTimes = 10

// TimeForCode is how long a person has for the second factor, CodeTime or its
// default.
func (m *Manager) TimeForCode() time.Duration {
	return cmp.Or(m.CodeTime, PendingLifetime)
}

// PendingUntil is when a sign-in that waits for its second factor ends however
// often more time is asked for.
func (m *Manager) PendingUntil(s *idp.Session) time.Time {
	return s.CreatedAt.Add((1 + moreTimes) * m.TimeForCode())
}

// ExtendPending gives a sign-in that waits for its second factor the whole time
// again, as far as PendingUntil, in s too. It returns idp.ErrNotFound if the
// sign-in has ended meanwhile.
func (m *Manager) ExtendPending(ctx context.Context, s *idp.Session) error {
	end, worth := m.Clock.Now().Add(m.TimeForCode()), min(touchEvery, m.TimeForCode()/10)
	if last := m.PendingUntil(s); !end.Before(last) {
		end, worth = last, 1 // the person is told that there is no more
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
