// Package account keeps users: their email addresses, passwords and TOTP factors, and the
// limits on guessing.
//
// A sign-in uses two calls, each one step of guessing:
//
//	CheckPassword  wait for a permit ─► look the email address up ─► reserve the attempt, for
//	               the user silently ─► hash ─► give the attempt back, or delay the answer
//	               "wrong"
//	CheckTOTP      reserve the attempt ─► compare ─► compare-and-set of LastStep
//
// Attempts are counted before the secret is compared, so that a hundred guesses sent at once count
// as a hundred guesses. A right answer gives them back. Each attempt is one write, no matter how
// many counters change. An email address without an account causes the same writes, a hash and
// the same delay, so that neither answer nor time discloses which users have an account or were
// imported. If too many attempts wait, the next one gets a *BusyError.
//
// Operators use the other calls: Create, SetPassword, Lock, Unlock, AddTOTP, ResetMFA, Delete,
// and Verify, which records a proofed identity. Import and Export move users between
// installations:
//
//	RecordReader  file ─► Record, or the problems of a line
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
	// the user's codes, so the audit trail distinguishes it from a guess. Pages do not.
	ErrReplayed = fmt.Errorf("%w: used before", ErrWrong)
	// ErrLocked is returned when an operator has locked the account. CheckPassword returns
	// it only after the right password, so that it discloses nothing to other callers.
	ErrLocked = errors.New("account is locked")
	// ErrNoFactor is returned by CheckTOTP for a user without TOTP.
	ErrNoFactor = errors.New("account has no authenticator")
)

// ThrottledError is returned after too many attempts. No secret was compared, and the attempt
// did not count.
type ThrottledError struct {
	// RetryAfter is how long to wait, at least a second.
	RetryAfter time.Duration
	// Limit names the limit for the log: "account-network",
	// "account-network-long", "account-browser", "account", "network" or "code".
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
	// "too_long", "common", "contains_email", "too_many", "missing", "unknown", "taken", "unregistered".
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
	Sealer idp.Sealer // hashes the keys of throttles, so that the store discloses no email address
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
	// TOTPSecret is an existing secret in base32. If empty, a random one of 160 bits is
	// generated.
	TOTPSecret string `json:"totp_secret,omitempty"`
	// TOTPPeriod is 30 or 60 seconds; 0 means 30.
	TOTPPeriod int `json:"totp_period,omitempty"`
}

// Enrolment is the data that a user needs to set up an authenticator. It is shown once and not
// stored.
type Enrolment struct {
	// Secret is in base32 without padding. URL is the otpauth URL.
	Secret string `json:"secret"`
	URL    string `json:"url"`
}

// Create adds a user whose email address counts as confirmed. The Enrolment is nil without
// TOTP. Errors: *InputError; idp.ErrExists if the email address is taken.
func (s *Service) Create(ctx context.Context, newUser NewUser, actor string) (*idp.User, *Enrolment, error) {
	email, err := NormalizeEmail(newUser.Email)
	if err != nil {
		return nil, nil, err
	}
	if err := CheckNewPassword(newUser.Password, email); err != nil {
		return nil, nil, err
	}
	now := s.Clock.Now().Truncate(time.Second)
	user := &idp.User{
		ID:                idp.UserID(rand.Text()),
		Emails:            []idp.Email{{Address: email, ConfirmedAt: now}},
		PasswordChangedAt: now,
		CreatedAt:         now,
		UpdatedAt:         now,
	}
	var enrolment *Enrolment
	if newUser.TOTP || newUser.TOTPSecret != "" {
		t, err := newTOTP(NewTOTP{Secret: newUser.TOTPSecret, Period: newUser.TOTPPeriod}, now)
		if err != nil {
			return nil, nil, err
		}
		user.TOTPs = []idp.TOTP{t}
		enrolment = s.newEnrolment(t, email)
	}
	if user.PasswordHash, err = s.Hasher.Hash(ctx, newUser.Password); err != nil {
		return nil, nil, fmt.Errorf("create account: %w", err)
	}
	conflicts, err := s.Store.ImportUsers(ctx, []idp.ImportedUser{{User: user, Event: newChangeEvent(idp.AuditUserAdd, user.ID, actor)}})
	if err := errors.Join(append(conflicts, err)...); err != nil {
		return nil, nil, fmt.Errorf("create account: %w", err)
	}
	return user, enrolment, nil
}

// Lookup finds a user by any of their email addresses, or returns idp.ErrNotFound.
func (s *Service) Lookup(ctx context.Context, email string) (*idp.User, error) {
	email, err := NormalizeEmail(email)
	if err != nil {
		return nil, err
	}
	user, err := s.Store.UserByEmail(ctx, email)
	if err != nil {
		return nil, fmt.Errorf("look up account: %w", err)
	}
	return user, nil
}

// newChangeEvent returns the audit event of a completed change.
func newChangeEvent(kind idp.AuditKind, user idp.UserID, actor string) idp.AuditEvent {
	return idp.AuditEvent{Kind: kind, Outcome: "ok", Actor: actor, User: user}
}
