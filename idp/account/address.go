package account

import (
	"crypto/hmac"
	"encoding/hex"
	"strings"
	"time"

	"vernal/idp"
)

// EmailMark identifies one of a user's email addresses in a sign-in that has only its first
// factor. It is a keyed hash because sessions are not sealed and hold no personal data.
func (s *Service) EmailMark(user idp.UserID, address string) string {
	sum := s.Sealer.Hash("came-as", []byte(string(user)+"\x00"+strings.ToLower(strings.TrimSpace(address))))
	return hex.EncodeToString(sum[:16])
}

// recordSignInEmail records the email address used for a sign-in, now that the second factor is
// proved. Service providers are sent the most recently used one, and knowing the password alone
// must not be enough to choose it. A mark that matches none of the user's email addresses changes
// nothing, because that email address may have been removed since.
func (s *Service) recordSignInEmail(u *idp.User, mark string, at time.Time) {
	for i := range u.Emails {
		if e := &u.Emails[i]; hmac.Equal([]byte(s.EmailMark(u.ID, e.Address)), []byte(mark)) {
			e.LastSignInAt = at
		}
	}
}
