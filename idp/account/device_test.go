package account

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"vernal/idp"
)

func remembering(device string, knownAt time.Time) SignIn {
	return SignIn{Remember: &RememberRequest{Device: idp.RememberedDevice{Hash: []byte(device)}, PasswordProvedAt: knownAt}}
}

func TestRememberDevice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	remember := func(code, device string) error {
		return h.CompleteTOTP(t.Context(), u.ID, code, home, remembering(device, h.clock()))
	}
	if err := remember("000000", "guessed"); !errors.Is(err, ErrWrong) {
		t.Fatalf("a wrong code: %v", err)
	}
	if _, ok := h.user(u.ID).RememberedAt([]byte("guessed")); ok {
		t.Error("a wrong code made a device remembered")
	}
	var times []time.Time
	for n := range idp.MaxRememberedDevices + 1 {
		h.pass(30 * time.Second)
		if err := remember(h.code(u.ID, 0), fmt.Sprint("device", n)); err != nil {
			t.Fatal(err)
		}
		times = append(times, h.clock())
	}
	got := h.user(u.ID)
	if len(got.Devices) != idp.MaxRememberedDevices {
		t.Errorf("%d devices are kept, want %d", len(got.Devices), idp.MaxRememberedDevices)
	}
	if _, ok := got.RememberedAt([]byte("device0")); ok {
		t.Error("the oldest device has not given way")
	}
	if at, ok := got.RememberedAt([]byte("device1")); !ok || !at.Equal(times[1]) {
		t.Errorf("device remembered at %v, %v; want %v", at, ok, times[1])
	}
	for _, hash := range [][]byte{nil, {}, []byte("device99")} {
		if _, ok := got.RememberedAt(hash); ok {
			t.Errorf("%q is remembered", hash)
		}
	}
}

// A password that was changed after it was proved makes no device remembered, because the
// person who proved the old one may be the reason for the change.
func TestRememberDeviceAfterPasswordChange(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	proved := h.clock()
	h.pass(time.Second)
	if _, err := h.SetPassword(t.Context(), alice, "another long password it is", actor); err != nil {
		t.Fatal(err)
	}
	if err := h.CompleteTOTP(t.Context(), u.ID, h.code(u.ID, 0), home, remembering("device", proved)); err != nil {
		t.Fatal(err)
	}
	if n := len(h.user(u.ID).Devices); n > 0 {
		t.Errorf("%d devices remembered", n)
	}
}

func TestDevicesAreForgotten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(h *house) error
	}{
		{"password", func(h *house) error {
			_, err := h.SetPassword(t.Context(), alice, "another long password it is", actor)
			return err
		}},
		{"lock", func(h *house) error { _, err := h.Lock(t.Context(), alice, "", actor); return err }},
		{"reset", func(h *house) error { _, err := h.ResetMFA(t.Context(), alice, actor); return err }},
		{"new authenticator", func(h *house) error { _, err := h.AddTOTP(t.Context(), alice, NewTOTP{}, actor); return err }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			u := h.create()
			if err := h.CompleteTOTP(t.Context(), u.ID, h.code(u.ID, 0), home, remembering("device", h.clock())); err != nil {
				t.Fatal(err)
			}
			if len(h.user(u.ID).Devices) != 1 {
				t.Fatal("no device to forget")
			}
			if err := tt.change(h); err != nil {
				t.Fatal(err)
			}
			if n := len(h.user(u.ID).Devices); n > 0 {
				t.Errorf("%d devices are still remembered", n)
			}
		})
	}
}
