package idp

import (
	"crypto/subtle"
	"slices"
	"time"
)

// RecoveryCodeCount returns the number of unused recovery codes.
func (u *User) RecoveryCodeCount() int {
	if u.RecoveryCodes == nil {
		return 0
	}
	return len(u.RecoveryCodes.Hashes)
}

// RecoveryCodes is a set of single-use codes that replace a lost factor (NIST SP 800-63B §5.1.2,
// look-up secrets).
type RecoveryCodes struct {
	// Salt and Iterations are those of PBKDF2-HMAC-SHA256, which made the Hashes.
	Salt       []byte `json:"salt"`
	Iterations int    `json:"iterations"`
	// Hashes are those of the unused codes.
	Hashes    [][]byte  `json:"hashes"`
	CreatedAt time.Time `json:"created_at"`
}

// UseRecoveryCode removes the unused code with the hash and reports whether there was one. It compares
// all, so that the time does not depend on which one matches.
func (u *User) UseRecoveryCode(hash []byte) bool {
	if u.RecoveryCodes == nil {
		return false
	}
	match := -1
	for i, h := range u.RecoveryCodes.Hashes {
		if subtle.ConstantTimeCompare(h, hash) == 1 {
			match = i
		}
	}
	if match < 0 {
		return false
	}
	set := *u.RecoveryCodes
	set.Hashes = slices.Delete(slices.Clone(set.Hashes), match, match+1)
	u.RecoveryCodes = &set
	return true
}
