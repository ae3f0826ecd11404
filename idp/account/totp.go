package account

import (
	"cmp"
	"context"
	"crypto/fips140"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"vernal/idp"
)

const (
	// MaxTOTPs is how many authenticators one user can have.
	MaxTOTPs = 2
	// secretSize is the length of our secrets: as long as the hash (RFC 4226
	// §4, R6, recommends 160 bits).
	secretSize = 20
	// minSecret and maxSecret limit given secrets. RFC 4226 R6 requires 128 bits, but many
	// existing tokens, and secrets from common software, have 80.
	minSecret, maxSecret = 10, 64
	codeDigits           = 6
)

var base32NoPad = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTP is an authenticator to add.
type NewTOTP struct {
	// Name distinguishes a user's authenticators and may be empty. It has the form of a
	// text in a profile.
	Name string
	// Secret is a given secret, base32. If empty, a random one of 160 bits is generated.
	Secret string
	// Period is 30 or 60 seconds; 0 means 30.
	Period int
}

// CheckTOTP proves the second factor of a user who has proved the first: a code of 6 digits of
// one of the user's authenticators, of the current step, the previous or the next. Each step
// is accepted once: a used code, or a code of an older step, is wrong, also for two
// simultaneous requests.
//
// Errors: ErrWrong (ErrReplayed for a used code), *ThrottledError, ErrLocked, ErrNoFactor. Any
// other error is a fault, and the attempt was given back. Too many wrong codes block the
// user's codes from all networks, because the sender has the password.
func (s *Service) CheckTOTP(ctx context.Context, user idp.UserID, code string, from netip.Addr) error {
	return s.CompleteTOTP(ctx, user, code, from, SignIn{})
}

// SignIn is the data that a sign-in records once its second factor is proved.
type SignIn struct {
	// EmailMark is the AddressMark of the email address that the user entered.
	EmailMark string
	// Remember is the browser to remember; nil for none.
	Remember *RememberRequest
}

// CompleteTOTP works like CheckTOTP, for the code that completes a sign-in. It records the data of
// the sign-in in the same step, so that a removal of devices either includes this one or happens
// before it.
func (s *Service) CompleteTOTP(ctx context.Context, user idp.UserID, code string, from netip.Addr, in SignIn) error {
	code, ok := normalizeCode(code)
	if !ok {
		return ErrWrong // not a guess, so it does not count
	}
	u, err := s.Store.User(ctx, user)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return ErrWrong // deleted between the two factors
	case err != nil:
		return fmt.Errorf("check code: %w", err)
	case u.IsLocked():
		return ErrLocked
	case len(u.TOTPs) == 0:
		return ErrNoFactor
	}
	counters := []counter{s.newCodeCounter(user), s.newNetworkCounter(from)}
	if _, err := s.reserve(ctx, counters); err != nil {
		return err
	}
	now := s.Clock.Now()
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if err := acceptCode(u, code, now); err != nil {
			return err
		}
		s.recordSignInEmail(u, in.EmailMark, now)
		if in.Remember != nil {
			in.Remember.addDevice(u, now)
		}
		return nil
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrWrong), errors.Is(err, ErrLocked):
		return err
	default:
		return errors.Join(fmt.Errorf("check code: %w", err), s.release(ctx, counters))
	}
	return s.settle(ctx, counters)
}

// acceptCode finds the step that the code belongs to and marks it as used. It runs inside the
// store's update, so that comparing and marking are one step. It always compares all codes, so
// that the time does not depend on which one matches.
func acceptCode(u *idp.User, code string, now time.Time) error {
	if u.IsLocked() {
		return ErrLocked
	}
	found, foundStep, replayed := -1, int64(0), false
	for i, t := range u.TOTPs {
		if t.Period <= 0 {
			continue // this installation did not write such a record
		}
		step := now.Unix() / int64(t.Period)
		for _, candidate := range []int64{step - 1, step, step + idp.TOTPStepsAhead} {
			want, err := computeCode(t.Secret, candidate)
			if err != nil {
				return err
			}
			equal := subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1
			if equal && candidate > t.LastStep && found < 0 {
				found, foundStep = i, candidate
			}
			replayed = replayed || equal && candidate <= t.LastStep
		}
	}
	if found < 0 && replayed {
		return ErrReplayed
	}
	if found < 0 {
		return ErrWrong
	}
	u.TOTPs[found].LastStep = foundStep
	return nil
}

// computeCode returns the code of a step (RFC 6238 §4.2, SHA-1, 6 digits).
func computeCode(secret []byte, step int64) (code string, err error) {
	if step < 0 {
		return "", nil
	}
	// Authenticators use HMAC-SHA-1, which is not weaker for this purpose. Strict FIPS
	// mode would panic, so this is a documented exception.
	fips140.WithoutEnforcement(func() {
		code, err = hotp.GenerateCodeCustom(base32NoPad.EncodeToString(secret), uint64(step),
			hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	})
	return code, err
}

// ComputeCode returns the code that an authenticator shows at a time, for the demonstration and for
// tests.
func ComputeCode(t idp.TOTP, at time.Time) (string, error) {
	return computeCode(t.Secret, at.Unix()/int64(t.Period))
}

// normalizeCode removes the spaces that authenticators show within a code.
func normalizeCode(code string) (string, bool) {
	if len(code) > 32 {
		return "", false
	}
	code = strings.Join(strings.Fields(code), "")
	return code, len(code) == codeDigits && strings.Trim(code, "0123456789") == ""
}

// Check returns an *InputError if AddTOTP would refuse the authenticator for every user.
func (n NewTOTP) Check() error {
	_, err := newTOTP(n, time.Time{})
	return err
}

// newTOTP checks the given values and fills in the missing ones.
func newTOTP(n NewTOTP, now time.Time) (idp.TOTP, error) {
	name, ok := cleanText(n.Name)
	t := idp.TOTP{Name: name, Period: n.Period, AddedAt: now}
	if !ok {
		return t, &InputError{"totp_name", "invalid", textRule}
	}
	switch t.Period {
	case 0:
		t.Period = 30
	case 30, 60:
	default:
		return t, &InputError{"totp_period", "invalid", "must be 30 or 60 seconds"}
	}
	if n.Secret == "" {
		t.Secret = make([]byte, secretSize)
		rand.Read(t.Secret)
		return t, nil
	}
	text := strings.TrimRight(strings.ToUpper(strings.Join(strings.Fields(n.Secret), "")), "=")
	secret, err := base32NoPad.DecodeString(text)
	if err != nil {
		return t, &InputError{"totp_secret", "invalid", "not base32"}
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return t, &InputError{"totp_secret", "invalid", fmt.Sprintf("must have %d to %d bytes (%d characters of base32 or more), and has %d", minSecret, maxSecret, minSecret*8/5, len(secret))}
	}
	t.Secret = secret
	return t, nil
}

// newEnrolment returns the otpauth URL of an authenticator, in the key URI format that all of
// them read.
func (s *Service) newEnrolment(t idp.TOTP, address string) *Enrolment {
	issuer := cmp.Or(s.Issuer, "Vernal")
	secret := base32NoPad.EncodeToString(t.Secret)
	query := url.Values{
		"secret":    {secret},
		"issuer":    {issuer},
		"algorithm": {"SHA1"},
		"digits":    {strconv.Itoa(codeDigits)},
		"period":    {strconv.Itoa(t.Period)},
	}
	u := url.URL{
		Scheme: "otpauth",
		Host:   "totp",
		Path:   "/" + issuer + ":" + address,
		// Some authenticators show a "+" literally.
		RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20"),
	}
	return &Enrolment{Secret: secret, URL: u.String()}
}
