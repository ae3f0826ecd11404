package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func isBusy(err error) bool {
	_, busy := errors.AsType[*BusyError](err)
	return busy
}

// network returns the i-th of many IPv6 /64, ten to a /48.
func network(i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", i/10, i%10))
}

// takeSlots takes all slots, so that no hash runs until they are given back.
func takeSlots(h *Hasher) (giveBack func()) {
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	return func() {
		for range cap(h.slots) {
			<-h.slots
		}
	}
}

// A flood of attempts waits in a room of a fixed size and for a fixed time. An attempt that
// does not get its turn writes nothing, whether or not the email address has an account, and
// is not a guess.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.create()
		giveBack := takeSlots(h.Hasher)
		before := h.store.Changes()
		var mu sync.Mutex
		refused := map[string]int{}
		const networks = 400
		room := h.Hasher.queue
		turns, strangers := room.turns, room.strangers
		ctx, cancel := context.WithCancel(t.Context())
		for i := range networks {
			email := fmt.Sprintf("u%d@example.gov", i)
			if i%200 == 0 {
				email = alice
			}
			go func() {
				_, err := h.CheckPassword(ctx, email, "tulips in the sun", network(i))
				mu.Lock()
				defer mu.Unlock()
				if busy, ok := errors.AsType[*BusyError](err); ok {
					refused[busy.Limit]++
					if busy.RetryAfter < time.Second {
						t.Errorf("retry in %s", busy.RetryAfter)
					}
				}
			}()
		}
		count := func(limit string) int {
			mu.Lock()
			defer mu.Unlock()
			return refused[limit]
		}
		synctest.Wait()
		if n := networks - strangers - room.maxLane; count("room") != n {
			t.Errorf("%d were refused at once, want %d for the room", count("room"), n)
		}
		wrote := h.store.Changes() - before
		if wrote > uint64(5*strangers) {
			t.Errorf("%d attempts made %d changes, of which %d had a turn", networks, wrote, strangers)
		}
		time.Sleep(patience) // on the clock of the test
		synctest.Wait()
		if count("room-wait") != room.maxLane {
			t.Errorf("%d: of %d that waited all must be refused by now", count("room-wait"), room.maxLane)
		}
		if n := h.store.Changes() - before; n != wrote {
			t.Errorf("the end of the wait made %d changes", n-wrote)
		}
		cancel()
		giveBack()
		synctest.Wait()
		if room.turns != turns || room.strangers != strangers || len(room.inside) != 0 || len(room.lanes[laneKnown])+len(room.lanes[laneStrangers]) != 0 {
			t.Errorf("the room is not as it was: %d turns, %v, %v", room.turns, room.inside, room.lanes)
		}
	})
}

// simulate makes each hash take some time on the clock of the test, and none of the machine's.
func (h *Hasher) simulate(d time.Duration) {
	h.measure = func(w hashCost, compute func()) time.Duration {
		compute()
		time.Sleep(d)
		return d
	}
}

// A user at a network that is known for the account signs in at once while hundreds
// of networks guess without a pause, and so do those of one IPv6 /48. Users at
// another network still get their turns. The clock is the test's.
func TestKnownNetworkSignsInDuringFlood(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]func(int) netip.Addr{
		"many sites": network,
		"one site":   func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.create()
				h.attempt("at home", step{email: alice, right: true})
				h.Hasher = NewHasher(Cost{Memory: 64, Time: 1, Threads: 1, Iterations: 1000, Slots: 2})
				const hash = 60 * time.Millisecond
				h.Hasher.simulate(hash)
				ctx, cancel := context.WithCancel(t.Context())
				var guessers sync.WaitGroup
				for i := range 250 {
					guessers.Go(func() {
						for n := i; ctx.Err() == nil; n += 250 {
							_, err := h.CheckPassword(ctx, fmt.Sprintf("u%d@example.gov", n), "wrong", from(n%60000))
							if isBusy(err) {
								time.Sleep(time.Duration(1+i) * time.Millisecond)
							}
						}
					})
				}
				time.Sleep(time.Second)
				for i := range 4 {
					begun := time.Now()
					if _, err := h.CheckPassword(ctx, alice, password, home); err != nil {
						t.Errorf("sign-in %d at home: %v", i, err)
					}
					// Its own hash, and those of the turns before it.
					if took := time.Since(begun); took > 3*hash {
						t.Errorf("sign-in %d at home took %s", i, took)
					}
					time.Sleep(200 * time.Millisecond)
				}
				if name == "one site" {
					// Half of the room is left to others.
					begun := time.Now()
					if _, err := h.CheckPassword(ctx, alice, password, netip.MustParseAddr("198.51.100.7")); err != nil || time.Since(begun) > patience {
						t.Errorf("sign-in from a new network: %v after %s", err, time.Since(begun))
					}
				}
				cancel()
				guessers.Wait()
			})
		})
	}
}

// order makes attempts wait while all turns are taken and returns the order in which they get
// them.
func order(t *testing.T, slots int, attempts ...Attempt) (got []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(slots)
		var leave []func()
		for i := range r.turns {
			l, err := r.enterRoom(t.Context(), Attempt{Account: fmt.Sprint("first ", i), Known: i > slots})
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		entered := make(chan func(), len(attempts))
		for _, a := range attempts {
			go func() {
				l, err := r.enterRoom(t.Context(), a)
				if err != nil {
					got = append(got, err.(*BusyError).Limit)
					return
				}
				got = append(got, a.Account)
				entered <- l
			}()
			synctest.Wait()
		}
		for _, l := range leave {
			l()
			l() // which must end no other turn
			synctest.Wait()
			for len(entered) > 0 {
				(<-entered)()
				synctest.Wait()
			}
		}
	})
	return got
}

// Known networks come first, but not without end: one turn in four goes to an unknown network.
func TestKnownNetworksGoFirst(t *testing.T) {
	t.Parallel()
	var attempts []Attempt
	for i := range 4 {
		attempts = append(attempts, Attempt{Account: fmt.Sprint("s", i)})
	}
	for i := range 8 {
		attempts = append(attempts, Attempt{Account: fmt.Sprint("k", i), Known: true})
	}
	got := order(t, 1, attempts...)
	want := []string{"k0", "k1", "k2", "s0", "k3", "k4", "k5", "s1", "k6", "k7", "s2", "s3"}
	if !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// No account and no site can take all places. A user who sends their own right password
// without end leaves room for others.
func TestNoAccountTakesAllPlaces(t *testing.T) {
	t.Parallel()
	var attempts []Attempt
	for range maxPerAccount + 2 {
		attempts = append(attempts, Attempt{Account: "a", Known: true})
	}
	for range maxPerAccount + 1 {
		attempts = append(attempts, Attempt{Account: "a"}) // in the other lane, which has its own bound
	}
	for i := range maxWaiting/2 + 1 {
		attempts = append(attempts, Attempt{Account: fmt.Sprint(i), From: netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i))})
	}
	attempts = append(attempts, Attempt{Account: "elsewhere", From: netip.MustParseAddr("2001:db8:1::1")},
		Attempt{Account: "known", From: netip.MustParseAddr("2001:db8::1"), Known: true})
	got := order(t, 1, attempts...)
	count := func(what string) (n int) {
		for _, g := range got {
			if g == what {
				n++
			}
		}
		return n
	}
	if n := count("a"); n != 2*maxPerAccount {
		t.Errorf("%d attempts for one account got in, want %d", n, 2*maxPerAccount)
	}
	if n := count("room-account"); n != 3 {
		t.Errorf("%d were refused for the account, want 3", n)
	}
	if n := count("room-site"); n != 1 {
		t.Errorf("%d were refused for the site, want 1", n)
	}
	if count("elsewhere") != 1 || count("known") != 1 {
		t.Error("another site, or a known network of the same site, found no room")
	}
}

// A client that goes while it waits gives its place back, and its turn if that came
// at this moment.
func TestClientThatLeavesFreesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(1)
		turns := r.turns
		for range 50 {
			var leave []func()
			for range turns {
				l, err := r.enterRoom(t.Context(), Attempt{Account: fmt.Sprint(len(leave)), Known: len(leave) > 1})
				if err != nil {
					t.Fatal(err)
				}
				leave = append(leave, l)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var err error
			go func() {
				var l func()
				if l, err = r.enterRoom(ctx, Attempt{Account: "b"}); err == nil {
					l()
				}
			}()
			synctest.Wait()
			cancel() // and before the attempt sees it, its turn comes
			for _, l := range leave {
				l()
			}
			synctest.Wait()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatalf("error = %v, want Canceled", err)
			}
			if r.turns != turns || len(r.inside) != 0 {
				t.Fatalf("%d turns are free, %v inside", r.turns, r.inside)
			}
		}
	})
}

// An attempt that a throttle refuses is refused without a turn, so that it takes
// no one's place.
func TestThrottledAttemptTakesNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.create()
		for range 5 {
			h.attempt("wrong", step{email: alice})
		}
		for i := range h.Hasher.queue.strangers { // until no turn is left
			if _, err := h.Hasher.Enter(t.Context(), Attempt{Account: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		before, begun := h.store.Changes(), time.Now()
		h.attempt("throttled", step{email: alice, right: true, limit: "account-network", retry: time.Minute})
		if n := h.store.Changes() - before; n != 0 {
			t.Errorf("%d changes", n)
		}
		if time.Since(begun) > 0 {
			t.Errorf("it waited for %s", time.Since(begun))
		}
	})
}

// Commands take one slot at a time, so that sign-ins go on beside any number of them.
func TestCommandsTakeOneSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.create()
		var running atomic.Int32
		looked := make(chan struct{})
		h.Hasher.measure = func(_ hashCost, compute func()) time.Duration {
			running.Add(1)
			<-looked
			compute()
			return 0
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := h.Hasher.Hash(t.Context(), password); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := running.Load(); n != 1 {
			t.Errorf("%d hashes of commands run, want 1", n)
		}
		wg.Go(func() { h.attempt("beside the commands", step{email: alice, right: true}) })
		synctest.Wait()
		if n := running.Load(); n != 2 {
			t.Errorf("%d hashes run beside a sign-in, want 2", n)
		}
		if _, err := h.Hasher.Hash(canceled(), password); !errors.Is(err, context.Canceled) {
			t.Errorf("a command that ends while it waits: %v", err)
		}
		close(looked)
		wg.Wait()
	})
}

// A sign-in that replaces its hash has its turn, and does not wait for commands.
func TestRehashDoesNotWaitForCommands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		u := h.create()
		h.Hasher = NewHasher(cheapFIPS)
		h.Hasher.commands <- struct{}{} // one runs, and does not end
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := h.CheckPassword(ctx, alice, password, home); err != nil {
			t.Error(err)
		}
		if h.Hasher.NeedsRehash(h.user(u.ID).PasswordHash) {
			t.Error("the hash was not replaced")
		}
	})
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
