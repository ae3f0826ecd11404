package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// RememberRequest is a browser that a user asks us to remember.
type RememberRequest struct {
	// Device is the browser. addDevice sets its At.
	Device idp.RememberedDevice
	// ReplacedHash is the hash of the browser's previous cookie, which becomes invalid; nil
	// for none.
	ReplacedHash []byte
	// PasswordProvedAt is when the user proved the password. If the password was changed
	// later, the code counts, but the browser is not remembered.
	PasswordProvedAt time.Time
}

// addDevice adds the browser to the user's remembered devices.
func (r *RememberRequest) addDevice(u *idp.User, now time.Time) {
	u.ForgetDevices(r.ReplacedHash)
	if !u.PasswordChangedAt.After(r.PasswordProvedAt) {
		d := r.Device
		d.At = now
		u.RememberDevice(d)
	}
}

// UseDevice records that a remembered device replaces the user's second factor in a sign-in
// with the data of signIn, and returns when the device was remembered. It returns
// idp.ErrNotFound if the device is no longer remembered. The store serializes uses and
// removals of devices.
func (s *Service) UseDevice(ctx context.Context, user idp.UserID, hash []byte, signIn SignIn) (at time.Time, err error) {
	now := s.Clock.Now()
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		var ok bool
		if at, ok = u.RecordDeviceUse(hash, now); !ok {
			return idp.ErrNotFound
		}
		s.recordSignIn(u, signIn, now)
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("use remembered device: %w", err)
	}
	return at, nil
}

// ForgetDevices removes the remembered device with a short ID, or all devices if it is "", and
// returns their number. Sessions continue, because their factors remain proved. Each removed
// device is recorded with event, whose Kind and Detail are set here.
func (s *Service) ForgetDevices(ctx context.Context, user idp.UserID, shortID string, event idp.AuditEvent) (count int, err error) {
	u, err := s.Store.User(ctx, user)
	if err != nil {
		return 0, fmt.Errorf("forget devices: %w", err)
	}
	var hashes [][]byte
	var events []idp.AuditEvent
	for _, d := range u.Devices {
		if shortID != "" && d.ShortHash() != shortID {
			continue
		}
		hashes = append(hashes, d.Hash)
		event.Kind, event.Detail = idp.AuditUserForgetDevice, map[string]string{"device": d.ShortHash()}
		events = append(events, event)
	}
	if len(hashes) == 0 {
		return 0, nil
	}
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if count = u.ForgetDevices(hashes...); count == 0 {
			return errForgotten
		}
		return nil
	}, events...)
	if errors.Is(err, errForgotten) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("forget devices: %w", err)
	}
	return count, nil
}

// errForgotten cancels an update because another request removed the devices first.
var errForgotten = errors.New("the devices were already removed")
