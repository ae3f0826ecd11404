package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pquerna/otp/totp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/installation"
)

// The user of the demo. The password is no secret: the demo shows it to everyone,
// and listens on loopback.
const (
	Email    = "ada@example.com"
	Password = "spring-every-year"
)

// ErrNoAuthenticator is returned for a data folder whose user has no authenticator.
var ErrNoAuthenticator = errors.New(Email + " no longer has an authenticator")

// User is the user of the demo, with their authenticator.
type User struct {
	// Secret is the TOTP secret in base32, URL its otpauth URL.
	Secret, URL string

	id    idp.UserID
	users idp.UserStore
	clock idp.Clock
}

// openUser finds the user in the store, or creates them.
func openUser(ctx context.Context, i *installation.Installation) (*User, error) {
	u, err := i.Store.UserByEmail(ctx, Email)
	if errors.Is(err, idp.ErrNotFound) {
		u, _, err = i.Accounts.Create(ctx, account.NewUser{Email: Email, Password: Password, TOTP: true}, "demo")
	}
	if err != nil {
		return nil, fmt.Errorf("create the demo user: %w", err)
	}
	if len(u.TOTPs) == 0 {
		return nil, ErrNoAuthenticator
	}
	t := u.TOTPs[0]
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: "Vernal demo", AccountName: Email, Secret: t.Secret, Period: uint(t.Period),
	})
	if err != nil {
		return nil, fmt.Errorf("generate the otpauth URL: %w", err)
	}
	return &User{Secret: key.Secret(), URL: key.URL(), id: u.ID, users: i.Store, clock: i.Clock}, nil
}

// Code is the code that the authenticator shows at a moment.
type Code struct {
	Code string `json:"code"` // as authenticator apps show it: "123 456"
	// Seconds is the remaining time of the code, rounded up.
	Seconds int `json:"seconds"`
	// Used reports whether the code was used. Each code works once.
	Used bool `json:"used"`
}

// Code returns the user's current code.
func (u *User) Code(ctx context.Context) (Code, error) {
	record, err := u.users.User(ctx, u.id)
	if err != nil {
		return Code{}, fmt.Errorf("read the demo user: %w", err)
	}
	if len(record.TOTPs) == 0 {
		return Code{}, ErrNoAuthenticator
	}
	t, now := record.TOTPs[0], u.clock.Now().Unix()
	code, err := account.ComputeCode(t, time.Unix(now, 0))
	if err != nil {
		return Code{}, fmt.Errorf("generate the TOTP code: %w", err)
	}
	period := int64(t.Period)
	return Code{Code: code[:3] + " " + code[3:], Seconds: int(period - now%period), Used: now/period <= t.LastStep}, nil
}

// String returns the text for the terminal.
func (c Code) String() string {
	if c.Used {
		return fmt.Sprintf("%s  (used, next code in %d s)", c.Code, c.Seconds)
	}
	return fmt.Sprintf("%s  (valid for %d s)", c.Code, c.Seconds)
}
