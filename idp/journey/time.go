package journey

import (
	"time"

	"vernal/idp"
)

// WarnBefore is how long before the end of a session, or of the time for a code, the user is warned
// and offered one button to stay (WCAG 2.2.1 requires at least 20 seconds).
const WarnBefore = 2 * time.Minute

// SessionWarnsAt returns when to warn of the end of the session. Short sessions warn halfway.
func (s *Service) SessionWarnsAt(current *idp.Session) time.Time {
	return s.Sessions.EndsAt(current).Add(-min(WarnBefore, s.Sessions.IdleTimeout/2))
}
