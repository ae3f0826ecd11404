package account

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
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

// ReplaceRecoveryCodes gives the user a new set of recovery codes and returns it in the form to
// show, in groups: "8F3K-22XM-PQ7D". The codes are disclosed only here. The earlier set no longer
// works.
func (s *Service) ReplaceRecoveryCodes(ctx context.Context, user idp.UserID, event idp.AuditEvent) ([]string, error) {
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
		u.RecoveryCodes, u.UpdatedAt = set, s.Clock.Now()
		return nil
	}, event)
	if err != nil {
		return nil, fmt.Errorf("replace recovery codes: %w", err)
	}
	return codes, nil
}

// RemoveRecoveryCodes removes a user's recovery codes. Errors: idp.ErrNotFound.
func (s *Service) RemoveRecoveryCodes(ctx context.Context, user idp.UserID, actor string) error {
	event := newChangeEvent(idp.AuditUserRecoveryCodes, user, actor)
	event.Detail = map[string]string{"count": "0"}
	err := s.Store.UpdateUser(ctx, user, func(u *idp.User) error {
		u.RecoveryCodes, u.UpdatedAt = nil, s.Clock.Now()
		return nil
	}, event)
	if err != nil {
		return fmt.Errorf("remove recovery codes: %w", err)
	}
	return nil
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

// IsRecoveryCode reports whether a typed text has the form of a recovery code.
func IsRecoveryCode(text string) bool {
	_, ok := normalRecoveryCode(text)
	return ok
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
// Errors: ErrWrong, *ThrottledError, ErrLocked. A user without recovery codes gets ErrWrong after the
// same work, so that the answer does not disclose whether there are any. Codes and recovery codes
// share one counter, because a guesser could otherwise try twice as many. Any other error is a
// fault, and the attempt was given back.
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
	}
	counters := []counter{s.newCodeCounter(user), s.newNetworkCounter(from)}
	if _, err := s.reserve(ctx, counters); err != nil {
		return err
	}
	set := u.RecoveryCodes
	if set == nil {
		set = &idp.RecoveryCodes{Salt: make([]byte, 16), Iterations: recoveryCodeIterations}
	}
	hash, err := hashRecoveryCode(set, code)
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
		s.recordSignInEmail(u, in.EmailMark, now)
		if in.Remember != nil {
			in.Remember.addDevice(u, now)
		}
		return nil
	}, event)
	switch {
	case err == nil:
		return s.settle(ctx, counters)
	case errors.Is(err, ErrWrong), errors.Is(err, ErrLocked):
		return err
	case errors.Is(err, idp.ErrNotFound):
		return ErrWrong // deleted at this moment
	}
	return errors.Join(fmt.Errorf("use recovery code: %w", err), s.release(ctx, counters))
}
