package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// Remembering is a browser that a person asks to be remembered in.
type Remembering struct {
	// Device is the browser; its At is set here.
	Device idp.RememberedDevice
	// Replaces is the hash of the cookie that the browser had before, which it
	// loses; nil for none.
	Replaces []byte
	// KnownAt is when the person proved the password: if it was changed since,
	// the code counts and the browser is not remembered.
	KnownAt time.Time
}

// rememberIn remembers the browser in the person's record.
func (r *Remembering) rememberIn(u *idp.User, now time.Time) {
	u.Forget(r.Replaces)
	if !u.PasswordChangedAt.After(r.KnownAt) {
		d := r.Device
		d.At = now
		u.Remember(d)
	}
}

// UseDevice notes that a remembered device stands for the person's second factor
// in a sign-in with an address (AddressMark), and reports since when it may. It returns idp.ErrNotFound if it is not
// remembered any more: what forgets devices and what uses them come one after the
// other.
func (s *Service) UseDevice(ctx context.Context, user idp.UserID, hash []byte, cameAs string) (at time.Time, err error) {
	now := s.Clock.Now()
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		var ok bool
		if at, ok = u.UsedDevice(hash, now); !ok {
			return idp.ErrNotFound
		}
		s.cameAs(u, cameAs, now)
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("use remembered device: %w", err)
	}
	return at, nil
}

// ForgetDevices forgets the remembered device that short names, or all with "",
// and reports how many. Sessions go on: what was proved in them was proved. Each
// device is on record with event, whose Kind and Detail are set here.
func (s *Service) ForgetDevices(ctx context.Context, user idp.UserID, short string, event idp.AuditEvent) (n int, err error) {
	u, err := s.Store.User(ctx, user)
	if err != nil {
		return 0, fmt.Errorf("forget devices: %w", err)
	}
	var hashes [][]byte
	var events []idp.AuditEvent
	for _, d := range u.Devices {
		if short != "" && d.Short() != short {
			continue
		}
		hashes = append(hashes, d.Hash)
		event.Kind, event.Detail = idp.AuditUserForgetDevice, map[string]string{"device": d.Short()}
		events = append(events, event)
	}
	if len(hashes) == 0 {
		return 0, nil
	}
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if n = u.Forget(hashes...); n == 0 {
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
	return n, nil
}

// errForgotten ends a change of which nothing is left to do.
var errForgotten = errors.New("somebody else has forgotten the devices")
