package idp

import (
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"time"
)

// MaxRemembered bounds the devices that one person has remembered; the oldest
// gives way.
const MaxRemembered = 10

// RememberedDevice is a browser that a person asked to be remembered in. It
// stands for their second factor where a request leaves that open.
type RememberedDevice struct {
	// Hash is the SHA-256 of the browser's cookie: who reads the store learns
	// nothing that a browser could send.
	Hash []byte `json:"hash"`
	// At is when a real second factor was used there. What is remembered
	// counts from then, however often it is used.
	At time.Time `json:"at"`
	// UsedAt is when it last stood for the second factor; zero if never.
	UsedAt time.Time `json:"used_at,omitzero"`
	// Browser and System are those of a Device, for the person to know it by.
	Browser string `json:"browser,omitempty"`
	System  string `json:"system,omitempty"`
}

// Short names a device to its own person and to operators: 64 bits of the hash,
// which open nothing.
func (d *RememberedDevice) Short() string { return hex.EncodeToString(d.Hash[:min(len(d.Hash), 8)]) }

// Remembers reports when the person used a real second factor in the browser
// whose cookie has the hash; ok is false for a browser that is not remembered.
// How long that counts is not its to say (assurance.RememberedFor).
func (u *User) Remembers(hash []byte) (at time.Time, ok bool) {
	for _, d := range u.Devices {
		if d.hasHash(hash) {
			at, ok = d.At, true
		}
	}
	return at, ok
}

// hasHash reports whether the device's cookie has the hash. No hash is nobody's.
func (d *RememberedDevice) hasHash(hash []byte) bool {
	return len(hash) > 0 && subtle.ConstantTimeCompare(d.Hash, hash) == 1
}

// UsedDevice notes that a device stood for the second factor. It is Remembers,
// for a record that is being changed.
func (u *User) UsedDevice(hash []byte, now time.Time) (at time.Time, ok bool) {
	for i := range u.Devices {
		if d := &u.Devices[i]; d.hasHash(hash) {
			at, ok, d.UsedAt = d.At, true, now
		}
	}
	return at, ok
}

// Forget takes away the devices whose cookies have one of the hashes, and
// reports how many they were.
func (u *User) Forget(hashes ...[]byte) int {
	before := len(u.Devices)
	u.Devices = slices.DeleteFunc(u.Devices, func(d RememberedDevice) bool {
		return slices.ContainsFunc(hashes, d.hasHash)
	})
	return before - len(u.Devices)
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
