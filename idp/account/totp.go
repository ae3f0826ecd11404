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
	"iter"
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
	// minSecret and maxSecret limit existing secrets. RFC 4226 R6 requires 128 bits, but many
	// tokens, and secrets from common software, have 80.
	minSecret, maxSecret = 10, 64
	codeDigits           = 6
)

var base32NoPad = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTP is an authenticator to add.
type NewTOTP struct {
	// Name distinguishes a user's authenticators and may be empty. It follows textRule.
	Name string
	// Secret is an existing secret in base32. If empty, a random one of 160 bits is generated.
	Secret string
	// Period is 30 or 60 seconds; 0 means 30.
	Period int
}

// CheckTOTP proves the second factor of a user who has proved the first: a 6-digit code of one
// of the user's authenticators, for the current step, the previous or the next. Each step is
// accepted once, even for two simultaneous requests: a used code, or a code of an older step, is
// wrong.
//
// Errors: ErrWrong (ErrReplayed for a used code), *ThrottledError, ErrLocked, ErrNoFactor. Any
// other error is a fault on our side, and the attempt was given back. Too many wrong codes block the
// user's codes from all networks, because the sender has the password.
func (s *Service) CheckTOTP(ctx context.Context, user idp.UserID, code string, clientIP netip.Addr) error {
	return s.CompleteTOTP(ctx, user, code, clientIP, SignIn{})
}

// SignIn is the data that a sign-in records once its second factor is proved.
type SignIn struct {
	// EmailMark is the Service.EmailMark of the email address that the user entered.
	EmailMark string
	// Remember is the browser to remember, nil for none.
	Remember *RememberRequest
	// Browser is the browser of the sign-in, nil if it is not recorded.
	Browser *BrowserUse
}

// BrowserUse is a sign-in in a browser.
type BrowserUse struct {
	// Hashes are those of the browser's cookie. NewHash is the one to record for a browser that is
	// not known to the user.
	Hashes  [][]byte
	NewHash []byte
	// KnownHash and IsNotable are results. KnownHash is the one of Hashes under which the browser
	// was known to the user, nil if it was not. IsNotable is true if it was not, and the user signed
	// in before in another one.
	KnownHash []byte
	IsNotable bool
}

// record adds the browser to those of the user.
func (b *BrowserUse) record(u *idp.User, now time.Time) {
	if b == nil {
		return
	}
	b.KnownHash = u.KnowsBrowser(b.Hashes)
	b.IsNotable = b.KnownHash == nil && len(u.Browsers) > 0
	u.UseBrowser(b.Hashes, b.NewHash, now)
}

// recordSignIn records the data of a sign-in whose second factor was proved.
func (s *Service) recordSignIn(u *idp.User, signIn SignIn, now time.Time) {
	s.recordSignInEmail(u, signIn.EmailMark, now)
	signIn.Browser.record(u, now)
	if signIn.Remember != nil {
		signIn.Remember.addDevice(u, now)
	}
}

// newBrowserCounters returns the counters that record the browser of a sign-in as known to the user
// under each email address.
func (s *Service) newBrowserCounters(u *idp.User, b *BrowserUse) (counters []counter) {
	if b == nil {
		return nil
	}
	hash := b.KnownHash
	if hash == nil {
		hash = b.NewHash
	}
	for email := range listCountedEmails(u) {
		counters = append(counters, s.newKnownBrowserCounter(email, hash))
	}
	return counters
}

// listCountedEmails yields the email addresses of a user in the form under which attempts are
// counted.
func listCountedEmails(u *idp.User) iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := make(map[string]bool, len(u.Emails))
		for _, e := range u.Emails {
			email := normalizeCountedEmail(e.Address)
			if !seen[email] && !yield(email) {
				return
			}
			seen[email] = true
		}
	}
}

// CompleteTOTP works like CheckTOTP, for the code that completes a sign-in. It records the data of
// the sign-in in the same step, so that a removal of devices either includes this device or
// happens before it.
func (s *Service) CompleteTOTP(ctx context.Context, user idp.UserID, code string, clientIP netip.Addr, signIn SignIn) error {
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
	counters := []counter{s.newCodeCounter(user), s.newNetworkCounter(clientIP)}
	if _, err := s.reserve(ctx, counters); err != nil {
		return err
	}
	now := s.Clock.Now()
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if err := acceptCode(u, code, now); err != nil {
			return err
		}
		s.recordSignIn(u, signIn, now)
		return nil
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrWrong), errors.Is(err, ErrLocked):
		return err
	default:
		return errors.Join(fmt.Errorf("check code: %w", err), s.release(ctx, counters))
	}
	return s.settle(ctx, append(counters, s.newBrowserCounters(u, signIn.Browser)...))
}

// acceptCode finds the step that the code belongs to and marks it as used. It runs inside the
// store's update, so that comparing and marking are one step. It always compares all codes, so
// that the time does not depend on which one matches.
func acceptCode(u *idp.User, code string, now time.Time) error {
	if u.IsLocked() {
		return ErrLocked
	}
	matchIndex, matchStep, isReplayed := -1, int64(0), false
	for i, t := range u.TOTPs {
		if t.Period <= 0 {
			continue // an invalid record must not divide by zero
		}
		step := now.Unix() / int64(t.Period)
		for _, candidate := range []int64{step - 1, step, step + idp.TOTPStepsAhead} {
			want, err := computeCode(t.Secret, candidate)
			if err != nil {
				return err
			}
			isEqual := subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1
			if isEqual && candidate > t.LastStep && matchIndex < 0 {
				matchIndex, matchStep = i, candidate
			}
			isReplayed = isReplayed || isEqual && candidate <= t.LastStep
		}
	}
	if matchIndex < 0 && isReplayed {
		return ErrReplayed
	}
	if matchIndex < 0 {
		return ErrWrong
	}
	u.TOTPs[matchIndex].LastStep = matchStep
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

// newTOTP checks the values of an authenticator and sets the missing ones.
func newTOTP(authenticator NewTOTP, now time.Time) (idp.TOTP, error) {
	name, ok := cleanText(authenticator.Name)
	t := idp.TOTP{Name: name, Period: authenticator.Period, AddedAt: now}
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
	if authenticator.Secret == "" {
		t.Secret = make([]byte, secretSize)
		rand.Read(t.Secret)
		return t, nil
	}
	text := strings.TrimRight(strings.ToUpper(strings.Join(strings.Fields(authenticator.Secret), "")), "=")
	secret, err := base32NoPad.DecodeString(text)
	if err != nil {
		return t, &InputError{"totp_secret", "invalid", "must be base32"}
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return t, &InputError{"totp_secret", "invalid", fmt.Sprintf("must have %d to %d bytes (at least %d characters of base32), but has %d", minSecret, maxSecret, minSecret*8/5, len(secret))}
	}
	t.Secret = secret
	return t, nil
}

// newEnrolment returns the data to set up an authenticator. Its URL has the key URI format, which
// all authenticators accept.
func (s *Service) newEnrolment(t idp.TOTP, email string) *Enrolment {
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
		Path:   "/" + issuer + ":" + email,
		// Some authenticators show a "+" literally.
		RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20"),
	}
	return &Enrolment{Secret: secret, URL: u.String()}
}
