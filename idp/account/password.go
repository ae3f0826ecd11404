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
// Any other error is a fault on our side, and the attempt was given back. Every ErrWrong takes
// equally long. A hash of another algorithm or a lower cost is replaced after the right password.
func (s *Service) CheckPassword(ctx context.Context, email, password string, clientIP netip.Addr) (*idp.User, error) {
	return s.CheckBrowserPassword(ctx, email, password, clientIP, nil)
}

// CheckBrowserPassword works like CheckPassword, for a browser whose cookie has the hashes. If the
// browser is known to the user, guesses from other browsers do not block it.
func (s *Service) CheckBrowserPassword(ctx context.Context, email, password string, clientIP netip.Addr, browsers [][]byte) (*idp.User, error) {
	countedEmail := normalizeCountedEmail(email)
	from := origin{clientIP: clientIP, browsers: browsers}
	known, err := s.findFamiliarity(ctx, from, countedEmail)
	if err != nil {
		return nil, err
	}
	// An attempt that will be refused must not wait in the queue, and must cost as little
	// as possible in a flood. It is counted only once it has a permit.
	attempt := Attempt{Account: countedEmail, ClientIP: clientIP, IsKnownNetwork: known.isExempt()}
	if err := s.Hasher.queue.checkAdmission(attempt); err != nil {
		return nil, err
	}
	counters := s.newPasswordCounters(countedEmail, clientIP, known)
	if err := s.checkBlocked(ctx, counters); err != nil {
		return nil, err
	}
	release, err := s.Hasher.WaitForPermit(ctx, attempt)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := s.Prepare(ctx); err != nil {
		return nil, err
	}
	u, effort, err := s.tryPassword(ctx, countedEmail, password, from, known, counters)
	if errors.Is(err, ErrWrong) {
		release()
		// A client that disconnects now has already made its guess.
		s.Hasher.Delay(ctx, effort)
		s.recordCost(ctx, effort.cost)
	}
	return u, err
}

// tryPassword does the work of CheckPassword for an attempt that has a permit.
func (s *Service) tryPassword(ctx context.Context, countedEmail, password string, from origin, known familiarity, counters []counter) (*idp.User, Effort, error) {
	// A block may have begun while the attempt waited. A refusal must not depend on the
	// owner of the email address.
	if err := s.checkBlocked(ctx, counters); err != nil {
		return nil, Effort{}, err
	}
	u, err := s.findEmailOwner(ctx, countedEmail)
	if err != nil {
		return nil, Effort{}, err
	}
	counters = append(counters, s.newUserCounters(u, countedEmail, known.isExempt())...)
	isOver, err := s.reserve(ctx, counters)
	if err != nil {
		return nil, Effort{}, err
	}
	target := u
	if isOver {
		counters = counters[:len(counters)-1] // the last one did not count the attempt
		isRefused, err := s.mustRefuseUser(ctx, u, from)
		if err != nil {
			return nil, Effort{}, errors.Join(err, s.release(ctx, counters))
		}
		if isRefused {
			target = nil // refusing a right password must take equally long
		}
	}
	ok, effort, err := s.verifyPassword(ctx, target, password)
	if err != nil {
		return nil, effort, errors.Join(err, s.release(ctx, counters))
	}
	if !ok {
		return nil, effort, &userError{err: ErrWrong, user: u}
	}
	counters = append(counters, s.newKnownCounter(countedEmail, from.clientIP))
	if hash := u.KnowsBrowser(from.browsers); hash != nil {
		counters = append(counters, s.newKnownBrowserCounter(countedEmail, hash))
	}
	if err := s.settle(ctx, counters); err != nil {
		return nil, effort, err
	}
	if u.IsLocked() {
		return nil, effort, &userError{err: ErrLocked, user: u}
	}
	if s.Hasher.NeedsRehash(u.PasswordHash) {
		s.rehashPassword(ctx, u, password)
	}
	return u, effort, nil
}

// newUserCounters returns the counters that also count an attempt for the user. Without them, three
// email addresses would allow three times the guesses. A refusal must not be visible, because it
// would disclose attempts at another of the user's email addresses, and that both belong to one
// user. A refused attempt therefore gets the answer to a wrong password, even if the password is
// right. For the same reason every attempt is counted and written, even if it cannot be refused:
// for users with one email address, whose own counter refuses openly, and for unknown email
// addresses. A network or browser that is known for any
// of the user's email addresses is exempt.
func (s *Service) newUserCounters(u *idp.User, countedEmail string, isExempt bool) []counter {
	switch {
	case isExempt:
		return nil
	case u == nil:
		return []counter{s.newUserCounter("nobody\x00" + countedEmail)}
	}
	return []counter{s.newUserCounter(string(u.ID))}
}

// mustRefuseUser reports whether to refuse an attempt on a user whose counter is exceeded.
func (s *Service) mustRefuseUser(ctx context.Context, u *idp.User, from origin) (bool, error) {
	if u == nil || len(u.Emails) < 2 {
		return false, nil
	}
	var emails []string
	for _, e := range u.Emails {
		emails = append(emails, strings.ToLower(e.Address))
	}
	if known, err := s.findFamiliarity(ctx, from, emails...); known.isExempt() || err != nil {
		return false, err
	}
	s.Log.LogAttrs(ctx, slog.LevelWarn, "too many wrong passwords for a user with several email addresses: only networks and browsers that the user has used are accepted", slog.String("user", string(u.ID)))
	return true, nil
}

// userError is ErrWrong or ErrLocked with the user, for the audit trail.
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

// normalizeCountedEmail returns the form of an email address under which attempts are counted:
// the form used for look-ups, limited in length. The input need not be a valid email address.
func normalizeCountedEmail(email string) string {
	email = strings.TrimSpace(email)
	if len(email) > MaxEmail {
		email = email[:MaxEmail]
	}
	return strings.ToLower(strings.ToValidUTF8(email, "?"))
}

// findEmailOwner returns the user with the email address, or nil.
func (s *Service) findEmailOwner(ctx context.Context, countedEmail string) (*idp.User, error) {
	u, err := s.Store.UserByEmail(ctx, countedEmail)
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
		ok, effort, err := s.Hasher.Verify(ctx, u.PasswordHash, password)
		if !errors.Is(err, errPHC) {
			return ok, effort, err
		}
		s.Log.ErrorContext(ctx, "password hash of an account cannot be read, set a new password", "user", u.ID, "err", err)
	}
	effort, err := s.Hasher.SpendEffort(ctx, password)
	return false, effort, err
}

// rehashPassword replaces the hash that was just verified. A failure is harmless: the old hash stays
// valid and the next sign-in tries again.
func (s *Service) rehashPassword(ctx context.Context, u *idp.User, password string) {
	oldHash := u.PasswordHash
	newHash, err := s.Hasher.hashWithPermit(ctx, password)
	if err == nil {
		err = s.Store.UpdateUser(ctx, u.ID, func(u *idp.User) error {
			// The password may have been changed since it was compared.
			if u.PasswordHash == oldHash {
				u.PasswordHash = newHash
			}
			return nil
		})
	}
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "password hash was not replaced, the next sign-in tries again", slog.String("user", string(u.ID)), slog.Any("err", err))
		return
	}
	u.PasswordHash = newHash
}
