package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pquerna/otp/totp"

	"vernal/idp"
	"vernal/idp/account"
)

// Who one can be in the demo. The password is no secret: the demo shows it to
// whoever asks, and listens on loopback.
const (
	demoEmail    = "ada@example.com"
	demoPassword = "spring-every-year"
)

// demoPerson is the person of the demo, and the telephone in their pocket.
type demoPerson struct {
	Email, Password string
	// Secret is the TOTP secret in base32, URL its otpauth address.
	Secret, URL string

	id    idp.UserID
	users idp.UserStore
	clock idp.Clock
}

// openDemoPerson finds the person in the store, or makes them.
func openDemoPerson(ctx context.Context, d *deps) (*demoPerson, error) {
	u, err := d.Store.UserByEmail(ctx, demoEmail)
	if errors.Is(err, idp.ErrNotFound) {
		u, _, err = d.Accounts.Create(ctx, account.NewUser{Email: demoEmail, Password: demoPassword, TOTP: true}, "demo")
	}
	if err != nil {
		return nil, fmt.Errorf("make the person of the demo: %w", err)
	}
	if len(u.TOTPs) == 0 {
		return nil, refuse("%s has no authenticator any more; start the demo with a new folder", demoEmail)
	}
	t := u.TOTPs[0]
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: "Vernal demo", AccountName: demoEmail, Secret: t.Secret, Period: uint(t.Period),
	})
	if err != nil {
		return nil, fmt.Errorf("write the otpauth address: %w", err)
	}
	return &demoPerson{Email: demoEmail, Password: demoPassword, Secret: key.Secret(), URL: key.URL(), id: u.ID, users: d.Store, clock: d.Clock}, nil
}

// demoCode is what the person's authenticator shows at a moment.
type demoCode struct {
	Code string `json:"code"` // as such apps show it: "123 456"
	// Seconds is how much longer it shows it, rounded up.
	Seconds int `json:"seconds"`
	// Used tells that the code has served; each does so once.
	Used bool `json:"used"`
}

// Code is the person's code now.
func (p *demoPerson) Code(ctx context.Context) (demoCode, error) {
	u, err := p.users.User(ctx, p.id)
	if err != nil {
		return demoCode{}, fmt.Errorf("look at the authenticator: %w", err)
	}
	if len(u.TOTPs) == 0 {
		return demoCode{}, errors.New("the person has no authenticator any more")
	}
	t, now := u.TOTPs[0], p.clock.Now().Unix()
	code, err := account.CodeAt(t, time.Unix(now, 0))
	if err != nil {
		return demoCode{}, fmt.Errorf("make the code: %w", err)
	}
	period := int64(t.Period)
	return demoCode{Code: code[:3] + " " + code[3:], Seconds: int(period - now%period), Used: now/period <= t.LastStep}, nil
}

// String says it for the terminal.
func (c demoCode) String() string {
	if c.Used {
		return fmt.Sprintf("%s  (used; the next one in %d s)", c.Code, c.Seconds)
	}
	return fmt.Sprintf("%s  (for %d s more)", c.Code, c.Seconds)
}
