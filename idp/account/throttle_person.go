package account

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"

	"vernal/idp"
)

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
