package idp

import (
	"crypto/subtle"
	"time"
)

// MaxRemembered bounds the devices that one person has remembered; the oldest
// gives way.
const MaxRemembered = 10

// RememberedDevice is a browser that a person asked to be remembered in. It stands for
// their second factor where a request leaves that open.
type RememberedDevice struct {
	// Hash is the SHA-256 of the browser's cookie: who reads the store learns
	// nothing that a browser could send.
	Hash []byte `json:"hash"`
	// At is when a real second factor was used there. What is remembered
	// counts from then, however often it is used.
	At time.Time `json:"at"`
}

// Remembers reports when the person used a real second factor in the browser
// whose cookie has the hash; ok is false for a browser that is not remembered.
// How long that counts is not its to say (assurance.RememberedFor).
func (u *User) Remembers(hash []byte) (at time.Time, ok bool) {
	for _, d := range u.Devices {
		if len(hash) > 0 && subtle.ConstantTimeCompare(d.Hash, hash) == 1 {
			at, ok = d.At, true
		}
	}
	return at, ok
}

// Remember adds a device as the newest one.
func (u *User) Remember(d RememberedDevice) {
	u.Devices = append(u.Devices, d)
	if over := len(u.Devices) - MaxRemembered; over > 0 {
		u.Devices = append([]RememberedDevice(nil), u.Devices[over:]...)
	}
}

// Factors are those that the person can prove, remembered devices left aside.
func (u *User) Factors() []Factor {
	var f []Factor
	if u.PasswordHash != "" {
		f = append(f, FactorPassword)
	}
	if len(u.TOTPs) > 0 {
		f = append(f, FactorTOTP)
	}
	return f
}
