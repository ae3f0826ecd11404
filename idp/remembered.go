package idp

import (
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"time"
)

// MaxRememberedDevices limits the remembered devices of one user. The oldest is dropped first.
const MaxRememberedDevices = 10

// RememberedDevice is a browser that the user asked us to remember. It replaces the second
// factor where a request allows that.
type RememberedDevice struct {
	// Hash is the SHA-256 of the browser's cookie, so that reading the store reveals
	// nothing that a browser could send.
	Hash []byte `json:"hash"`
	// At is when a real second factor was used in this browser. The remembered time counts
	// from then, however often the device is used.
	At time.Time `json:"at"`
	// UsedAt is when the device last replaced the second factor; zero if never.
	UsedAt time.Time `json:"used_at,omitzero"`
	// Browser and System are those of a Device. They let the user recognize it.
	Browser string `json:"browser,omitempty"`
	System  string `json:"system,omitempty"`
}

// ShortHash returns the part of the hash that identifies a device to its own user and to operators: 64
// bits, which give no access.
func (d *RememberedDevice) ShortHash() string {
	return hex.EncodeToString(d.Hash[:min(len(d.Hash), 8)])
}

// RememberedAt returns when the user used a real second factor in the browser whose cookie has
// the hash. ok is false for a browser that is not remembered. The caller decides how long that
// counts (assurance.RememberedDeviceLifetime).
func (u *User) RememberedAt(hash []byte) (at time.Time, ok bool) {
	for _, d := range u.Devices {
		if d.hasHash(hash) {
			at, ok = d.At, true
		}
	}
	return at, ok
}

// hasHash reports whether the device's cookie has the hash. An empty hash matches no device.
func (d *RememberedDevice) hasHash(hash []byte) bool {
	return len(hash) > 0 && subtle.ConstantTimeCompare(d.Hash, hash) == 1
}

// RecordDeviceUse records that a device replaced the second factor. It returns the results of RememberedAt,
// for a record that is being changed.
func (u *User) RecordDeviceUse(hash []byte, now time.Time) (at time.Time, ok bool) {
	for i := range u.Devices {
		if d := &u.Devices[i]; d.hasHash(hash) {
			at, ok, d.UsedAt = d.At, true, now
		}
	}
	return at, ok
}

// ForgetDevices removes the devices whose cookies have one of the hashes and returns their number.
func (u *User) ForgetDevices(hashes ...[]byte) int {
	before := len(u.Devices)
	u.Devices = slices.DeleteFunc(u.Devices, func(d RememberedDevice) bool {
		return slices.ContainsFunc(hashes, d.hasHash)
	})
	return before - len(u.Devices)
}

// RememberDevice adds a device as the newest one.
func (u *User) RememberDevice(d RememberedDevice) {
	u.Devices = append(u.Devices, d)
	if excess := len(u.Devices) - MaxRememberedDevices; excess > 0 {
		u.Devices = append([]RememberedDevice(nil), u.Devices[excess:]...)
	}
}

// Factors returns the factors that the user can prove, without remembered devices.
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
