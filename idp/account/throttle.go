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

// Limit allows Max attempts within Window, then blocks for Block. The last allowed attempt
// begins the block.
type Limit struct {
	Max    int
	Window time.Duration
	Block  time.Duration
	// Growth multiplies Block for every consecutive block, up to MaxBlock. With 1 or less,
	// every block is as long as the first. A right answer ends the sequence, and so does
	// ForgetAfter without a new block.
	Growth   float64
	MaxBlock time.Duration
	// ForgetAfter is how long after its end a block still counts for the sequence.
	ForgetAfter time.Duration
}

// Limits are the throttles of a sign-in. A network is one IPv4 address or an IPv6 /64, the
// usual size for one household or server.
//
// They are checked in this order, the narrowest first, so that a guesser is stopped by a limit
// that affects only the guesser, long before the limit on the whole account can lock its owner
// out. Email addresses without an account are treated the same.
type Limits struct {
	// AccountNetwork and AccountNetworkLong count passwords for one account
	// from one network.
	AccountNetwork, AccountNetworkLong Limit
	// Account counts passwords for one email address from all networks, and again for one
	// user across all of the user's email addresses. It limits guessing from many networks
	// (NIST SP 800-63B §5.2.2 allows 100 at most). A network that sent the right password
	// within KnownDuration is exempt, and so is a browser in which the user completed a sign-in
	// within BrowserDuration, so that guessers cannot lock users out of their own network and
	// devices. AccountBrowser counts passwords for one account from such a browser, in case its
	// cookie was copied.
	Account, AccountBrowser        Limit
	KnownDuration, BrowserDuration time.Duration
	// Network counts passwords and codes for any account from one network.
	Network Limit
	// Code counts second-factor codes of one user from all networks. A sender who gets
	// this far knows the password.
	Code Limit
	// MailEmail and MailNetwork count the mails that unauthenticated senders cause: to one email
	// address from all networks, with or without an account, and to any from one network.
	MailEmail, MailNetwork Limit
}

// DefaultLimits returns the limits of Login.gov, where it has one.
func DefaultLimits() Limits {
	const day = 24 * time.Hour
	return Limits{
		AccountNetwork:     Limit{Max: 5, Window: time.Minute, Block: time.Minute},
		AccountNetworkLong: Limit{Max: 50, Window: 12 * time.Hour, Block: 12 * time.Hour, Growth: 1.1, MaxBlock: 30 * day, ForgetAfter: 30 * day},
		Account:            Limit{Max: 100, Window: day, Block: time.Hour, Growth: 2, MaxBlock: day, ForgetAfter: 7 * day},
		AccountBrowser:     Limit{Max: 50, Window: 12 * time.Hour, Block: 12 * time.Hour, Growth: 1.1, MaxBlock: 30 * day, ForgetAfter: 30 * day},
		KnownDuration:      90 * day,
		BrowserDuration:    365 * day,
		Network:            Limit{Max: 20, Window: time.Minute, Block: time.Minute},
		Code:               Limit{Max: 10, Window: 10 * time.Minute, Block: 10 * time.Minute, Growth: 2, MaxBlock: day, ForgetAfter: day},
		MailEmail:          Limit{Max: 6, Window: time.Hour, Block: time.Hour},
		MailNetwork:        Limit{Max: 30, Window: time.Hour, Block: time.Hour},
	}
}

// throttle counts failures under one key, for example one account from one network.
type throttle struct {
	Count       int       `json:"count"`
	FirstAt     time.Time `json:"first_at"`
	BlockEndsAt time.Time `json:"blocked_to,omitzero"`
	// Streak counts consecutive blocks, for limits that grow.
	Streak int `json:"streak,omitempty"`
}

// counter is one limit applied to one key.
type counter struct {
	name  string // the name of the limit, for ThrottledError
	key   string
	limit Limit
	// isForgiven is true if a right answer clears the counter. On other counters, a right
	// answer only removes the attempt itself. Otherwise a guesser with their own account
	// could clear the network's count between guesses at other accounts.
	isForgiven bool
	// isSilent is true if the counter never refuses an attempt; see reserve.
	isSilent bool
	// isRecord is true if the counter only records the last right answer.
	isRecord   bool
	reservedAt time.Time
}

// hashKey returns the key of a counter. An email address cannot be read from it, nor guessed
// without the master key.
func (s *Service) hashKey(name, account string, clientIP netip.Addr) string {
	network := ""
	if clientIP.IsValid() {
		network = idp.FindNetwork(clientIP).String()
	}
	sum := s.Sealer.Hash("throttle/"+name, []byte(account+"\x00"+network))
	return name + "/" + hex.EncodeToString(sum)
}

// getLimits returns the configured limits, or the defaults.
func (s *Service) getLimits() Limits {
	return cmp.Or(s.Limits, DefaultLimits())
}

// origin is where a password attempt comes from.
type origin struct {
	clientIP netip.Addr
	// browsers are the hashes of the browser's cookie.
	browsers [][]byte
}

// familiarity is what an email address shares with the origin of an attempt.
type familiarity struct {
	isKnownNetwork bool
	// browser is the hash under which the browser is known, nil if it is not.
	browser []byte
}

// isExempt reports whether the attempt does not count for the account as a whole.
func (f familiarity) isExempt() bool { return f.isKnownNetwork || f.browser != nil }

// newPasswordCounters returns the counters of a password attempt for the email address from an IP
// address.
func (s *Service) newPasswordCounters(email string, clientIP netip.Addr, f familiarity) []counter {
	limits := s.getLimits()
	counters := []counter{
		{name: "account-network", key: s.hashKey("account-network", email, clientIP), limit: limits.AccountNetwork, isForgiven: true},
		{name: "account-network-long", key: s.hashKey("account-network-long", email, clientIP), limit: limits.AccountNetworkLong, isForgiven: true},
	}
	switch {
	case f.isKnownNetwork:
	case f.browser != nil:
		key := s.hashBrowserKey("account-browser", email, f.browser)
		counters = append(counters, counter{name: "account-browser", key: key, limit: limits.AccountBrowser, isForgiven: true})
	default:
		counters = append(counters, s.newAccountCounter(email))
	}
	return append(counters, s.newNetworkCounter(clientIP))
}

func (s *Service) newNetworkCounter(clientIP netip.Addr) counter {
	return counter{name: "network", key: s.hashKey("network", "", clientIP), limit: s.getLimits().Network}
}

func (s *Service) newAccountCounter(email string) counter {
	return counter{name: "account", key: s.hashKey("account", email, netip.Addr{}), limit: s.getLimits().Account}
}

func (s *Service) newCodeCounter(user idp.UserID) counter {
	return counter{name: "code", key: s.hashKey("code", string(user), netip.Addr{}), limit: s.getLimits().Code, isForgiven: true}
}

// newUserCounter returns the counter that applies Limits.Account to a user across all of the
// user's email addresses. key is the UserID.
func (s *Service) newUserCounter(key string) counter {
	return counter{name: "person", key: s.hashKey("person", key, netip.Addr{}), limit: s.getLimits().Account, isSilent: true}
}

// newKnownCounter returns the counter that records a right password for the email address from a
// network.
func (s *Service) newKnownCounter(email string, clientIP netip.Addr) counter {
	return counter{name: "known", key: s.hashKey("known", email, clientIP), limit: Limit{Window: s.getLimits().KnownDuration}, isRecord: true}
}

// newKnownBrowserCounter returns the counter that records a sign-in with the email address in a
// browser.
func (s *Service) newKnownBrowserCounter(email string, hash []byte) counter {
	key := s.hashBrowserKey("known-browser", email, hash)
	return counter{name: "known-browser", key: key, limit: Limit{Window: s.getLimits().BrowserDuration}, isRecord: true}
}

// hashBrowserKey returns the key of a counter for an account and a browser.
func (s *Service) hashBrowserKey(name, account string, hash []byte) string {
	sum := s.Sealer.Hash("throttle/"+name, []byte(account+"\x00"+string(hash)))
	return name + "/" + hex.EncodeToString(sum)
}

// openThrottles returns the stored counters.
func (s *Service) openThrottles() idp.Records[throttle] {
	return idp.Records[throttle]{Store: s.Store, Kind: "throttle", Clock: s.Clock}
}

// updateThrottles changes the counters in one write, in order. It reads the clock within the
// write, so that an attempt never counts as earlier than attempts that were counted before it.
func (s *Service) updateThrottles(ctx context.Context, counters []counter, change func(*counter, *throttle, time.Time) error) error {
	err := s.openThrottles().Update(ctx, listCounterKeys(counters), func(r *idp.Record[throttle]) error {
		c := &counters[slices.IndexFunc(counters, func(c counter) bool { return c.key == r.Key })]
		if r.Value == nil {
			r.Value = new(throttle)
		}
		if err := change(c, r.Value, s.Clock.Now()); err != nil {
			return err
		}
		r.ExpiresAt = c.limit.computeExpiry(r.Value)
		if *r.Value == (throttle{}) {
			r.Value = nil
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the attempt: %w", err)
	}
	return nil
}

func listCounterKeys(counters []counter) (keys []string) {
	for _, c := range counters {
		keys = append(keys, c.key)
	}
	return keys
}

// loadThrottles reads the counters, by key.
func (s *Service) loadThrottles(ctx context.Context, counters []counter) (map[string]*throttle, error) {
	list, err := s.openThrottles().Find(ctx, listCounterKeys(counters)...)
	if err != nil {
		return nil, fmt.Errorf("look up attempts: %w", err)
	}
	throttles := make(map[string]*throttle, len(list))
	for _, r := range list {
		throttles[r.Key] = r.Value
	}
	return throttles, nil
}

// checkBlocked returns a *ThrottledError if one of the counters is blocked. An attempt that is
// already blocked costs no write, regardless of the number of email addresses tried.
func (s *Service) checkBlocked(ctx context.Context, counters []counter) error {
	throttles, err := s.loadThrottles(ctx, counters)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	for _, c := range counters {
		if t := throttles[c.key]; t != nil && t.BlockEndsAt.After(now) {
			return c.newError(t, now)
		}
	}
	return nil
}

// findFamiliarity returns what the origin of an attempt shares with one of the email addresses. It makes
// the same reads for unknown email addresses.
func (s *Service) findFamiliarity(ctx context.Context, from origin, emails ...string) (f familiarity, err error) {
	var networks, browsers []counter
	for _, email := range emails {
		networks = append(networks, s.newKnownCounter(email, from.clientIP))
		for _, hash := range from.browsers {
			browsers = append(browsers, s.newKnownBrowserCounter(email, hash))
		}
	}
	throttles, err := s.loadThrottles(ctx, slices.Concat(networks, browsers))
	if err != nil {
		return familiarity{}, err
	}
	for _, c := range networks {
		f.isKnownNetwork = f.isKnownNetwork || throttles[c.key] != nil
	}
	for i, c := range browsers {
		if throttles[c.key] != nil {
			f.browser = from.browsers[i%len(from.browsers)]
		}
	}
	return f, nil
}

// reserve counts one attempt on each counter in one write, before anything is compared. If one
// is blocked, none of them counts: no guess was made, and a blocked network must not use up
// the account's attempts. isOver reports whether a silent counter is blocked. It is written
// even then, because the time would disclose the difference.
func (s *Service) reserve(ctx context.Context, counters []counter) (isOver bool, err error) {
	err = s.updateThrottles(ctx, counters, func(c *counter, t *throttle, now time.Time) error {
		c.reservedAt = now
		err := c.countAttempt(t, now)
		if c.isSilent {
			isOver, err = err != nil, nil
		}
		return err
	})
	return isOver, err
}

// release gives a reserved attempt back on each counter, even if the request was canceled.
func (s *Service) release(ctx context.Context, counters []counter) error {
	return s.updateThrottles(context.WithoutCancel(ctx), counters, func(c *counter, t *throttle, _ time.Time) error {
		c.releaseAttempt(t)
		return nil
	})
}

// settle gives the attempt back after a right answer, clears the forgiven failures, and
// records known networks and browsers.
func (s *Service) settle(ctx context.Context, counters []counter) error {
	return s.updateThrottles(context.WithoutCancel(ctx), counters, func(c *counter, t *throttle, now time.Time) error {
		switch {
		case c.isRecord:
			*t = throttle{Count: 1, FirstAt: now}
		case c.isForgiven:
			*t = throttle{}
		default:
			c.releaseAttempt(t)
		}
		return nil
	})
}

// forgetFailures clears the failures counted for a user as a whole.
func (s *Service) forgetFailures(ctx context.Context, u *idp.User) error {
	counters := []counter{s.newCodeCounter(u.ID), s.newUserCounter(string(u.ID))}
	for _, e := range u.Emails {
		counters = append(counters, s.newAccountCounter(strings.ToLower(e.Address)))
	}
	for i := range counters {
		counters[i].isForgiven = true
	}
	return s.settle(ctx, counters)
}

// newError returns the error of a blocked counter.
func (c counter) newError(t *throttle, now time.Time) *ThrottledError {
	return &ThrottledError{RetryAfter: max(time.Second, t.BlockEndsAt.Sub(now)), Limit: c.name}
}

// countAttempt counts an attempt, or returns a *ThrottledError.
func (c counter) countAttempt(t *throttle, now time.Time) error {
	if t.BlockEndsAt.After(now) {
		return c.newError(t, now)
	}
	// A finished block ends the window that led to it. A window that begins in the future
	// was started before the clock was set back.
	if !t.BlockEndsAt.IsZero() || now.Sub(t.FirstAt) >= c.limit.Window || t.FirstAt.After(now) {
		t.Count, t.FirstAt, t.BlockEndsAt = 0, now, time.Time{}
	}
	t.Count++
	if t.Count >= c.limit.Max {
		t.BlockEndsAt = now.Add(c.limit.computeBlock(t.Streak))
		t.Streak++
	}
	return nil
}

// releaseAttempt removes an attempt, with the block that it began. An attempt counted in an earlier
// window stays, because removing it from this one would allow one guess too many.
func (c counter) releaseAttempt(t *throttle) {
	if t.Count == 0 || t.FirstAt.After(c.reservedAt) {
		return
	}
	t.Count--
	if !t.BlockEndsAt.IsZero() && t.Count < c.limit.Max {
		t.BlockEndsAt = time.Time{}
		t.Streak = max(0, t.Streak-1)
	}
	if t.Count == 0 && t.BlockEndsAt.IsZero() && t.Streak == 0 {
		*t = throttle{}
	}
}

// computeBlock returns the length of a block after streak consecutive blocks.
func (l Limit) computeBlock(streak int) time.Duration {
	if l.Growth <= 1 {
		return l.Block
	}
	block := float64(l.Block) * math.Pow(l.Growth, float64(streak))
	if block >= float64(l.MaxBlock) { // also +Inf
		return l.MaxBlock
	}
	return time.Duration(block)
}

// computeExpiry returns the time from which the counter has no effect.
func (l Limit) computeExpiry(t *throttle) time.Time {
	at := t.FirstAt.Add(l.Window)
	if t.BlockEndsAt.After(at) {
		at = t.BlockEndsAt
	}
	if t.Streak > 0 {
		at = at.Add(l.ForgetAfter)
	}
	return at
}
