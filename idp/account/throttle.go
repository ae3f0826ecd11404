package account

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"vernal/idp"
)

// Limit allows Max attempts within Window, then blocks for Block. The last
// attempt allowed begins the block.
type Limit struct {
	Max    int
	Window time.Duration
	Block  time.Duration
	// Growth multiplies Block for every block in a row, up to MaxBlock; 1 or
	// less: every block is as long as the first. Blocks are in a row until a
	// right answer, or until Forget has passed without a new one.
	Growth   float64
	MaxBlock time.Duration
	// Forget is how long after the end of a block its place in the row is
	// remembered.
	Forget time.Duration
}

// Limits are the throttles of a sign-in. A network is one IPv4 address or an
// IPv6 /64, which is what one household or server has.
//
// They are asked in this order, the narrowest first, so that whoever guesses is
// stopped by a limit that only concerns them, long before the one on the whole
// account can lock its owner out. An address nobody has is treated alike.
type Limits struct {
	// AccountNetwork and AccountNetworkLong count passwords for one account
	// from one network.
	AccountNetwork, AccountNetworkLong Limit
	// Account counts passwords for one address from anywhere, and again for one
	// person whichever of their addresses is used, and bounds guessing from many
	// networks (NIST SP 800-63B §5.2.2 asks for 100 at most). A network from which the right password came within KnownFor
	// is exempt: strangers cannot keep a person out of their own home.
	Account  Limit
	KnownFor time.Duration
	// Network counts passwords and codes for any account from one network.
	Network Limit
	// Code counts second-factor codes of one person from anywhere. Whoever
	// gets there knows the password.
	Code Limit
}

// DefaultLimits are the figures of Login.gov where it has one.
func DefaultLimits() Limits {
	const day = 24 * time.Hour
	return Limits{
		AccountNetwork:     Limit{Max: 5, Window: time.Minute, Block: time.Minute},
		AccountNetworkLong: Limit{Max: 50, Window: 12 * time.Hour, Block: 12 * time.Hour, Growth: 1.1, MaxBlock: 30 * day, Forget: 30 * day},
		Account:            Limit{Max: 100, Window: day, Block: time.Hour, Growth: 2, MaxBlock: day, Forget: 7 * day},
		KnownFor:           90 * day,
		Network:            Limit{Max: 20, Window: time.Minute, Block: time.Minute},
		Code:               Limit{Max: 10, Window: 10 * time.Minute, Block: 10 * time.Minute, Growth: 2, MaxBlock: day, Forget: day},
	}
}

// counter is one limit applied to one key.
type counter struct {
	name  string // of the limit, for ThrottledError
	key   string
	limit Limit
	at    time.Time // when the attempt was reserved
}

// key names a counter. No address of a person can be read from it, nor guessed
// without the master key.
func (s *Service) key(name, account string, from netip.Addr) string {
	network := ""
	if from.IsValid() {
		network = idp.NetworkOf(from).String()
	}
	sum := s.Sealer.Hash("throttle/"+name, []byte(account+"\x00"+network))
	return name + "/" + hex.EncodeToString(sum)
}

// limits are the configured ones, or the defaults.
func (s *Service) limits() Limits {
	if s.Limits == (Limits{}) {
		return DefaultLimits()
	}
	return s.Limits
}

// passwordCounters are those that a password for the address from there uses.
func (s *Service) passwordCounters(address string, from netip.Addr, known bool) []counter {
	l := s.limits()
	all := []counter{
		{name: "account-network", key: s.key("account-network", address, from), limit: l.AccountNetwork},
		{name: "account-network-long", key: s.key("account-network-long", address, from), limit: l.AccountNetworkLong},
	}
	if !known {
		all = append(all, s.accountCounter(address))
	}
	return append(all, s.networkCounter(from))
}

func (s *Service) networkCounter(from netip.Addr) counter {
	return counter{name: "network", key: s.key("network", "", from), limit: s.limits().Network}
}

func (s *Service) accountCounter(address string) counter {
	return counter{name: "account", key: s.key("account", address, netip.Addr{}), limit: s.limits().Account}
}

func (s *Service) codeCounter(user idp.UserID) counter {
	return counter{name: "code", key: s.key("code", string(user), netip.Addr{}), limit: s.limits().Code}
}

// reserve counts one attempt on each counter before anything is compared. If
// one is blocked, those counted so far are given back: no guess was made, and a
// blocked network must not use up the account's attempts.
//
// Blocks are looked for first: who is blocked already costs no write, however
// many addresses they try.
func (s *Service) reserve(ctx context.Context, counters []counter) error {
	if err := s.blocked(ctx, counters); err != nil {
		return err
	}
	for i, c := range counters {
		now := s.Clock.Now()
		counters[i].at = now
		err := s.Store.UpdateThrottle(ctx, c.key, now, func(t *idp.Throttle) error {
			return c.take(t, now)
		})
		if err == nil {
			continue
		}
		if rerr := s.release(ctx, counters[:i]); rerr != nil {
			return errors.Join(err, rerr)
		}
		if _, ok := errors.AsType[*ThrottledError](err); ok {
			return err
		}
		return fmt.Errorf("count attempt: %w", err)
	}
	return nil
}

// blocked is a *ThrottledError if one of the counters is blocked.
func (s *Service) blocked(ctx context.Context, counters []counter) error {
	for _, c := range counters {
		now := s.Clock.Now()
		t, err := s.Store.Throttle(ctx, c.key, now)
		if err != nil {
			return fmt.Errorf("look up attempts: %w", err)
		}
		if t.BlockedTo.After(now) {
			return c.refuse(&t, now)
		}
	}
	return nil
}

// refuse is the error of a counter that is blocked.
func (c counter) refuse(t *idp.Throttle, now time.Time) *ThrottledError {
	return &ThrottledError{RetryAfter: max(time.Second, t.BlockedTo.Sub(now)), Limit: c.name}
}

// release gives a reserved attempt back on each counter. It is done even when
// the request was given up meanwhile.
func (s *Service) release(ctx context.Context, counters []counter) error {
	ctx = context.WithoutCancel(ctx)
	for _, c := range counters {
		now := s.Clock.Now()
		err := s.Store.UpdateThrottle(ctx, c.key, now, func(t *idp.Throttle) error {
			c.giveBack(t, now)
			return nil
		})
		if err != nil {
			return fmt.Errorf("give attempt back: %w", err)
		}
	}
	return nil
}

// take counts an attempt, or refuses it with a *ThrottledError.
func (c counter) take(t *idp.Throttle, now time.Time) error {
	if t.BlockedTo.After(now) {
		return c.refuse(t, now)
	}
	// A finished block ends the window that led to it. A window that began in
	// the future is one from before the clock was set back.
	if !t.BlockedTo.IsZero() || now.Sub(t.FirstAt) >= c.limit.Window || t.FirstAt.After(now) {
		t.Count, t.FirstAt, t.BlockedTo = 0, now, time.Time{}
	}
	t.Count++
	if t.Count >= c.limit.Max {
		t.BlockedTo = now.Add(c.limit.block(t.Streak))
		t.Streak++
	}
	c.limit.expire(t)
	return nil
}

// giveBack takes an attempt off again, with the block that it began. One that
// was counted in an earlier window is left where it was: taken off this one, it
// would make room for a guess too many.
func (c counter) giveBack(t *idp.Throttle, now time.Time) {
	if t.Count == 0 {
		t.ExpiresAt = now // it was forgotten meanwhile, and may be again
		return
	}
	if t.FirstAt.After(c.at) {
		return
	}
	t.Count--
	if !t.BlockedTo.IsZero() && t.Count < c.limit.Max {
		t.BlockedTo = time.Time{}
		t.Streak = max(0, t.Streak-1)
	}
	c.limit.expire(t)
	if t.Count == 0 && t.BlockedTo.IsZero() && t.Streak == 0 {
		t.ExpiresAt = now // it says nothing any more
	}
}

// block is the length of the block after streak others in a row.
func (l Limit) block(streak int) time.Duration {
	if l.Growth <= 1 {
		return l.Block
	}
	d := float64(l.Block) * math.Pow(l.Growth, float64(streak))
	if d >= float64(l.MaxBlock) { // also +Inf
		return l.MaxBlock
	}
	return time.Duration(d)
}

// expire says when the store may forget the counter.
func (l Limit) expire(t *idp.Throttle) {
	t.ExpiresAt = t.FirstAt.Add(l.Window)
	if t.BlockedTo.After(t.ExpiresAt) {
		t.ExpiresAt = t.BlockedTo
	}
	if t.Streak > 0 {
		t.ExpiresAt = t.ExpiresAt.Add(l.Forget)
	}
}

// settle clears the counters whose failures a right answer makes good, and
// gives the attempt back on the others.
func (s *Service) settle(ctx context.Context, clear, giveBack []counter) error {
	for _, c := range clear {
		if err := s.Store.ClearThrottle(ctx, c.key); err != nil {
			return fmt.Errorf("forget failures: %w", err)
		}
	}
	return s.release(ctx, giveBack)
}

// forgetFailures clears what is counted for a person as a whole.
func (s *Service) forgetFailures(ctx context.Context, u *idp.User) error {
	keys := []string{s.codeCounter(u.ID).key, s.personCounter(string(u.ID)).key}
	for _, e := range u.Emails {
		keys = append(keys, s.accountCounter(strings.ToLower(e.Address)).key)
	}
	for _, k := range keys {
		if err := s.Store.ClearThrottle(ctx, k); err != nil {
			return fmt.Errorf("forget failures: %w", err)
		}
	}
	return nil
}
