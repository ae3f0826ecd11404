package account

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

const (
	// RecoveryCodeCount is the number of codes of a set.
	RecoveryCodeCount = 10
	// recoveryCodeSize is the length of a code: 60 random bits, 12 characters. Codes of fewer
	// than 112 bits must be salted and hashed like passwords (NIST SP 800-63B §5.1.2.2).
	recoveryCodeSize       = 12
	recoveryCodeGroup      = 4
	recoveryCodeIterations = 100_000
)

// recoveryAlphabet is Crockford's base32: no letter in it looks like a digit.
var recoveryAlphabet = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// RecoverySetMark identifies the user's current set of recovery codes, or that there is none.
func (s *Service) RecoverySetMark(u *idp.User) string {
	if u.RecoveryCodes == nil {
		return "none"
	}
	return hex.EncodeToString(s.Sealer.Hash("recovery-set", u.RecoveryCodes.Salt)[:8])
}

// ReplaceRecoverySet works like ReplaceRecoveryCodes if the user's current set has the mark. If not,
// the error matches ErrOutdated: a form that is sent twice does not replace the codes that the user
// has just saved.
func (s *Service) ReplaceRecoverySet(ctx context.Context, user idp.UserID, mark string, event idp.AuditEvent) ([]string, error) {
	return s.replaceRecoveryCodes(ctx, user, event, func(u *idp.User) error {
		switch {
		case u.IsLocked():
			return ErrLocked
		case s.RecoverySetMark(u) != mark:
			return ErrOutdated
		}
		return nil
	})
}

// ReplaceRecoveryCodes gives the user a new set of recovery codes and returns it in the form to
// show, in groups: "8F3K-22XM-PQ7D". The codes are disclosed only here. The earlier set no longer
// works.
func (s *Service) ReplaceRecoveryCodes(ctx context.Context, user idp.UserID, event idp.AuditEvent) ([]string, error) {
	return s.replaceRecoveryCodes(ctx, user, event, func(*idp.User) error { return nil })
}

// replaceRecoveryCodes replaces the set of a user whom check accepts, in the same step.
func (s *Service) replaceRecoveryCodes(ctx context.Context, user idp.UserID, event idp.AuditEvent, check func(*idp.User) error) ([]string, error) {
	set := &idp.RecoveryCodes{Salt: make([]byte, 16), Iterations: recoveryCodeIterations, CreatedAt: s.Clock.Now()}
	rand.Read(set.Salt)
	var codes []string
	for range RecoveryCodeCount {
		code := newRecoveryCode()
		hash, err := hashRecoveryCode(set, code)
		if err != nil {
			return nil, err
		}
		set.Hashes = append(set.Hashes, hash)
		codes = append(codes, formatRecoveryCode(code))
	}
	event.Kind, event.Outcome, event.User = idp.AuditUserRecoveryCodes, "ok", user
	err := s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if err := check(u); err != nil {
			return err
		}
		u.RecoveryCodes, u.UpdatedAt = set, s.Clock.Now()
		return nil
	}, event)
	if err != nil {
		return nil, fmt.Errorf("replace recovery codes: %w", err)
	}
	return codes, nil
}

func newRecoveryCode() string {
	var random [8]byte
	rand.Read(random[:])
	return recoveryAlphabet.EncodeToString(random[:])[:recoveryCodeSize]
}

func formatRecoveryCode(code string) string {
	var groups []string
	for group := range slices.Chunk([]byte(code), recoveryCodeGroup) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, "-")
}

// normalRecoveryCode returns the hashed form of a typed code: without spaces and hyphens, in upper
// case, with the letters that users confuse with digits replaced. ok is false for a text that
// cannot be a code.
func normalRecoveryCode(text string) (code string, ok bool) {
	if len(text) > 64 {
		return "", false
	}
	code = strings.NewReplacer("-", "", " ", "", "\u00a0", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	if len(code) != recoveryCodeSize {
		return "", false
	}
	_, err := recoveryAlphabet.DecodeString(code + "0") // 13 characters are 8 bytes
	return code, err == nil
}

func hashRecoveryCode(set *idp.RecoveryCodes, code string) ([]byte, error) {
	hash, err := pbkdf2.Key(sha256.New, code, set.Salt, set.Iterations, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("hash recovery code: %w", err)
	}
	return hash, nil
}

// UseRecoveryCode proves the second factor of a user who has proved the first with one of the
// user's recovery codes, which is used up. It records the data of the sign-in in the same step.
//
// Errors: ErrWrong, *ThrottledError, ErrLocked, ErrNoFactor. Codes and recovery codes share one
// counter, because a guesser could otherwise try twice as many. Any other error is a fault, and the
// attempt was given back.
func (s *Service) UseRecoveryCode(ctx context.Context, user idp.UserID, typed string, from netip.Addr, in SignIn, event idp.AuditEvent) error {
	code, ok := normalRecoveryCode(typed)
	if !ok {
		return ErrWrong // not a guess, so it does not count
	}
	u, err := s.Store.User(ctx, user)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return ErrWrong // deleted between the two factors
	case err != nil:
		return fmt.Errorf("check recovery code: %w", err)
	case u.IsLocked():
		return ErrLocked
	case u.RecoveryCodes == nil || len(u.RecoveryCodes.Hashes) == 0:
		return ErrNoFactor
	}
	counters := []counter{s.newCodeCounter(user), s.newNetworkCounter(from)}
	if _, err := s.reserve(ctx, counters); err != nil {
		return err
	}
	hash, err := hashRecoveryCode(u.RecoveryCodes, code)
	if err != nil {
		return errors.Join(err, s.release(ctx, counters))
	}
	event.Kind, event.Outcome, event.User = idp.AuditUserUseRecoveryCode, "ok", user
	now := s.Clock.Now()
	err = s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		if u.IsLocked() {
			return ErrLocked
		}
		if !u.UseRecoveryCode(hash) { // also if the set was replaced since
			return ErrWrong
		}
		u.ProofingPausedAt = time.Time{}
		s.recordSignIn(u, in, now)
		return nil
	}, event)
	switch {
	case err == nil:
		return s.settle(ctx, append(counters, s.newBrowserCounters(u, in.Browser)...))
	case errors.Is(err, ErrWrong), errors.Is(err, ErrLocked):
		return err
	}
	return errors.Join(fmt.Errorf("use recovery code: %w", err), s.release(ctx, counters))
}
