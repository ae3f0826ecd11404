package journey

import (
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
)

// ResetParameter in the URL of the sign-in page makes it say that the password is changed.
const ResetParameter = "reset"

// NeedsRecoveryCode reports whether the user can satisfy the requirement only by signing in with a
// recovery code, because the proofed identity is paused.
func (f Flow) NeedsRecoveryCode(current *idp.Session, u *idp.User, now time.Time) bool {
	obstacle := f.Requirement.FindUserObstacle(current, u, now)
	return obstacle != nil && obstacle.Lack == assurance.LackActiveProofing && u.RecoveryCodeCount() > 0
}
