package binary

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// totpPeriod is the length of a TOTP step in seconds.
const totpPeriod = 30

// User is a user who can sign in.
type User struct {
	Email, Password string

	secret   string // base32
	mu       sync.Mutex
	lastStep int64 // the newest step that Code has used
}

// NewUser returns a user that no installation knows yet.
func NewUser(email string) *User {
	secret := make([]byte, 20)
	rand.Read(secret)
	return &User{
		Email:    email,
		Password: "correct horse " + rand.Text(),
		secret:   base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret),
	}
}

// AddArgs returns the arguments of `vernal` that add the user. The password goes to its
// standard input.
func (p *User) AddArgs() []string {
	return []string{"user", "add", "--email", p.Email, "--password-stdin", "--totp-secret", p.secret}
}

// AddUser adds a user with password and TOTP secret.
func (v *Vernal) AddUser(t testing.TB, email string) *User {
	t.Helper()
	p := NewUser(email)
	v.Run(t, p.Password+"\n", p.AddArgs()...)
	return p
}

// SkipCodes makes Code skip the codes that a server could have accepted until the given time,
// because a server that was restored at that time refuses them.
func (p *User) SkipCodes(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastStep = max(p.lastStep, until.Unix()/totpPeriod+1)
}

// Code returns a TOTP code that was not used before. A server accepts each step once and
// looks one step ahead, so Code waits before a third code within a step.
func (p *User) Code(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	WaitUntil(t, 2*totpPeriod*time.Second, "a fresh TOTP code", func() error {
		now := time.Now().Unix() / totpPeriod
		if p.lastStep > now {
			return errors.New("the steps up to the next one are used")
		}
		p.lastStep = max(now, p.lastStep+1)
		return nil
	})
	code, err := totp.GenerateCode(p.secret, time.Unix(p.lastStep*totpPeriod, 0))
	if err != nil {
		t.Fatal(err)
	}
	return code
}
