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
	// MaxTOTPs is how many authenticators one person can have.
	MaxTOTPs = 2
	// secretSize is the length of our secrets: as long as the hash (RFC 4226
	// §4, R6, recommends 160 bits).
	secretSize = 20
	// minSecret and maxSecret bound given ones. RFC 4226 R6 wants 128 bits;
	// tokens that people hold already, and the secrets that common software
	// makes, have 80.
	minSecret, maxSecret = 10, 64
	codeDigits           = 6
)

var base32NoPad = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTP is an authenticator to add.
type NewTOTP struct {
	// Name tells a person's authenticators apart; may be empty. It is text as in a
	// profile.
	Name string
	// Secret is a given secret, base32; empty: a random one of 160 bits.
	Secret string
	// Period is 30 or 60 seconds; 0 means 30.
	Period int
}

// CheckTOTP proves the second factor of a person who has proved the first: a
// code of 6 digits of one of their authenticators, of this step, the one before
// or the one after. Each step is accepted once: a code that was used, or one of
// an older step, is wrong, also for two requests at the same moment.
//
// Errors: ErrWrong (ErrReplayed for a used code), *ThrottledError, ErrLocked, ErrNoFactor; any other is a
// fault, and the attempt was given back. Too many wrong codes block the person's
// codes from everywhere: whoever gets here has the password.
func (s *Service) CheckTOTP(ctx context.Context, user idp.UserID, code string, from netip.Addr) error {
	return s.CompleteTOTP(ctx, user, code, from, SignIn{})
}

// SignIn is what a sign-in has for its second factor to make good.
type SignIn struct {
	// CameAs is the AddressMark of the address that the person gave.
	CameAs string
	// Remember is the browser to remember; nil for not.
	Remember *Remembering
}

// CompleteTOTP is CheckTOTP for the code that ends a sign-in. What the sign-in
// has is noted in the same step, so that whatever forgets devices forgets this
// one, or comes first.
func (s *Service) CompleteTOTP(ctx context.Context, user idp.UserID, code string, from netip.Addr, in SignIn) error {
	code, ok := normalCode(code)
	if !ok {
		return ErrWrong // no guess at all, so nothing to count
	}
	u, err := s.Store.User(ctx, user)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return ErrWrong // deleted between the two factors
	case err != nil:
		return fmt.Errorf("check code: %w", err)
	case u.Locked():
		return ErrLocked
	case len(u.TOTPs) == 0:
		return ErrNoFactor
	}
	counters := []counter{s.codeCounter(user), s.networkCounter(from)}
	if _, err := s.reserve(ctx, counters); err != nil {
		return err
	}
	now := s.Clock.Now()
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if err := acceptCode(u, code, now); err != nil {
			return err
		}
		s.cameAs(u, in.CameAs, now)
		if in.Remember != nil {
			in.Remember.rememberIn(u, now)
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

// acceptCode finds the step that the code belongs to and marks it as used. It
// runs inside the store's update, so that comparing and marking are one step.
// All codes are compared whatever the first ones give.
func acceptCode(u *idp.User, code string, now time.Time) error {
	if u.Locked() {
		return ErrLocked
	}
	found, foundStep, replayed := -1, int64(0), false
	for i, t := range u.TOTPs {
		if t.Period <= 0 {
			continue // such a record was not written by us
		}
		step := now.Unix() / int64(t.Period)
		for _, candidate := range []int64{step - 1, step, step + 1} {
			want, err := codeAt(t.Secret, candidate)
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

// codeAt is the code of a step (RFC 6238 §4.2, SHA-1, 6 digits).
func codeAt(secret []byte, step int64) (code string, err error) {
	if step < 0 {
		return "", nil
	}
	// HMAC-SHA-1 is what authenticators speak and is no weaker for it; strict
	// FIPS mode would panic. A stated exception.
	fips140.WithoutEnforcement(func() {
		code, err = hotp.GenerateCodeCustom(base32NoPad.EncodeToString(secret), uint64(step),
			hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	})
	return code, err
}

// CodeAt is the code that an authenticator shows at a time. It is for the
// demonstration and for tests, which play the person's telephone.
func CodeAt(t idp.TOTP, at time.Time) (string, error) {
	return codeAt(t.Secret, at.Unix()/int64(t.Period))
}

// normalCode takes the spaces out that authenticators show in the middle.
func normalCode(code string) (string, bool) {
	if len(code) > 32 {
		return "", false
	}
	code = strings.Join(strings.Fields(code), "")
	return code, len(code) == codeDigits && strings.Trim(code, "0123456789") == ""
}

// Check reports, as an *InputError, why AddTOTP would not take the
// authenticator, whoever it is for.
func (n NewTOTP) Check() error {
	_, err := newTOTP(n, time.Time{})
	return err
}

// newTOTP checks and fills in what is given.
func newTOTP(n NewTOTP, now time.Time) (idp.TOTP, error) {
	name, ok := plainText(n.Name)
	t := idp.TOTP{Name: name, Period: n.Period, AddedAt: now}
	if !ok {
		return t, &InputError{"totp_name", "invalid", wantText}
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

// enrolment is the otpauth address of an authenticator, in the key URI format
// that all of them read.
func (s *Service) enrolment(t idp.TOTP, address string) *Enrolment {
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
		// Some authenticators show a "+" as it stands.
		RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20"),
	}
	return &Enrolment{Secret: secret, URL: u.String()}
}
