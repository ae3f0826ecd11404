package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"vernal/idp"
)

// CheckPassword proves the first factor: it returns the user with this email address and
// password. The user may still need a second factor.
//
// Errors: ErrWrong, *ThrottledError, *BusyError, ErrLocked (right password, locked account).
// Any other error is a fault, and the attempt was given back. Every ErrWrong takes equally
// long. A hash of another form or a lower cost is replaced after the right password.
func (s *Service) CheckPassword(ctx context.Context, email, password string, from netip.Addr) (*idp.User, error) {
	address := normalizeCountedEmail(email)
	known, err := s.isKnownNetwork(ctx, from, address)
	if err != nil {
		return nil, err
	}
	// An attempt that will be refused must not wait in the room, and must cost as little
	// as possible in a flood. It is counted only once it has its turn.
	attempt := Attempt{Account: address, From: from, Known: known}
	if err := s.Hasher.queue.hasRoom(attempt); err != nil {
		return nil, err
	}
	counters := s.newPasswordCounters(address, from, known)
	if err := s.checkBlocked(ctx, counters); err != nil {
		return nil, err
	}
	leave, err := s.Hasher.Enter(ctx, attempt)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.Prepare(ctx); err != nil {
		return nil, err
	}
	u, spent, err := s.tryPassword(ctx, address, password, from, known, counters)
	if errors.Is(err, ErrWrong) {
		leave()
		// A client that disconnects now has still made its guess.
		s.Hasher.Delay(ctx, spent)
		s.learnWork(ctx, spent.cost)
	}
	return u, err
}

// tryPassword does the work of CheckPassword for an attempt that has its turn.
func (s *Service) tryPassword(ctx context.Context, address, password string, from netip.Addr, known bool, counters []counter) (*idp.User, Effort, error) {
	// A block may have begun while the attempt waited. A refusal must not depend on the
	// owner of the email address.
	if err := s.checkBlocked(ctx, counters); err != nil {
		return nil, Effort{}, err
	}
	u, err := s.findEmailOwner(ctx, address)
	if err != nil {
		return nil, Effort{}, err
	}
	counters = append(counters, s.newUserCounters(u, address, known)...)
	isOver, err := s.reserve(ctx, counters)
	if err != nil {
		return nil, Effort{}, err
	}
	whose := u
	if isOver {
		counters = counters[:len(counters)-1] // the last one did not count the attempt
		refused, err := s.mustRefuseUser(ctx, u, from)
		if err != nil {
			return nil, Effort{}, errors.Join(err, s.release(ctx, counters))
		}
		if refused {
			whose = nil // refusing a right password must take equally long
		}
	}
	ok, spent, err := s.verifyPassword(ctx, whose, password)
	if err != nil {
		return nil, spent, errors.Join(err, s.release(ctx, counters))
	}
	if !ok {
		return nil, spent, &userError{err: ErrWrong, user: u}
	}
	if err := s.settle(ctx, append(counters, s.newKnownCounter(address, from))); err != nil {
		return nil, spent, err
	}
	if u.IsLocked() {
		return nil, spent, &userError{err: ErrLocked, user: u}
	}
	if s.Hasher.NeedsRehash(u.PasswordHash) {
		s.rehashPassword(ctx, u, password)
	}
	return u, spent, nil
}

// newUserCounters returns the counters that count an attempt for the user as well. Without them, three
// email addresses would allow three times the guesses. A refusal must not be visible, because it
// would disclose attempts at another of the user's email addresses, and that both belong to one
// user. A refused attempt therefore gets the answer to a wrong password, even if the password is
// right. For the same reason every attempt is counted and written, also where it cannot be refused:
// for users with one email address, whose own counter refuses openly, and for unknown email
// addresses. A network that is known for any of the user's email addresses is exempt.
func (s *Service) newUserCounters(u *idp.User, address string, known bool) []counter {
	switch {
	case known:
		return nil
	case u == nil:
		return []counter{s.newUserCounter("nobody\x00" + address)}
	}
	return []counter{s.newUserCounter(string(u.ID))}
}

// mustRefuseUser reports whether to refuse an attempt on a user whose counter is exceeded.
func (s *Service) mustRefuseUser(ctx context.Context, u *idp.User, from netip.Addr) (bool, error) {
	if u == nil || len(u.Emails) < 2 {
		return false, nil
	}
	var addresses []string
	for _, e := range u.Emails {
		addresses = append(addresses, strings.ToLower(e.Address))
	}
	if known, err := s.isKnownNetwork(ctx, from, addresses...); known || err != nil {
		return false, err
	}
	s.Log.LogAttrs(ctx, slog.LevelWarn, "too many passwords for a user with several email addresses: only networks that the user has used are accepted", slog.String("user", string(u.ID)))
	return true, nil
}

// userError is ErrWrong or ErrLocked for the caller, and carries the user for the audit trail.
type userError struct {
	err  error
	user *idp.User
}

func (e *userError) Error() string { return e.err.Error() }
func (e *userError) Unwrap() error { return e.err }

// FindErrorUser returns the user concerned by an error of CheckPassword, "" if the email address has
// no account. Only the audit trail and the log may use it. Pages must not depend on it.
func FindErrorUser(err error) idp.UserID {
	if e, ok := errors.AsType[*userError](err); ok && e.user != nil {
		return e.user.ID
	}
	return ""
}

// normalizeCountedEmail returns the form of an email address under which attempts are counted: the form
// used for look-ups, limited in length, even if it cannot be a valid email address.
func normalizeCountedEmail(email string) string {
	email = strings.TrimSpace(email)
	if len(email) > MaxEmail {
		email = email[:MaxEmail]
	}
	return strings.ToLower(strings.ToValidUTF8(email, "?"))
}

// findEmailOwner returns the user with the email address, or nil.
func (s *Service) findEmailOwner(ctx context.Context, address string) (*idp.User, error) {
	u, err := s.Store.UserByEmail(ctx, address)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up account: %w", err)
	}
	return u, nil
}

// verifyPassword compares the password. For an email address without an account, and for a user
// without a usable hash, it spends the effort of a hash of the current cost and returns false.
func (s *Service) verifyPassword(ctx context.Context, u *idp.User, password string) (bool, Effort, error) {
	if u != nil && u.PasswordHash != "" {
		ok, spent, err := s.Hasher.Verify(ctx, u.PasswordHash, password)
		if !errors.Is(err, errPHC) {
			return ok, spent, err
		}
		s.Log.ErrorContext(ctx, "password hash of an account cannot be read", "user", u.ID, "err", err)
	}
	spent, err := s.Hasher.SpendEffort(ctx, password)
	return false, spent, err
}

// rehashPassword replaces the hash that was just verified. A failure is harmless: the old hash stays
// valid and the next sign-in tries again.
func (s *Service) rehashPassword(ctx context.Context, u *idp.User, password string) {
	old := u.PasswordHash
	fresh, err := s.Hasher.hashWithPermit(ctx, password)
	if err == nil {
		err = s.Store.UpdateUser(ctx, u.ID, func(u *idp.User) error {
			// The password may have been changed since it was compared.
			if u.PasswordHash == old {
				u.PasswordHash = fresh
			}
			return nil
		})
	}
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "password hash was not renewed", slog.String("user", string(u.ID)), slog.Any("err", err))
		return
	}
	u.PasswordHash = fresh
}
