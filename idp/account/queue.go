package account

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits of an attemptQueue. The limits for each slot grow with the machine.
const (
	// maxWaitingPerSlot is how many attempts of each group may wait for each slot. That is
	// about the number of argon2id hashes that a slot computes in half of maxWait.
	maxWaitingPerSlot = 32
	// maxPerAccount is how many attempts for one email address may be in each group, with
	// or without a permit. That allows a form that was sent twice, and a second browser.
	maxPerAccount = 3
	// maxKnownInRow is how many permits known networks get in a row while unknown ones wait.
	maxKnownInRow = 3
	// maxWait is how long an attempt waits for a permit.
	maxWait = 3 * time.Second
	// busyRetryAfter is the time after which the client of a refused attempt may try again.
	busyRetryAfter = 5 * time.Second
)

// Attempt contains the values that decide when a password is checked. None of them depends on
// whether the email address has an account.
type Attempt struct {
	// Account is the email address in the form used for counting.
	Account string
	// ClientIP is the IP address of the sender.
	ClientIP netip.Addr
	// IsKnownNetwork reports whether the right password for the email address recently came from
	// that network.
	IsKnownNetwork bool
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

// attemptQueue holds password attempts that wait for a permit. No attempt writes anything before
// it has a permit, so the machine's hash rate limits the writes of unknown senders, regardless
// of their number.
//
// The queue has more permits than slots, so that one attempt can write its count to the store
// while others are hashed.
//
// The queue has two groups, each first in, first out. Attempts from networks that are known for
// their email address come first, and unknown networks never have all permits: a flood of
// guesses from them delays known networks only by the hashes that already run. Many known
// networks may send at once, and no throttle limits how often a user sends the right password.
// While an unknown network waits, it therefore gets one permit in four, and an email address has
// at most three attempts in a group. A user who sends endlessly delays others by three hashes
// and locks no one out.
//
// Users at a new network and all guessers share the group of unknown networks. One IPv6 /48,
// which an internet provider assigns to one customer and which contains 65,536 networks, gets at
// most half of it. A sender with several of them can fill the group. Unknown networks must then
// retry later, and known networks can still sign in.
type attemptQueue struct {
	mu             sync.Mutex
	permits        int // free permits
	unknownPermits int // how many of them unknown networks may get
	queues         [2][]*ticket
	counts         map[share]int // attempts, by the limit that they share
	knownInRow     int           // permits of known networks since the last one of an unknown network

	maxPerGroup, maxPerSite int
}

const (
	groupKnown = iota
	groupUnknown
)

// share identifies the attempts under one limit: all attempts for an email address in a group,
// or all from one site in the group of unknown networks.
type share struct {
	group   int
	account string
	site    netip.Prefix
}

// ticket is a waiting attempt. Its channel is closed when it gets a permit.
type ticket struct{ permit chan struct{} }

func newAttemptQueue(slots int) *attemptQueue {
	return &attemptQueue{
		permits: 2*slots + 1, unknownPermits: slots + 1, counts: make(map[share]int),
		maxPerGroup: maxWaitingPerSlot * slots, maxPerSite: maxWaitingPerSlot * slots / 2,
	}
}

// WaitForPermit waits until the attempt gets a permit, at most maxWait. The caller must call
// release afterwards. The error is a *BusyError, or the error of ctx.
func (h *Hasher) WaitForPermit(ctx context.Context, a Attempt) (release func(), err error) {
	return h.queue.admitAttempt(ctx, a)
}

func (q *attemptQueue) admitAttempt(ctx context.Context, a Attempt) (func(), error) {
	group, shares := a.findGroup(), a.listShares()
	q.mu.Lock()
	if err := q.checkLimits(group, shares); err != nil {
		q.mu.Unlock()
		return nil, err
	}
	for _, s := range shares {
		q.counts[s]++
	}
	t := &ticket{permit: make(chan struct{})}
	q.queues[group] = append(q.queues[group], t)
	q.grantPermits()
	q.mu.Unlock()

	release := sync.OnceFunc(func() { q.releasePermit(group, shares) })
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	var refusal error
	select {
	case <-t.permit:
		return release, nil
	case <-timer.C:
		refusal = &BusyError{RetryAfter: busyRetryAfter, Limit: "room-wait"}
	case <-ctx.Done():
		refusal = fmt.Errorf("wait for a password hash: %w", context.Cause(ctx))
	}
	if !q.withdrawTicket(group, t, shares) { // it got a permit at this moment
		release()
	}
	return nil, refusal
}

// checkAdmission returns a *BusyError if the queue would refuse the attempt now.
func (q *attemptQueue) checkAdmission(a Attempt) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.checkLimits(a.findGroup(), a.listShares())
}

func (a Attempt) findGroup() int {
	if a.IsKnownNetwork {
		return groupKnown
	}
	return groupUnknown
}

func (a Attempt) listShares() []share {
	shares := []share{{group: a.findGroup(), account: a.Account}}
	if site, ok := findSite(a.ClientIP); ok && !a.IsKnownNetwork {
		shares = append(shares, share{group: groupUnknown, site: site})
	}
	return shares
}

// findSite returns the IPv6 /48 of an IP address. An IPv4 address has no site: many users
// share one, and a sender has few of them.
func findSite(clientIP netip.Addr) (netip.Prefix, bool) {
	clientIP = clientIP.Unmap().WithZone("")
	if !clientIP.Is6() {
		return netip.Prefix{}, false
	}
	p, err := clientIP.Prefix(48)
	return p, err == nil
}

// checkLimits returns a *BusyError if one more attempt would exceed a limit.
func (q *attemptQueue) checkLimits(group int, shares []share) error {
	limit := ""
	if len(q.queues[group]) >= q.maxPerGroup {
		limit = "room"
	}
	for _, s := range shares {
		switch {
		case s.site.IsValid() && q.counts[s] >= q.maxPerSite:
			limit = "room-site"
		case !s.site.IsValid() && q.counts[s] >= maxPerAccount:
			limit = "room-account"
		}
	}
	if limit == "" {
		return nil
	}
	return &BusyError{RetryAfter: busyRetryAfter, Limit: limit}
}

// grantPermits gives free permits to waiting attempts.
func (q *attemptQueue) grantPermits() {
	for q.permits > 0 {
		hasKnown := len(q.queues[groupKnown]) > 0
		hasUnknown := len(q.queues[groupUnknown]) > 0 && q.unknownPermits > 0
		group := groupKnown
		switch {
		case !hasKnown && !hasUnknown:
			return
		case !hasKnown, hasUnknown && q.knownInRow >= maxKnownInRow:
			group = groupUnknown
		}
		q.knownInRow++
		if group == groupUnknown || !hasUnknown {
			q.knownInRow = 0
		}
		if group == groupUnknown {
			q.unknownPermits--
		}
		q.permits--
		close(q.queues[group][0].permit)
		q.queues[group] = slices.Delete(q.queues[group], 0, 1)
	}
}

// releasePermit frees a permit.
func (q *attemptQueue) releasePermit(group int, shares []share) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.releaseShares(shares)
	q.permits++
	if group == groupUnknown {
		q.unknownPermits++
	}
	q.grantPermits()
}

// withdrawTicket removes a waiting attempt. It returns false if the attempt has a permit.
func (q *attemptQueue) withdrawTicket(group int, t *ticket, shares []share) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.queues[group], t)
	if i < 0 {
		return false
	}
	q.queues[group] = slices.Delete(q.queues[group], i, i+1)
	q.releaseShares(shares)
	return true
}

func (q *attemptQueue) releaseShares(shares []share) {
	for _, s := range shares {
		if q.counts[s]--; q.counts[s] == 0 {
			delete(q.counts, s)
		}
	}
}
