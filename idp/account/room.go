package account

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits of a room. Those for each slot grow with the machine.
const (
	// maxWaiting is how many attempts of each lane may wait for each slot. That is
	// about the number of argon2id hashes that a slot computes in half of patience.
	maxWaiting = 32
	// maxPerAccount is how many attempts for one email address may be in each lane,
	// waiting or having their turn. That allows a form that was sent twice, and a second
	// browser.
	maxPerAccount = 3
	// knownInRow is how many turns known networks get in a row while unknown ones wait.
	knownInRow = 3
	// patience is how long an attempt waits for its turn.
	patience = 3 * time.Second
	// busyRetry is the time after which a refused attempt may try again.
	busyRetry = 5 * time.Second
)

// Attempt contains the values that decide when a password is checked. None of them depends on
// whether the email address has an account.
type Attempt struct {
	// Account is the email address in the form used for counting.
	Account string
	// From is the IP address of the sender.
	From netip.Addr
	// Known reports whether the right password for the email address recently came from
	// that network.
	Known bool
}

// BusyError is returned when too many other attempts wait. Nothing was looked up,
// compared or counted.
type BusyError struct {
	RetryAfter time.Duration
	// Limit names the limit for the log: "room", "room-account", "room-site" or
	// "room-wait".
	Limit string
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("too many attempts at once (%s), retry in %s", e.Limit, e.RetryAfter)
}

// room holds password attempts that wait for their turn. No attempt writes anything before its
// turn, so the machine's hash rate limits the writes of unknown senders, no matter how many
// they are.
//
// More attempts have their turn than there are slots, so that one can write its count to the
// store while others are hashed.
//
// There are two lanes. Attempts from networks that are known for their email address come
// first, and unknown networks never have all turns: a flood of guesses from them delays known
// networks only by the hashes that already run. Known networks can be a crowd, and one of them
// can send its own right password as often as it likes, because no throttle limits that. So
// one turn in four goes to an unknown network while one waits, and an email address has at
// most three attempts in a lane. A user who sends without end therefore delays others by three
// hashes and keeps no one out. Lanes are first in, first out.
//
// Users at a new network and all guessers share the lane of unknown networks. One IPv6 /48,
// which a provider gives to one customer and which has 65,536 networks to guess from, gets at
// most half of it. A sender with many of those can fill it. Then unknown networks are asked to
// come back later, and known networks still sign in.
type room struct {
	mu        sync.Mutex
	turns     int // turns that no attempt has
	strangers int // how many of them unknown networks may still take
	lanes     [2][]*ticket
	inside    map[share]int // attempts, by the limit that they share
	inRow     int           // turns of known networks since one of an unknown network

	maxLane, maxSite int
}

const (
	laneKnown = iota
	laneStrangers
)

// share identifies the attempts under one limit: those for an email address in a lane, or those
// from a site of unknown networks.
type share struct {
	lane    int
	account string
	site    netip.Prefix
}

// ticket is a waiting attempt. Its channel is closed when its turn comes.
type ticket struct{ turn chan struct{} }

func newRoom(slots int) *room {
	return &room{
		turns: 2*slots + 1, strangers: slots + 1, inside: make(map[share]int),
		maxLane: maxWaiting * slots, maxSite: maxWaiting * slots / 2,
	}
}

// Enter waits for the attempt's turn, for 3 seconds at most. The caller ends the turn by
// calling leave. The error is a *BusyError, or the one of ctx.
func (h *Hasher) Enter(ctx context.Context, a Attempt) (leave func(), err error) {
	return h.queue.enterRoom(ctx, a)
}

func (r *room) enterRoom(ctx context.Context, a Attempt) (func(), error) {
	lane, shares := a.laneOf(), a.sharesOf()
	r.mu.Lock()
	if err := r.refuseBeyond(lane, shares); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	for _, s := range shares {
		r.inside[s]++
	}
	t := &ticket{turn: make(chan struct{})}
	r.lanes[lane] = append(r.lanes[lane], t)
	r.grantTurns()
	r.mu.Unlock()

	leave := sync.OnceFunc(func() { r.leave(lane, shares) })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var refused error
	select {
	case <-t.turn:
		return leave, nil
	case <-timer.C:
		refused = &BusyError{RetryAfter: busyRetry, Limit: "room-wait"}
	case <-ctx.Done():
		refused = fmt.Errorf("wait for a password hash: %w", context.Cause(ctx))
	}
	if !r.withdraw(lane, t, shares) { // its turn came at this moment
		leave()
	}
	return nil, refused
}

// hasRoom returns a *BusyError if the room would refuse the attempt now.
func (r *room) hasRoom(a Attempt) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuseBeyond(a.laneOf(), a.sharesOf())
}

func (a Attempt) laneOf() int {
	if a.Known {
		return laneKnown
	}
	return laneStrangers
}

func (a Attempt) sharesOf() []share {
	shares := []share{{lane: a.laneOf(), account: a.Account}}
	if site, ok := siteOf(a.From); ok && !a.Known {
		shares = append(shares, share{lane: laneStrangers, site: site})
	}
	return shares
}

// siteOf returns the IPv6 /48 of an IP address. IPv4 addresses have no site: many users share
// one, and a sender has few.
func siteOf(from netip.Addr) (netip.Prefix, bool) {
	from = from.Unmap().WithZone("")
	if !from.Is6() {
		return netip.Prefix{}, false
	}
	p, err := from.Prefix(48)
	return p, err == nil
}

// refuseBeyond returns a *BusyError if one more attempt would exceed a limit.
func (r *room) refuseBeyond(lane int, shares []share) error {
	limit := ""
	if len(r.lanes[lane]) >= r.maxLane {
		limit = "room"
	}
	for _, s := range shares {
		switch {
		case s.site.IsValid() && r.inside[s] >= r.maxSite:
			limit = "room-site"
		case !s.site.IsValid() && r.inside[s] >= maxPerAccount:
			limit = "room-account"
		}
	}
	if limit == "" {
		return nil
	}
	return &BusyError{RetryAfter: busyRetry, Limit: limit}
}

// grantTurns gives free turns to waiting attempts.
func (r *room) grantTurns() {
	for r.turns > 0 {
		known := len(r.lanes[laneKnown]) > 0
		strangers := len(r.lanes[laneStrangers]) > 0 && r.strangers > 0
		lane := laneKnown
		switch {
		case !known && !strangers:
			return
		case !known, strangers && r.inRow >= knownInRow:
			lane = laneStrangers
		}
		r.inRow++
		if lane == laneStrangers || !strangers {
			r.inRow = 0
		}
		if lane == laneStrangers {
			r.strangers--
		}
		r.turns--
		close(r.lanes[lane][0].turn)
		r.lanes[lane] = slices.Delete(r.lanes[lane], 0, 1)
	}
}

// leave ends a turn.
func (r *room) leave(lane int, shares []share) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(shares)
	r.turns++
	if lane == laneStrangers {
		r.strangers++
	}
	r.grantTurns()
}

// withdraw removes a waiting attempt; false if its turn has come.
func (r *room) withdraw(lane int, t *ticket, shares []share) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.lanes[lane], t)
	if i < 0 {
		return false
	}
	r.lanes[lane] = slices.Delete(r.lanes[lane], i, i+1)
	r.forget(shares)
	return true
}

func (r *room) forget(shares []share) {
	for _, s := range shares {
		if r.inside[s]--; r.inside[s] == 0 {
			delete(r.inside, s)
		}
	}
}
