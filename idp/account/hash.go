package account

import (
	"context"
	"crypto/fips140"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/crypto/argon2"
)

const (
	saltSize = 16
	keySize  = 32
)

// Cost is what one password hash costs. The zero value stands for DefaultCost.
type Cost struct {
	// Memory in KiB, Time in passes, Threads: argon2id (RFC 9106).
	Memory, Time uint32
	Threads      uint8
	// Iterations of PBKDF2-HMAC-SHA256 (RFC 8018 §5.2), used in FIPS mode.
	Iterations int
	// FIPS chooses PBKDF2, the only approved one of the two.
	FIPS bool
	// Slots is how many hashes run at once; further ones wait. It bounds the
	// memory that sign-ins take to Slots × Memory.
	Slots int
}

// DefaultCost is argon2id with 19 MiB, two passes and one thread, or PBKDF2
// with 600,000 iterations when the binary runs in FIPS mode: the figures of the
// OWASP Password Storage Cheat Sheet. One slot per processor.
func DefaultCost() Cost {
	return Cost{
		Memory: 19 * 1024, Time: 2, Threads: 1,
		Iterations: 600_000,
		FIPS:       fips140.Enabled(),
		Slots:      runtime.NumCPU(),
	}
}

// Hasher makes and verifies password hashes in PHC form. It verifies both
// algorithms whichever one it makes. It is safe for concurrent use.
type Hasher struct {
	cost  Cost
	slots chan struct{}
}

// NewHasher makes a Hasher; Cost{} takes the defaults.
func NewHasher(c Cost) *Hasher {
	if c == (Cost{}) {
		c = DefaultCost()
	}
	return &Hasher{cost: c, slots: make(chan struct{}, max(1, c.Slots))}
}

// Hash makes the PHC string of a password with a new random salt. It waits for
// a free slot, or until ctx is done.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if !hashable(password) {
		return "", errors.New("password too long to be hashed")
	}
	p := h.current()
	p.salt = make([]byte, saltSize)
	rand.Read(p.salt)
	var err error
	if p.key, err = h.derive(ctx, p, password); err != nil {
		return "", err
	}
	return p.String(), nil
}

// Verify reports whether the password is the one of the PHC string. A string
// that cannot be read gives an error, and so does ctx while waiting for a slot;
// then nothing was compared. To say no to a hash that is cheaper than Hash makes
// them takes as long as to one of those: people who came from elsewhere would
// else be told from addresses that nobody has.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (bool, error) {
	p, err := parsePHC(encoded)
	if err != nil {
		return false, err
	}
	if !hashable(password) {
		return false, nil
	}
	key, err := h.derive(ctx, p, password)
	if err != nil {
		return false, err
	}
	if subtle.ConstantTimeCompare(key, p.key) == 1 {
		return true, nil
	}
	return false, h.makeUp(ctx, p, password)
}

// makeUp spends what a hash of the current cost takes more than p did.
func (h *Hasher) makeUp(ctx context.Context, p phc, password string) error {
	rest, ok := h.shortfall(p)
	if !ok {
		return nil
	}
	rest.salt, rest.key = make([]byte, saltSize), make([]byte, keySize)
	_, err := h.derive(ctx, rest, password)
	return err
}

// shortfall is a hash that takes as long as p lacks to the current cost; ok is
// false if it lacks nothing.
func (h *Hasher) shortfall(p phc) (rest phc, ok bool) {
	rest = h.current()
	lacks := rest.work() - p.work()
	if lacks <= 0 {
		return phc{}, false
	}
	if rest.alg == algPBKDF2 {
		rest.iterations = lacks
		return rest, true
	}
	// A pass or more, over as much memory as makes up for it.
	kib := lacks * 4 / 9
	rest.time = uint32(max(1, kib/int(rest.memory)))
	rest.memory = uint32(max(minMemory*int(rest.threads), kib/int(rest.time)))
	return rest, true
}

// Burn spends what Verify spends on a hash of the current cost, for accounts
// that do not exist.
func (h *Hasher) Burn(ctx context.Context, password string) error {
	p := h.current()
	p.salt = make([]byte, saltSize)
	p.key = make([]byte, keySize)
	if !hashable(password) {
		return nil // as Verify does
	}
	key, err := h.derive(ctx, p, password)
	// Compared as in Verify; the result means nothing.
	subtle.ConstantTimeCompare(key, p.key)
	return err
}

// NeedsRehash reports whether a PHC string was made with another algorithm than
// the current one, or cheaper. A dearer one, as from an import, stays.
func (h *Hasher) NeedsRehash(encoded string) bool {
	p, err := parsePHC(encoded)
	if err != nil {
		return false // cannot be verified either
	}
	want := h.current()
	return p.alg != want.alg || p.memory < want.memory || p.time < want.time || p.iterations < want.iterations ||
		len(p.salt) < saltSize || len(p.key) < keySize
}

// current are the parameters of new hashes, without salt and key.
func (h *Hasher) current() phc {
	if h.cost.FIPS {
		return phc{alg: algPBKDF2, iterations: h.cost.Iterations}
	}
	return phc{alg: algArgon2id, memory: h.cost.Memory, time: h.cost.Time, threads: h.cost.Threads}
}

// derive computes the key of a password in a slot.
func (h *Hasher) derive(ctx context.Context, p phc, password string) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a password hash: %w", context.Cause(ctx))
	}
	size := keySize
	if p.key != nil {
		size = len(p.key)
	}
	if p.alg == algPBKDF2 {
		return pbkdf2.Key(sha256.New, string(normalPassword(password)), p.salt, p.iterations, size)
	}
	return argon2.IDKey(normalPassword(password), p.salt, p.time, p.memory, p.threads, uint32(size)), nil
}
