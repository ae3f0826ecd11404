// Package account keeps users: their email addresses, passwords and TOTP factors, and the
// limits on guessing.
//
// A sign-in uses two calls, each one step of guessing:
//
//	CheckPassword  wait for a turn ─► look the email address up ─► reserve the attempt, for the
//	               user silently ─► hash ─► give back, or wait until every "no" has
//	               taken as long
//	CheckTOTP      reserve the attempt ─► compare ─► compare-and-set of LastStep
//
// Attempts are counted before the secret is compared, so that a hundred guesses sent at once count
// as a hundred guesses. A right answer gives them back. Each attempt is one write, no matter how
// many counters change. An email address without an account gets the same writes, a hash and the
// same time until the "no", so that neither answer nor time discloses which users have an account
// or were imported. An attempt that finds no room is a *BusyError.
//
// Operators use the other calls: Create, SetPassword, Lock, Unlock, AddTOTP, ResetMFA, Delete,
// and Verify, which records a proofed identity. Import and Export move users between
// installations:
//
//	RecordReader  file ─► Record, or the problems of the line
//	Import        Record ─► user with NameIDs; existing users stay unchanged
//	Export        user ─► Record
//
// Every change to how a user signs in also ends the user's sessions and removes their
// remembered devices. Each change writes an audit event without personal data.
//
// The package creates no session and sets no cookie (session), shows no page (authn), and does
// not decide which factors a request needs (assurance).
package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vernal/idp"
)

// Errors of proving an identity.
var (
	// ErrWrong is returned for a wrong password or code, a code used before, and an email
	// address without an account. It never discloses which of them.
	ErrWrong = errors.New("wrong password or code")
	// ErrReplayed is ErrWrong for a right code that was used before. Its sender saw one of
	// the user's codes, so the audit trail distinguishes it from a guess. No page does.
	ErrReplayed = fmt.Errorf("%w: used before", ErrWrong)
	// ErrLocked is returned when an operator has locked the account. CheckPassword returns
	// it only after the right password, so that it discloses nothing to other callers.
	ErrLocked = errors.New("account is locked")
	// ErrNoFactor is returned by CheckTOTP for a user without TOTP.
	ErrNoFactor = errors.New("no authenticator on this account")
)

// ThrottledError is returned after too many attempts. No secret was compared, and the attempt
// did not count.
type ThrottledError struct {
	// RetryAfter is how long to wait, at least a second.
	RetryAfter time.Duration
	// Limit names the limit for the log: "account-network",
	// "account-network-long", "account", "network" or "code".
	Limit string
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many attempts (%s), retry in %s", e.Limit, e.RetryAfter)
}

// InputError is returned for a value that an account cannot have.
type InputError struct {
	// Field is "email", "password", "lock_reason", "totp_name", "totp_secret" or
	// "totp_period". For a profile or a record it is the JSON name, or "" for the whole.
	Field string
	// Problem is a stable code, for catalogues: "invalid", "too_short",
	// "too_long", "contains_email", "too_many", "missing", "unknown", "taken", "unregistered".
	Problem string
	// Detail describes the problem in a sentence, without the value.
	Detail string
}

func (e *InputError) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// Store is the part of idp.Store that this package needs.
type Store interface {
	idp.UserStore
	idp.DocumentStore
	Providers(ctx context.Context) ([]*idp.ServiceProvider, error)
	Provider(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error)
	AppendAudit(ctx context.Context, events ...idp.AuditEvent) error
	EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error)
}

// Service is the account side of the identity provider. It is safe for
// concurrent use.
type Service struct {
	// The fields from Store to Log must be set.
	Store  Store
	Sealer idp.Sealer // hashes the keys of throttles, so that no store discloses them
	Clock  idp.Clock
	Hasher *Hasher
	Log    *slog.Logger
	// Limits defaults to DefaultLimits if zero.
	Limits Limits
	// Issuer names this identity provider in authenticator applications; "Vernal" if
	// empty.
	Issuer string
}

// NewUser describes the account to create.
type NewUser struct {
	Email    string `json:"email"`
	Password string `json:"password,omitempty"`
	// TOTP requests an authenticator. A TOTPSecret requests one too.
	TOTP bool `json:"totp,omitempty"`
	// TOTPSecret is a given secret, base32. If empty, a random one of 160 bits is
	// generated.
	TOTPSecret string `json:"totp_secret,omitempty"`
	// TOTPPeriod is 30 or 60 seconds; 0 means 30.
	TOTPPeriod int `json:"totp_period,omitempty"`
}

// Enrolment is the data that a user needs to set up an authenticator. It is shown once and not
// stored.
type Enrolment struct {
	// Secret is base32 without padding, URL its otpauth URL.
	Secret string `json:"secret"`
	URL    string `json:"url"`
}

// Create adds a user whose email address counts as confirmed. The Enrolment is nil without
// TOTP. Errors: *InputError; idp.ErrExists if the email address is taken.
func (s *Service) Create(ctx context.Context, n NewUser, actor string) (*idp.User, *Enrolment, error) {
	address, err := NormalizeEmail(n.Email)
	if err != nil {
		return nil, nil, err
	}
	if err := CheckNewPassword(n.Password, address); err != nil {
		return nil, nil, err
	}
	now := s.Clock.Now().Truncate(time.Second)
	u := &idp.User{
		ID:                idp.UserID(rand.Text()),
		Emails:            []idp.Email{{Address: address, ConfirmedAt: now}},
		PasswordChangedAt: now,
		CreatedAt:         now,
		UpdatedAt:         now,
	}
	var enrolment *Enrolment
	if n.TOTP || n.TOTPSecret != "" {
		t, err := newTOTP(NewTOTP{Secret: n.TOTPSecret, Period: n.TOTPPeriod}, now)
		if err != nil {
			return nil, nil, err
		}
		u.TOTPs = []idp.TOTP{t}
		enrolment = s.newEnrolment(t, address)
	}
	if u.PasswordHash, err = s.Hasher.Hash(ctx, n.Password); err != nil {
		return nil, nil, fmt.Errorf("create account: %w", err)
	}
	clash, err := s.Store.ImportUsers(ctx, []idp.ImportedUser{{User: u, Event: newChangeEvent(idp.AuditUserAdd, u.ID, actor)}})
	if err := errors.Join(append(clash, err)...); err != nil {
		return nil, nil, fmt.Errorf("create account: %w", err)
	}
	return u, enrolment, nil
}

// Lookup finds a user by any of their email addresses, or returns idp.ErrNotFound.
func (s *Service) Lookup(ctx context.Context, email string) (*idp.User, error) {
	address, err := NormalizeEmail(email)
	if err != nil {
		return nil, err
	}
	u, err := s.Store.UserByEmail(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("look up account: %w", err)
	}
	return u, nil
}

// newChangeEvent returns the audit event of a completed change.
func newChangeEvent(kind idp.AuditKind, user idp.UserID, actor string) idp.AuditEvent {
	return idp.AuditEvent{Kind: kind, Outcome: "ok", Actor: actor, User: user}
}
