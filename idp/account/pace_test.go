package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"vernal/idp"
)

const phcRest = "$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

// longKey is the rest of a PBKDF2 hash whose key has two blocks.
var longKey = "$c29tZXNhbHRzb21lc2FsdA$" + strings.Repeat("A", 86)

// meter measures hashes on a simulated machine: the time depends only on the work and on how
// busy the machine is.
type meter struct {
	took atomic.Int64
	busy atomic.Int64 // the factor by which everything takes longer
}

// attach makes the meter measure the Hasher's time. No hash is computed any more, so every
// password is wrong.
func (m *meter) attach(h *Hasher) {
	m.busy.Store(1)
	h.measure = func(w hashCost, _ func()) time.Duration {
		d := time.Duration(w.Iterations) * time.Microsecond
		if w.Algorithm == algArgon2id {
			d = time.Duration(w.Memory) * time.Duration(w.Time) * time.Millisecond / time.Duration(w.Threads)
		}
		d *= time.Duration(m.busy.Load())
		m.took.Add(int64(d))
		return d
	}
}

// measureCall returns the time that a call takes of the machine and of the clock. The clock must be
// a test's, which stops while hashes are computed.
func (m *meter) measureCall(do func()) time.Duration {
	before, begun := m.took.Load(), time.Now()
	do()
	return time.Duration(m.took.Load()-before) + time.Since(begun)
}

// importEachKind imports a user of each kind, and returns the email addresses by kind.
func (h *house) importEachKind() map[string]string {
	h.t.Helper()
	kinds := map[string]string{
		"imported, PBKDF2 with 600,000 iterations":  "$pbkdf2-sha256$i=600000" + phcRest,
		"imported, PBKDF2 with a key of two blocks": "$pbkdf2-sha256$i=450000" + longKey,
		"imported, PBKDF2 with 1,000 iterations":    "$pbkdf2-sha256$i=1000" + phcRest,
		"imported, argon2id with little memory":     "$argon2id$v=19$m=8,t=1,p=1" + phcRest,
		"imported, argon2id with more memory":       "$argon2id$v=19$m=128,t=2,p=1" + phcRest,
		"imported, argon2id with threads":           "$argon2id$v=19$m=64,t=3,p=4" + phcRest,
		"imported without a password":               "",
	}
	var file strings.Builder
	at := map[string]string{}
	for kind, hash := range kinds {
		at[kind] = fmt.Sprintf("i%d@example.gov", len(at))
		fmt.Fprintf(&file, "{\"email\":%q,\"password_hash\":%q}\n", at[kind], hash)
	}
	h.take(file.String(), ImportOptions{})
	for _, kind := range []string{"made here", "locked", "deleted", "with a hash that cannot be read"} {
		at[kind] = fmt.Sprintf("h%d@example.gov", len(at))
		u, _, err := h.Create(h.t.Context(), NewUser{Email: at[kind], Password: password}, actor)
		if err == nil && kind == "with a hash that cannot be read" {
			err = h.store.UpdateUser(h.t.Context(), u.ID, func(u *idp.User) error { u.PasswordHash = "x"; return nil })
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	if _, err := h.Lock(h.t.Context(), at["locked"], "", actor); err != nil {
		h.t.Fatal(err)
	}
	if err := h.Delete(h.t.Context(), at["deleted"], actor); err != nil {
		h.t.Fatal(err)
	}
	at["an email address without an account"] = "no@example.gov"
	return at
}

// Every "no" takes equally long, machine and clock together. Otherwise one wrong password
// would disclose who has an account, and who was imported. On a busy machine, where hashes
// take longer, all take longer.
func TestEveryNoTakesAsLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, all := aliceOfThree(t)
		people := h.importEachKind()
		people["guessed at too often at another address"] = all[0]
		h.Hasher = NewHasher(cheap)
		var m meter
		m.attach(h.Hasher)
		if err := h.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		no := func(email, guess string) time.Duration {
			h.pass(time.Hour)
			return m.measureCall(func() {
				if _, err := h.CheckPassword(t.Context(), email, guess, netip.MustParseAddr("203.0.113.9")); !errors.Is(err, ErrWrong) {
					t.Errorf("%s: %v, want ErrWrong", email, err)
				}
			})
		}
		for _, busy := range []int64{1, 2, 3, 4, 5, 2, 1} {
			m.busy.Store(busy)
			want := slack * 900 * time.Millisecond // 450,000 iterations for each block
			switch {
			case busy > 2*slack:
				want *= 4
			case busy > slack:
				want *= 2
			}
			time.Sleep(levelDuration) // on the clock of the test
			if got := no("first@example.gov", password); got != want {
				t.Errorf("%d times busy: no to no one takes %s, want %s", busy, got, want)
			}
			for kind, email := range people {
				if got := no(email, password); got != want {
					t.Errorf("%d times busy: no to a user %s takes %s, want %s", busy, kind, got, want)
				}
			}
			if got := no(people["made here"], strings.Repeat("x", MaxPassword+1)); got != want {
				t.Errorf("%d times busy: no to a password that is too long takes %s, want %s", busy, got, want)
			}
		}
	})
}

// The remaining time of a "no" is waited for without a slot and without a turn, and ends with
// the request. The guess still counts.
func TestFailureDelayHoldsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		people := h.importEachKind()
		h.Hasher = NewHasher(cheap)
		var m meter
		m.attach(h.Hasher)
		if err := h.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		limit := DefaultLimits().AccountNetwork.Max
		for i := range limit {
			ctx, cancel := context.WithCancel(t.Context())
			answered := make(chan error, 1)
			go func() {
				_, err := h.CheckPassword(ctx, people["made here"], "tulips in the sun", home)
				answered <- err
			}()
			synctest.Wait()
			if len(answered) > 0 {
				t.Fatalf("attempt %d was answered at once", i)
			}
			if n := h.Hasher.queue.turns; n != newRoom(cheap.Slots).turns || len(h.Hasher.slots) != 0 {
				t.Errorf("attempt %d holds a turn or a slot: %d turns are free, %d slots are taken", i, n, len(h.Hasher.slots))
			}
			begun := time.Now()
			cancel()
			if err := <-answered; !errors.Is(err, ErrWrong) || time.Since(begun) > 0 {
				t.Errorf("attempt %d, given up: %v after %s, want ErrWrong at once", i, err, time.Since(begun))
			}
		}
		h.attempt("after guesses that were given up", step{email: people["made here"], limit: "account-network", retry: time.Minute})
	})
}

// After a start, a server knows the cost of its users' hashes, even in a store of an older
// version, and records it once.
func TestHashCostsSurviveRestart(t *testing.T) {
	t.Parallel()
	const dear = `{"email":"dear@example.gov","password_hash":"$pbkdf2-sha256$i=600000` + phcRest + `"}`
	restart := func(h *house) (lacks time.Duration, changes uint64) {
		h.t.Helper()
		h.Hasher = NewHasher(cheap)
		new(meter).attach(h.Hasher)
		before := h.store.Changes()
		if err := h.Prepare(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		return h.Hasher.pace.computeDelay(Effort{}), h.store.Changes() - before
	}
	const cheapTakes, dearTakes = slack * 64 * time.Millisecond, slack * 600 * time.Millisecond

	t.Run("imported", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		if takes, changes := restart(h); takes != cheapTakes || changes != 1 {
			t.Errorf("new store: a no takes %s, %d changes", takes, changes)
		}
		h.take(dear, ImportOptions{DryRun: true})
		if takes, changes := restart(h); takes != cheapTakes || changes != 0 {
			t.Errorf("after a dry run: a no takes %s, %d changes", takes, changes)
		}
		before := h.store.Changes()
		checkResult(t, h.take(dear, ImportOptions{}), 1, 0, nil)
		if n := h.store.Changes() - before; n != 2 {
			t.Errorf("import made %d changes, want the users and the document", n)
		}
		if takes := h.Hasher.pace.computeDelay(Effort{}); takes != dearTakes {
			t.Errorf("in the server that imported: a no takes %s", takes)
		}
		before = h.store.Changes()
		checkResult(t, h.take(strings.Replace(dear, "dear@", "other@", 1), ImportOptions{}), 1, 0, nil)
		if n := h.store.Changes() - before; n != 1 {
			t.Errorf("import of a known cost made %d changes, want the users alone", n)
		}
		for range 2 {
			if takes, changes := restart(h); takes != dearTakes || changes != 0 {
				t.Errorf("after a start: a no takes %s, %d changes", takes, changes)
			}
		}
	})
	t.Run("seen at a sign-in", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		u := h.create()
		restart(h)
		err := h.store.UpdateUser(t.Context(), u.ID, func(u *idp.User) error { u.PasswordHash = "$pbkdf2-sha256$i=600000" + phcRest; return nil })
		if err != nil {
			t.Fatal(err)
		}
		h.attempt("wrong", step{email: alice})
		if takes := h.Hasher.pace.computeDelay(Effort{}); takes != dearTakes {
			t.Errorf("a no takes %s", takes)
		}
		if takes, changes := restart(h); takes != dearTakes || changes != 0 {
			t.Errorf("after a start: a no takes %s, %d changes", takes, changes)
		}
	})
}

// The list stays short no matter how many costs there are, and what it omits takes no longer
// than what it contains.
func TestMergedWorkListStaysShort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var works []hashCost
		most := 0
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			w := hashCost{Algorithm: algPBKDF2, Iterations: rapid.IntRange(minIterations, 2*maxIterations).Draw(t, "i")}
			if rapid.Bool().Draw(t, "argon2id") {
				w = hashCost{
					Algorithm: algArgon2id, Memory: uint32(rapid.IntRange(8*maxThreads, maxMemory/4).Draw(t, "m")),
					Time: uint32(rapid.IntRange(1, maxTime).Draw(t, "t")), Threads: uint8(rapid.IntRange(1, 4).Draw(t, "p")),
				}
			}
			if !w.isValid() {
				t.Fatalf("%+v is not valid", w)
			}
			works = mergeWorks(works, []hashCost{w})
			most = max(most, w.Iterations)
		}
		if len(works) > maxWorks {
			t.Fatalf("%d works", len(works))
		}
		if most > 0 && works[0].Iterations != most {
			t.Fatalf("the most iterations are %d: %+v", most, works)
		}
		for i, w := range works {
			for j, o := range works {
				if i != j && o.covers(w) {
					t.Fatalf("%+v covers %+v", o, w)
				}
			}
		}
	})
}

// The memory of hashes is what the most expensive one in use needs, in each slot.
func TestPeakMemoryFollowsDearestHash(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := h.Hasher.PeakMemory(), int64(cheap.Slots)*int64(cheap.Memory)*1024; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	h.take(`{"email":"dear@example.gov","password_hash":"$argon2id$v=19$m=256,t=1,p=1`+phcRest+`"}`, ImportOptions{})
	if got, want := h.Hasher.PeakMemory(), int64(cheap.Slots)*256*1024; got != want {
		t.Errorf("after an import %d bytes, want %d", got, want)
	}
}
