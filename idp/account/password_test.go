package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	tests := []struct {
		name, email, password string
		want                  error
	}{
		{"right", alice, password, nil},
		{"address in upper case, with space", " ALICE@EXAMPLE.GOV ", password, nil},
		{"wrong", alice, "tulips in the sun", ErrWrong},
		{"other case", alice, strings.ToUpper(password), ErrWrong},
		{"empty password", alice, "", ErrWrong},
		{"huge password", alice, strings.Repeat("x", 1<<20), ErrWrong},
		{"unknown address", "bob@example.gov", password, ErrWrong},
		{"empty address", "", password, ErrWrong},
		{"not an address", "alice", password, ErrWrong},
		{"huge address", alice + strings.Repeat("x", 1<<20), password, ErrWrong},
		{"bad UTF-8", "alice\xff@example.gov", password, ErrWrong},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// Each attempt comes from another network, so that none is throttled.
			from := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
			got, err := h.CheckPassword(t.Context(), tt.email, tt.password, from)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if tt.want == nil && got.ID != u.ID {
				t.Errorf("got person %s, want %s", got.ID, u.ID)
			}
			if tt.want != nil && got != nil {
				t.Errorf("got a person with the error")
			}
		})
	}
}

// A locked account answers like any other until the password is right.
func TestLockIsDisclosedOnlyToRightPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	if _, err := h.Lock(t.Context(), alice, "", actor); err != nil {
		t.Fatal(err)
	}
	if _, err := h.CheckPassword(t.Context(), alice, "tulips in the sun", home); !errors.Is(err, ErrWrong) {
		t.Errorf("wrong password: %v, want ErrWrong", err)
	}
	if u, err := h.CheckPassword(t.Context(), alice, password, home); !errors.Is(err, ErrLocked) || u != nil {
		t.Errorf("right password: %v, %v, want ErrLocked", u, err)
	}
}

// traced records the calls to a store, without the values.
type traced struct {
	Store
	mu    sync.Mutex
	calls []string
}

func (s *traced) note(format string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, a...))
}

func (s *traced) UserByEmail(ctx context.Context, a string) (*idp.User, error) {
	s.note("UserByEmail")
	return s.Store.UserByEmail(ctx, a)
}

func (s *traced) Documents(ctx context.Context, kind string, q idp.DocumentQuery) ([]idp.Document, error) {
	s.note("Documents %s %v", kind, shapes(q.Keys))
	return s.Store.Documents(ctx, kind, q)
}

func (s *traced) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, e ...idp.AuditEvent) error {
	s.note("UpdateDocuments %s %v", kind, shapes(keys))
	return s.Store.UpdateDocuments(ctx, kind, keys, change, e...)
}

// shapes returns the names of counters, and the lengths of their hashes.
func shapes(keys []string) (all []string) {
	for _, key := range keys {
		name, hash, _ := strings.Cut(key, "/")
		all = append(all, fmt.Sprint(name, " ", len(hash)))
	}
	return all
}

func (s *traced) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, e ...idp.AuditEvent) error {
	s.note("UpdateUser")
	return s.Store.UpdateUser(ctx, id, change, e...)
}

// An email address without an account cannot be distinguished from one with an account: the
// same look-ups, the same writes, a hash of the same cost.
func TestUnknownAddressTakesTheSameWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	if err := h.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	trace := &traced{Store: h.store}
	h.Store = trace
	attempt := func(email string) []string {
		trace.calls = nil
		if _, err := h.CheckPassword(t.Context(), email, "tulips in the sun", home); !errors.Is(err, ErrWrong) {
			t.Fatalf("%s: %v, want ErrWrong", email, err)
		}
		return trace.calls
	}
	known, unknown := attempt(alice), attempt("bob@example.gov")
	if len(known) < 5 {
		t.Errorf("only %v", known)
	}
	if diff := cmp.Diff(known, unknown); diff != "" {
		t.Errorf("calls (-known +unknown):\n%s", diff)
	}

	// With no slot free, a hash fails for a request that has ended. The failure shows that
	// a hash was about to be made.
	for range cap(h.Hasher.slots) {
		h.Hasher.slots <- struct{}{}
	}
	for _, email := range []string{alice, "bob@example.gov"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := h.CheckPassword(ctx, email, "tulips in the sun", netip.Addr{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v: no hash was made", email, err)
		}
		cancel()
	}
}

// Attempts are counted before they are compared: of many simultaneous attempts, only as many
// as the limit are compared.
func TestConcurrentGuessesAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	for _, email := range []string{alice, "bob@example.gov"} {
		var wrong, throttled atomic.Int32
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				_, err := h.CheckPassword(t.Context(), email, fmt.Sprint("guess number ", i), home)
				for isBusy(err) { // no guess was made
					_, err = h.CheckPassword(t.Context(), email, fmt.Sprint("guess number ", i), home)
				}
				_, limited := errors.AsType[*ThrottledError](err)
				switch {
				case errors.Is(err, ErrWrong):
					wrong.Add(1)
				case limited:
					throttled.Add(1)
				default:
					t.Errorf("guess %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if wrong.Load() != 5 || throttled.Load() != 25 {
			t.Errorf("%s: %d compared, %d throttled; want 5 and 25", email, wrong.Load(), throttled.Load())
		}
		h.pass(time.Hour) // past the network's block
	}
}

// A fault gives the attempt back, because it was not a guess.
func TestFaultGivesTheAttemptBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	for range cap(h.Hasher.slots) {
		h.Hasher.slots <- struct{}{}
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := h.CheckPassword(ctx, alice, password, home); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error = %v", err)
		}
		cancel()
	}
	for range cap(h.Hasher.slots) {
		<-h.Hasher.slots
	}
	if _, err := h.CheckPassword(t.Context(), alice, password, home); err != nil {
		t.Errorf("after ten faults: %v", err)
	}
}

// Both forms sign in, and the form that is not current is replaced.
func TestPasswordIsHashedAgainAtSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	for _, tt := range []struct {
		name   string
		cost   Cost
		prefix string
	}{
		{"FIPS mode begins", cheapFIPS, "$pbkdf2-sha256$i=1000$"},
		{"FIPS mode ends", cheap, "$argon2id$v=19$m=64,t=1,p=1$"},
		{"dearer", Cost{Memory: 128, Time: 2, Threads: 1, Slots: 1}, "$argon2id$v=19$m=128,t=2,p=1$"},
		{"cheaper: stays", cheap, "$argon2id$v=19$m=128,t=2,p=1$"},
	} {
		h.Hasher = NewHasher(tt.cost)
		before := h.user(u.ID)
		got, err := h.CheckPassword(t.Context(), alice, password, home)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		after := h.user(u.ID)
		if !strings.HasPrefix(after.PasswordHash, tt.prefix) {
			t.Errorf("%s: hash is %.32s…, want %s…", tt.name, after.PasswordHash, tt.prefix)
		}
		if got.PasswordHash != after.PasswordHash {
			t.Errorf("%s: the person returned has the old hash", tt.name)
		}
		if !after.PasswordChangedAt.Equal(before.PasswordChangedAt) {
			t.Errorf("%s: PasswordChangedAt moved", tt.name)
		}
	}
	if _, err := h.CheckPassword(t.Context(), alice, "tulips in the sun", home); !errors.Is(err, ErrWrong) {
		t.Errorf("wrong password: %v", err)
	}
}

// racingStore changes the password between its look-up and the re-hash.
type racingStore struct {
	Store
	change func()
}

func (s *racingStore) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, e ...idp.AuditEvent) error {
	s.change()
	return s.Store.UpdateUser(ctx, id, change, e...)
}

func TestRehashLosesAgainstNewPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create()
	h.Store = &racingStore{Store: h.store, change: sync.OnceFunc(func() {
		s := *h.Service
		s.Store = h.store
		if _, err := s.SetPassword(t.Context(), alice, "crocus under the ice", actor); err != nil {
			t.Error(err)
		}
	})}
	h.Hasher = NewHasher(cheapFIPS)
	if _, err := h.CheckPassword(t.Context(), alice, password, home); err != nil {
		t.Fatal(err)
	}
	if _, err := h.CheckPassword(t.Context(), alice, "crocus under the ice", home); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestUnreadableHashRefusesSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.create()
	for _, encoded := range []string{"", "x", "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA"} {
		err := h.store.UpdateUser(t.Context(), u.ID, func(u *idp.User) error {
			u.PasswordHash = encoded
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.CheckPassword(t.Context(), alice, password, home); !errors.Is(err, ErrWrong) {
			t.Errorf("hash %q: %v, want ErrWrong", encoded, err)
		}
	}
}
