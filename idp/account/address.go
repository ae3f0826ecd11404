package account

import (
	"crypto/hmac"
	"encoding/hex"
	"strings"
	"time"

	"vernal/idp"
)

// AddressMark names an address among a person's own in a sign-in that has only
// its first factor. It is a keyed hash: sessions are not sealed, and hold no
// personal data.
func (s *Service) AddressMark(user idp.UserID, address string) string {
	sum := s.Sealer.Hash("came-as", []byte(string(user)+"\x00"+strings.ToLower(strings.TrimSpace(address))))
	return hex.EncodeToString(sum[:16])
}

// cameAs notes the address that a sign-in came with, now that it has its second
// factor: service providers are sent the one that the person came with last,
// which nobody chooses with the password alone. A mark of none of their addresses
// changes nothing: it may have been taken from them meanwhile.
func (s *Service) cameAs(u *idp.User, mark string, at time.Time) {
	for i := range u.Emails {
		if e := &u.Emails[i]; hmac.Equal([]byte(s.AddressMark(u.ID, e.Address)), []byte(mark)) {
			e.LastSignInAt = at
		}
	}
}
