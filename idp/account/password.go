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

// CheckPassword proves the first factor: it returns the user whose email address
// and password these are. The user may still need a second factor.
//
// Errors: ErrWrong, *ThrottledError, *BusyError, ErrLocked (right password, locked
// account); any other is a fault, and the attempt was given back. Every ErrWrong
// takes as long. A hash of another form or a lower cost is replaced in passing.
func (s *Service) CheckPassword(ctx context.Context, email, password string, from netip.Addr) (*idp.User, error) {
	address := throttleAddress(email)
	known, err := s.isKnown(ctx, from, address)
	if err != nil {
		return nil, err
	}
	// An attempt that will be refused must not wait in the room, and costs as little as
	// can be in a flood. It is counted only once it has its turn.
	attempt := Attempt{Account: address, From: from, Known: known}
	if err := s.Hasher.room.hasRoom(attempt); err != nil {
		return nil, err
	}
	counters := s.passwordCounters(address, from, known)
	if err := s.checkBlocked(ctx, counters); err != nil {
		return nil, err
	}
	leave, err := s.Hasher.Enter(ctx, attempt)
	if err != nil {
		return nil, err
	}
	defer leave()
	u, spent, err := s.tryPassword(ctx, address, password, from, known, counters)
	if errors.Is(err, ErrWrong) {
		leave()
		// A client that goes now has made its guess all the same.
		s.Hasher.Delay(ctx, spent)
		s.learnWork(ctx, spent.work)
	}
	return u, err
}

// tryPassword is CheckPassword for an attempt that has its turn.
func (s *Service) tryPassword(ctx context.Context, address, password string, from netip.Addr, known bool, counters []counter) (*idp.User, Effort, error) {
	// Blocks that began while it waited: a refusal must not depend on whose address it is.
	if err := s.checkBlocked(ctx, counters); err != nil {
		return nil, Effort{}, err
	}
	u, err := s.emailOwner(ctx, address)
	if err != nil {
		return nil, Effort{}, err
	}
	counters = append(counters, s.personCounters(u, address, known)...)
	isOver, err := s.reserve(ctx, counters)
	if err != nil {
		return nil, Effort{}, err
	}
	whose := u
	if isOver {
		counters = counters[:len(counters)-1] // which did not count it
		refused, err := s.refusesPerson(ctx, u, from)
		if err != nil {
			return nil, Effort{}, errors.Join(err, s.release(ctx, counters))
		}
		if refused {
			whose = nil // to say no to a right password takes no less
		}
	}
	ok, spent, err := s.verifyPassword(ctx, whose, password)
	if err != nil {
		return nil, spent, errors.Join(err, s.release(ctx, counters))
	}
	if !ok {
		return nil, spent, &userError{err: ErrWrong, user: u}
	}
	if err := s.settle(ctx, append(counters, s.knownCounter(address, from))); err != nil {
		return nil, spent, err
	}
	if u.Locked() {
		return nil, spent, &userError{err: ErrLocked, user: u}
	}
	if s.Hasher.NeedsRehash(u.PasswordHash) {
		s.rehash(ctx, u, password)
	}
	return u, spent, nil
}

// personCounters are those that count an attempt on the person too, else three addresses
// would be three times the guesses. Whoever is refused must not be told, as the answer at
// one address would tell of the attempts at another one, and so that both are one
// person's: they get what a wrong password gets, be it right. For the same reason an
// attempt is counted and written for everyone, also where it cannot refuse: for people
// with one address, whose own counter says so openly, and for addresses that no one has.
// A network that is known for any of the person's addresses is exempt.
func (s *Service) personCounters(u *idp.User, address string, known bool) []counter {
	switch {
	case known:
		return nil
	case u == nil:
		return []counter{s.personCounter("nobody\x00" + address)}
	}
	return []counter{s.personCounter(string(u.ID))}
}

// refusesPerson decides about an attempt on a person whose counter is over.
func (s *Service) refusesPerson(ctx context.Context, u *idp.User, from netip.Addr) (bool, error) {
	if u == nil || len(u.Emails) < 2 {
		return false, nil
	}
	var addresses []string
	for _, e := range u.Emails {
		addresses = append(addresses, strings.ToLower(e.Address))
	}
	if known, err := s.isKnown(ctx, from, addresses...); known || err != nil {
		return false, err
	}
	s.Log.LogAttrs(ctx, slog.LevelWarn, "too many passwords for a person with several addresses; none is taken from a network that they have not used", slog.String("user", string(u.ID)))
	return true, nil
}

// userError is ErrWrong or ErrLocked for the caller, and remembers the user for the
// audit trail.
type userError struct {
	err  error
	user *idp.User
}

func (e *userError) Error() string { return e.err.Error() }
func (e *userError) Unwrap() error { return e.err }

// UserOf is the user that an error of CheckPassword is about, "" if the email
// address has no account. It is for the audit trail and the log alone: no page may
// differ by it.
func UserOf(err error) idp.UserID {
	if e, ok := errors.AsType[*userError](err); ok && e.user != nil {
		return e.user.ID
	}
	return ""
}

// throttleAddress is the form of an address under which attempts are counted:
// that of a look-up, bounded, whether or not it is one that anybody could have.
func throttleAddress(email string) string {
	email = strings.TrimSpace(email)
	if len(email) > MaxEmail {
		email = email[:MaxEmail]
	}
	return strings.ToLower(strings.ToValidUTF8(email, "?"))
}

// emailOwner is the person who has the address; nil if nobody has it.
func (s *Service) emailOwner(ctx context.Context, address string) (*idp.User, error) {
	u, err := s.Store.UserByEmail(ctx, address)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up account: %w", err)
	}
	return u, nil
}

// verifyPassword compares. For an email address without an account, and for a user
// without a usable hash, it spends what a hash of the current cost takes, and says no.
func (s *Service) verifyPassword(ctx context.Context, u *idp.User, password string) (bool, Effort, error) {
	if u != nil && u.PasswordHash != "" {
		ok, spent, err := s.Hasher.Verify(ctx, u.PasswordHash, password)
		if !errors.Is(err, errPHC) {
			return ok, spent, err
		}
		s.Log.ErrorContext(ctx, "password hash of an account cannot be read", "user", u.ID, "err", err)
	}
	spent, err := s.Hasher.Burn(ctx, password)
	return false, spent, err
}

// rehash replaces the hash that was just verified. A failure costs nothing: the
// old hash stays good and the next sign-in tries again.
func (s *Service) rehash(ctx context.Context, u *idp.User, password string) {
	old := u.PasswordHash
	fresh, err := s.Hasher.hashInTurn(ctx, password)
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
