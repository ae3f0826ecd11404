package account

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"slices"
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

// throttle counts failures under one key, for instance one account from one network.
type throttle struct {
	Count     int       `json:"count"`
	FirstAt   time.Time `json:"first_at"`
	BlockedTo time.Time `json:"blocked_to,omitzero"`
	// Streak counts blocks in a row, for limits that grow.
	Streak int `json:"streak,omitempty"`
}

// counter is one limit applied to one key.
type counter struct {
	name  string // of the limit, for ThrottledError
	key   string
	limit Limit
	// forgiven says that a right answer forgets all failures. On others it only takes
	// the attempt itself off, else someone with an account of their own could clear the
	// network's count between guesses at others.
	forgiven bool
	// silent says that it never refuses an attempt itself, see reserve.
	silent bool
	at     time.Time // when the attempt was reserved
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
	return cmp.Or(s.Limits, DefaultLimits())
}

// passwordCounters are those that a password for the address from there uses.
func (s *Service) passwordCounters(address string, from netip.Addr, known bool) []counter {
	l := s.limits()
	all := []counter{
		{name: "account-network", key: s.key("account-network", address, from), limit: l.AccountNetwork, forgiven: true},
		{name: "account-network-long", key: s.key("account-network-long", address, from), limit: l.AccountNetworkLong, forgiven: true},
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
	return counter{name: "code", key: s.key("code", string(user), netip.Addr{}), limit: s.limits().Code, forgiven: true}
}

// personCounter applies Limits.Account to a person, whichever of their addresses is
// used. key is the UserID.
func (s *Service) personCounter(key string) counter {
	return counter{name: "person", key: s.key("person", key, netip.Addr{}), limit: s.limits().Account, silent: true}
}

// knownCounter notes that the right password for the address came from a network.
func (s *Service) knownCounter(address string, from netip.Addr) counter {
	return counter{name: "known", key: s.key("known", address, from), limit: Limit{Window: s.limits().KnownFor}}
}

// throttles are the stored counters.
func (s *Service) throttles() idp.Records[throttle] {
	return idp.Records[throttle]{Store: s.Store, Kind: "throttle", Clock: s.Clock}
}

// updateThrottles changes the counters in one write, in order. It takes the time within
// the write, so that an attempt never counts as one from before the attempts that were
// counted first.
func (s *Service) updateThrottles(ctx context.Context, counters []counter, change func(*counter, *throttle, time.Time) error) error {
	err := s.throttles().Update(ctx, keysOf(counters), func(r *idp.Record[throttle]) error {
		c := &counters[slices.IndexFunc(counters, func(c counter) bool { return c.key == r.Key })]
		if r.Value == nil {
			r.Value = new(throttle)
		}
		if err := change(c, r.Value, s.Clock.Now()); err != nil {
			return err
		}
		r.ExpiresAt = c.limit.expiry(r.Value)
		if *r.Value == (throttle{}) {
			r.Value = nil
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count attempts: %w", err)
	}
	return nil
}

func keysOf(counters []counter) (keys []string) {
	for _, c := range counters {
		keys = append(keys, c.key)
	}
	return keys
}

// storedThrottles reads the counters, by key.
func (s *Service) storedThrottles(ctx context.Context, counters []counter) (map[string]*throttle, error) {
	list, err := s.throttles().Find(ctx, keysOf(counters)...)
	if err != nil {
		return nil, fmt.Errorf("look up attempts: %w", err)
	}
	found := make(map[string]*throttle, len(list))
	for _, r := range list {
		found[r.Key] = r.Value
	}
	return found, nil
}

// checkBlocked returns a *ThrottledError if one of the counters is blocked. An attempt
// that is blocked already costs no write, however many addresses it is tried with.
func (s *Service) checkBlocked(ctx context.Context, counters []counter) error {
	found, err := s.storedThrottles(ctx, counters)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	for _, c := range counters {
		if t := found[c.key]; t != nil && t.BlockedTo.After(now) {
			return c.refuse(t, now)
		}
	}
	return nil
}

// isKnown reports whether the right password came lately from the network for one of
// the addresses. It is read for addresses that no one has too.
func (s *Service) isKnown(ctx context.Context, from netip.Addr, addresses ...string) (bool, error) {
	var counters []counter
	for _, a := range addresses {
		counters = append(counters, s.knownCounter(a, from))
	}
	found, err := s.storedThrottles(ctx, counters)
	return len(found) > 0, err
}

// reserve counts one attempt on each counter before anything is compared, in one write.
// If one is blocked, none of them counts: no guess was made, and a blocked network must
// not use up the account's attempts. isOver reports whether a silent counter is
// blocked, which is written even so: the time would tell.
func (s *Service) reserve(ctx context.Context, counters []counter) (isOver bool, err error) {
	err = s.updateThrottles(ctx, counters, func(c *counter, t *throttle, now time.Time) error {
		c.at = now
		err := c.take(t, now)
		if c.silent {
			isOver, err = err != nil, nil
		}
		return err
	})
	return isOver, err
}

// release gives a reserved attempt back on each counter. It is done even when
// the request was given up meanwhile.
func (s *Service) release(ctx context.Context, counters []counter) error {
	return s.updateThrottles(context.WithoutCancel(ctx), counters, func(c *counter, t *throttle, _ time.Time) error {
		c.giveBack(t)
		return nil
	})
}

// settle gives the attempt back after a right answer, forgets the failures that it makes
// good, and notes known networks.
func (s *Service) settle(ctx context.Context, counters []counter) error {
	return s.updateThrottles(context.WithoutCancel(ctx), counters, func(c *counter, t *throttle, now time.Time) error {
		switch {
		case c.name == "known":
			*t = throttle{Count: 1, FirstAt: now}
		case c.forgiven:
			*t = throttle{}
		default:
			c.giveBack(t)
		}
		return nil
	})
}

// forgetFailures clears what is counted for a person as a whole.
func (s *Service) forgetFailures(ctx context.Context, u *idp.User) error {
	counters := []counter{s.codeCounter(u.ID), s.personCounter(string(u.ID))}
	for _, e := range u.Emails {
		counters = append(counters, s.accountCounter(strings.ToLower(e.Address)))
	}
	for i := range counters {
		counters[i].forgiven = true
	}
	return s.settle(ctx, counters)
}

// refuse is the error of a counter that is blocked.
func (c counter) refuse(t *throttle, now time.Time) *ThrottledError {
	return &ThrottledError{RetryAfter: max(time.Second, t.BlockedTo.Sub(now)), Limit: c.name}
}

// take counts an attempt, or refuses it with a *ThrottledError.
func (c counter) take(t *throttle, now time.Time) error {
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
	return nil
}

// giveBack takes an attempt off again, with the block that it began. One that
// was counted in an earlier window is left where it was: taken off this one, it
// would make room for a guess too many.
func (c counter) giveBack(t *throttle) {
	if t.Count == 0 || t.FirstAt.After(c.at) {
		return
	}
	t.Count--
	if !t.BlockedTo.IsZero() && t.Count < c.limit.Max {
		t.BlockedTo = time.Time{}
		t.Streak = max(0, t.Streak-1)
	}
	if t.Count == 0 && t.BlockedTo.IsZero() && t.Streak == 0 {
		*t = throttle{} // it says nothing any more
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

// expiry is when the counter says nothing any more.
func (l Limit) expiry(t *throttle) time.Time {
	at := t.FirstAt.Add(l.Window)
	if t.BlockedTo.After(at) {
		at = t.BlockedTo
	}
	if t.Streak > 0 {
		at = at.Add(l.Forget)
	}
	return at
}
