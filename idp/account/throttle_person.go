package account

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"vernal/idp"
)

// personCounter applies Limits.Account to a person, whichever of their addresses
// is used. key is the UserID.
func (s *Service) personCounter(key string) counter {
	return counter{name: "person", key: s.key("person", key, netip.Addr{}), limit: s.limits().Account}
}

// reserveForPerson counts an attempt on the person, else three addresses would
// be three times the guesses. Whoever is refused must not be told, as the answer
// at one address would tell of the attempts at another one, and so that both are
// one person's: they get what a wrong password gets, be it right. For the same
// reason an attempt is counted and written for everybody, also where it cannot
// refuse: for people with one address, whose own counter says so openly, and for
// addresses that nobody has. A network that is known for any of the person's
// addresses is exempt.
//
// It returns what to give back.
func (s *Service) reserveForPerson(ctx context.Context, u *idp.User, address string, from netip.Addr, known bool) (reserved []counter, refused bool, err error) {
	if known {
		return nil, false, nil
	}
	key := "nobody\x00" + address
	if u != nil {
		key = string(u.ID)
	}
	c := s.personCounter(key)
	c.at = s.Clock.Now()
	over := false
	err = s.Store.UpdateThrottle(ctx, c.key, c.at, func(t *idp.Throttle) error {
		over = c.take(t, c.at) != nil
		return nil // written even so: the time would tell
	})
	if err != nil {
		return nil, false, fmt.Errorf("count attempt: %w", err)
	}
	if !over {
		return []counter{c}, false, nil
	}
	if u == nil || len(u.Emails) < 2 {
		return nil, false, nil
	}
	for _, e := range u.Emails {
		if known, err = s.known(ctx, strings.ToLower(e.Address), from); known || err != nil {
			return nil, false, err
		}
	}
	s.Log.LogAttrs(ctx, slog.LevelWarn, "too many passwords for a person with several addresses; none is taken from a network that they have not used", slog.String("user", string(u.ID)))
	return nil, true, nil
}
