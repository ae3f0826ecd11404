package account

import (
	"context"
	"fmt"
	"net/netip"

	"vernal/idp"
)

// knownKey notes that the right password for the address came from a network.
func (s *Service) knownKey(address string, from netip.Addr) string {
	return s.key("known", address, from)
}

// known reports whether the right password came from there lately. It is read
// for addresses that nobody has too.
func (s *Service) known(ctx context.Context, address string, from netip.Addr) (bool, error) {
	t, err := s.Store.Throttle(ctx, s.knownKey(address, from), s.Clock.Now())
	if err != nil {
		return false, fmt.Errorf("look up network: %w", err)
	}
	return t.Count > 0, nil
}

// succeeded settles the counters after the right password: failures of this
// network with this account are forgotten; the account's and the network's only
// lose the attempt itself, else somebody with an account of their own could
// clear the network's count between guesses at others.
func (s *Service) succeeded(ctx context.Context, address string, from netip.Addr, counters []counter) error {
	if err := s.settle(ctx, counters[:2], counters[2:]); err != nil {
		return err
	}
	now := s.Clock.Now()
	err := s.Store.UpdateThrottle(ctx, s.knownKey(address, from), now, func(t *idp.Throttle) error {
		t.Count, t.FirstAt, t.ExpiresAt = 1, now, now.Add(s.limits().KnownFor)
		return nil
	})
	if err != nil {
		return fmt.Errorf("note network: %w", err)
	}
	return nil
}
