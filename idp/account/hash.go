package account

import (
	"cmp"
	"context"
	"crypto/fips140"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

const (
	saltSize = 16
	keySize  = 32
)

// Cost is the cost of one password hash. The zero value means DefaultCost.
type Cost struct {
	// Memory in KiB, Time in passes, Threads: argon2id (RFC 9106).
	Memory, Time uint32
	Threads      uint8
	// Iterations of PBKDF2-HMAC-SHA256 (RFC 8018 §5.2), used in FIPS mode.
	Iterations int
	// FIPS selects PBKDF2, the only approved one of the two.
	FIPS bool
	// Slots is how many hashes run at once. Further ones wait. A hash made here works in
	// Memory, so running hashes hold Slots × Memory. The garbage collector frees that memory
	// later; see Hasher.PeakMemory.
	Slots int
}

// DefaultCost returns argon2id with 19 MiB, two passes and one thread, or PBKDF2 with 600,000
// iterations when the binary runs in FIPS mode: the values of the OWASP Password Storage Cheat
// Sheet. It uses one slot per processor.
func DefaultCost() Cost {
	return Cost{
		Memory: 19 * 1024, Time: 2, Threads: 1,
		Iterations: 600_000,
		FIPS:       fips140.Enabled(),
		Slots:      runtime.NumCPU(),
	}
}

// Hasher makes and verifies password hashes in PHC form. It verifies both algorithms,
// independent of the one it makes. It decides which attempt has its turn, and how long to wait
// before an attempt is answered "no". It is safe for concurrent use.
type Hasher struct {
	cost Cost
	// slots holds one entry for each running hash. Hashes take slots in the order in which
	// they ask. The queue stays short, because attempts leave the room one by one and
	// commands ask for one slot at a time.
	slots    chan struct{}
	commands chan struct{}
	queue     *room
	pace     pace
	// prepareLock is taken while the hashes in use are measured, and prepared is true afterwards.
	prepareLock chan struct{}
	isPrepared  atomic.Bool
	// measure runs a hash and returns how long it took.
	measure func(w hashCost, compute func()) time.Duration
}

// NewHasher returns a Hasher. Cost{} selects the defaults.
func NewHasher(c Cost) *Hasher {
	c = cmp.Or(c, DefaultCost())
	slots := max(1, c.Slots)
	return &Hasher{
		cost: c, slots: make(chan struct{}, slots), commands: make(chan struct{}, 1), queue: newRoom(slots),
		prepareLock: make(chan struct{}, 1),
		measure: func(_ hashCost, compute func()) time.Duration {
			begun := time.Now()
			compute()
			return time.Since(begun)
		},
	}
}

// Hash returns the PHC string of a password with a new random salt, for operators' commands.
// It waits for a free slot, or until ctx is done. All commands together take one slot at a
// time, so that they cannot keep sign-ins waiting. Sign-ins cannot keep commands waiting
// either, because few sign-ins ask for a slot at once.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	select {
	case h.commands <- struct{}{}:
		defer func() { <-h.commands }()
	case <-ctx.Done():
		return "", fmt.Errorf("wait for a password hash: %w", context.Cause(ctx))
	}
	return h.hashWithPermit(ctx, password)
}

// hashWithPermit works like Hash, for an attempt that has its turn.
func (h *Hasher) hashWithPermit(ctx context.Context, password string) (string, error) {
	if !isHashable(password) {
		return "", errors.New("password too long to be hashed")
	}
	p := h.newParams()
	p.salt = make([]byte, saltSize)
	rand.Read(p.salt)
	var err error
	if p.key, _, err = h.deriveKey(ctx, p, password); err != nil {
		return "", err
	}
	return p.String(), nil
}

// Verify reports whether the password matches the PHC string, and the effort spent. It returns an
// error, and compares nothing, if the string is unreadable or if ctx is done while waiting for a
// slot.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (bool, Effort, error) {
	p, err := parsePHC(encoded)
	if err != nil {
		return false, Effort{}, err
	}
	if !isHashable(password) {
		return false, Effort{}, nil
	}
	key, spent, err := h.deriveKey(ctx, p, password)
	if err != nil {
		return false, Effort{}, err
	}
	return subtle.ConstantTimeCompare(key, p.key) == 1, spent, nil
}

// SpendEffort spends the effort of Verify on a hash of the current cost, for accounts that do not exist.
func (h *Hasher) SpendEffort(ctx context.Context, password string) (Effort, error) {
	p := h.newParams()
	p.salt = make([]byte, saltSize)
	p.key = make([]byte, keySize)
	if !isHashable(password) {
		return Effort{}, nil // the same limit as in Verify
	}
	key, spent, err := h.deriveKey(ctx, p, password)
	// Compare as Verify does, for the same timing. The result is not used.
	subtle.ConstantTimeCompare(key, p.key)
	return spent, err
}

// NeedsRehash reports whether a PHC string uses another algorithm than the current one, or
// costs less. A more expensive hash, for example from an import, is kept.
func (h *Hasher) NeedsRehash(encoded string) bool {
	p, err := parsePHC(encoded)
	if err != nil {
		return false // it cannot be verified either
	}
	want := h.newParams()
	return p.alg != want.alg || p.memory < want.memory || p.time < want.time || p.iterations < want.iterations ||
		len(p.salt) < saltSize || len(p.key) < keySize
}

// newParams returns the parameters of new hashes, without salt and key.
func (h *Hasher) newParams() phc {
	if h.cost.FIPS {
		return phc{alg: algPBKDF2, iterations: h.cost.Iterations}
	}
	return phc{alg: algArgon2id, memory: h.cost.Memory, time: h.cost.Time, threads: h.cost.Threads}
}

// deriveKey waits for a slot and computes the key of a password in it.
func (h *Hasher) deriveKey(ctx context.Context, p phc, password string) (key []byte, spent Effort, err error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, Effort{}, fmt.Errorf("wait for a password hash: %w", context.Cause(ctx))
	}
	spent.cost = p.computeCost()
	spent.duration = h.measure(spent.cost, func() { key, err = p.computeKey(password) })
	return key, spent, err
}

// computeKey returns the key of the password under the hash's parameters.
func (p phc) computeKey(password string) ([]byte, error) {
	size := keySize
	if p.key != nil {
		size = len(p.key)
	}
	if p.alg == algPBKDF2 {
		return pbkdf2.Key(sha256.New, string(normalizePassword(password)), p.salt, p.iterations, size)
	}
	return argon2.IDKey(normalizePassword(password), p.salt, p.time, p.memory, p.threads, uint32(size)), nil
}
