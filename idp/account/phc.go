package account

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	algArgon2id = "argon2id"
	algPBKDF2   = "pbkdf2-sha256"
)

// Limits of a PHC string that we verify. An imported hash determines the cost of a sign-in.
// These limits keep the most expensive hash to about a second.
const (
	maxEncoded      = 512
	minMemory       = 8          // KiB, RFC 9106 §3.1
	maxMemory       = 256 * 1024 // KiB
	maxTime         = 16
	maxMemoryTime   = 1024 * 1024 // KiB × passes
	maxThreads      = 16
	minIterations   = 1_000
	maxIterations   = 5_000_000
	minSalt, minKey = 8, 16
	maxSalt, maxKey = 64, 64
)

// phc is a parsed password hash:
//
//	$argon2id$v=19$m=19456,t=2,p=1$SALT$KEY
//	$pbkdf2-sha256$i=600000$SALT$KEY
//
// SALT and KEY are base64 without padding. Padding written by other programs is ignored. For
// PBKDF2, the form of passlib, with the bare number of rounds and "." for "+", is read too.
type phc struct {
	alg          string
	memory, time uint32
	threads      uint8
	iterations   int
	salt, key    []byte
}

// computeCost returns the cost of computing the hash.
func (p phc) computeCost() hashCost {
	if p.alg == algPBKDF2 {
		blocks := max(1, (len(p.key)+sha256.Size-1)/sha256.Size) // RFC 8018 §5.2: each costs as much as the first
		return hashCost{Algorithm: p.alg, Iterations: p.iterations * blocks}
	}
	return hashCost{Algorithm: p.alg, Memory: p.memory, Time: p.time, Threads: p.threads}
}

// errPHC never quotes the hash, because errors reach logs.
var errPHC = errors.New("password hash cannot be read")

func (p phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	if p.alg == algPBKDF2 {
		return fmt.Sprintf("$%s$i=%d$%s$%s", p.alg, p.iterations, b64(p.salt), b64(p.key))
	}
	return fmt.Sprintf("$%s$v=19$m=%d,t=%d,p=%d$%s$%s", p.alg, p.memory, p.time, p.threads, b64(p.salt), b64(p.key))
}

func parsePHC(s string) (phc, error) {
	if len(s) > maxEncoded {
		return phc{}, fmt.Errorf("%w: longer than %d bytes", errPHC, maxEncoded)
	}
	if strings.ContainsAny(s, "\r\n") { // encoding/base64 ignores these
		return phc{}, fmt.Errorf("%w: not on one line", errPHC)
	}
	parts := strings.Split(s, "$")
	if len(parts) < 2 || parts[0] != "" {
		return phc{}, fmt.Errorf("%w: not in PHC form", errPHC)
	}
	p := phc{alg: parts[1]}
	var err error
	switch {
	case p.alg == algArgon2id && len(parts) == 6 && parts[2] == "v=19":
		err = p.readArgon2(parts[3])
	case p.alg == algPBKDF2 && len(parts) == 5:
		err = p.readPBKDF2(parts[2])
	case p.alg == algArgon2id || p.alg == algPBKDF2:
		err = fmt.Errorf("%w: %s with other fields than expected", errPHC, p.alg)
	default:
		err = fmt.Errorf("%w: algorithm is neither argon2id nor pbkdf2-sha256", errPHC)
	}
	if err != nil {
		return phc{}, err
	}
	var errSalt, errKey error
	p.salt, errSalt = readBase64(parts[len(parts)-2], "salt", minSalt, maxSalt)
	p.key, errKey = readBase64(parts[len(parts)-1], "key", minKey, maxKey)
	if err := cmp.Or(errSalt, errKey); err != nil {
		return phc{}, err
	}
	return p, nil
}

func (p *phc) readArgon2(params string) error {
	fields := strings.Split(params, ",")
	if len(fields) != 3 {
		return fmt.Errorf("%w: want m, t and p", errPHC)
	}
	m, errM := readNumber(fields[0], "m=", minMemory, maxMemory)
	t, errT := readNumber(fields[1], "t=", 1, maxTime)
	threads, errP := readNumber(fields[2], "p=", 1, maxThreads)
	if err := cmp.Or(errM, errT, errP); err != nil {
		return err
	}
	if m*t > maxMemoryTime || m < 8*threads {
		return fmt.Errorf("%w: m, t and p do not go together", errPHC)
	}
	p.memory, p.time, p.threads = uint32(m), uint32(t), uint8(threads)
	return nil
}

func (p *phc) readPBKDF2(params string) error {
	n, err := readNumber("i="+strings.TrimPrefix(params, "i="), "i=", minIterations, maxIterations)
	p.iterations = n
	return err
}

// readNumber reads a prefix and a decimal number without sign or leading zero.
func readNumber(field, prefix string, low, high int) (int, error) {
	digits, ok := strings.CutPrefix(field, prefix)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || strconv.Itoa(n) != digits || n < low || n > high {
		return 0, fmt.Errorf("%w: %s must be a number from %d to %d", errPHC, prefix, low, high)
	}
	return n, nil
}

func readBase64(s, what string, low, high int) ([]byte, error) {
	s = strings.TrimRight(strings.ReplaceAll(s, ".", "+"), "=")
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s is not base64, or was cut", errPHC, what)
	case len(b) < low || len(b) > high:
		return nil, fmt.Errorf("%w: %s has %d bytes; %d to %d are accepted", errPHC, what, len(b), low, high)
	}
	return b, nil
}
