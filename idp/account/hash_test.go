package account

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var cheapFIPS = Cost{Memory: 64, Time: 1, Threads: 1, Iterations: 1000, FIPS: true, Slots: 2}

// Both forms are verified, independent of the one that is made; see
// TestPasswordIsHashedAgainAtSignIn for the next step.
func TestBothHashFormsVerify(t *testing.T) {
	t.Parallel()
	for _, c := range []Cost{cheap, cheapFIPS} {
		h := NewHasher(c)
		encoded, err := h.Hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := h.Hash(t.Context(), password)
		if encoded == again {
			t.Error("two hashes with one salt")
		}
		for _, other := range []*Hasher{NewHasher(cheap), NewHasher(cheapFIPS)} {
			if ok, _, err := other.Verify(t.Context(), encoded, password); !ok || err != nil {
				t.Errorf("%s: right password = %v, %v", encoded, ok, err)
			}
			for _, wrong := range []string{"", password + " ", strings.ToUpper(password), password[1:], strings.Repeat("x", 1000)} {
				if ok, _, err := other.Verify(t.Context(), encoded, wrong); ok || err != nil {
					t.Errorf("%s: %.30q = %v, %v", encoded, wrong, ok, err)
				}
			}
		}
	}
}

// Hashes of other programs: the vectors of the argon2 reference program and of passlib's
// documentation.
func TestVerifyAcceptsForeignHashes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, encoded, password string
	}{
		{"argon2 reference program", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"},
		{"passlib", "$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk", "toomanysecrets"},
		{"passlib, in PHC form", "$pbkdf2-sha256$i=29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A+WF/Z5JZv+lfCIhXXN33N23OSgQYThBYRfk", "toomanysecrets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := NewHasher(cheap)
			if ok, _, err := h.Verify(t.Context(), tt.encoded, tt.password); !ok || err != nil {
				t.Errorf("right password = %v, %v", ok, err)
			}
			if ok, _, err := h.Verify(t.Context(), tt.encoded, tt.password+"x"); ok || err != nil {
				t.Errorf("wrong password = %v, %v", ok, err)
			}
		})
	}
}

func TestVerifyComposesAccents(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap)
	encoded, err := h.Hash(t.Context(), "caf\u00e9 in the morning")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := h.Verify(t.Context(), encoded, "cafe\u0301 in the morning"); !ok || err != nil {
		t.Errorf("the same letters composed otherwise: %v, %v", ok, err)
	}
}

// An imported hash determines the cost of a sign-in, so its parameters are limited.
func TestParsePHCRefuses(t *testing.T) {
	t.Parallel()
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	argon := func(params string) string { return "$argon2id$v=19$" + params + "$" + salt + "$" + key }
	pbkdf2 := func(params string) string { return "$pbkdf2-sha256$" + params + "$" + salt + "$" + key }
	tests := []struct{ name, encoded string }{
		{"empty", ""},
		{"plain text", password},
		{"bcrypt", "$2b$12$EXRkfkdmXn2gzds2SSitu.MW9.gAVqa9eLS1//RYtYCmB1eLHg.9q"},
		{"argon2i", strings.Replace(argon("m=64,t=1,p=1"), "argon2id", "argon2i", 1)},
		{"old version", strings.Replace(argon("m=64,t=1,p=1"), "v=19", "v=16", 1)},
		{"no version", strings.Replace(argon("m=64,t=1,p=1"), "v=19$", "", 1)},
		{"memory of 4 GiB", argon("m=4194304,t=1,p=1")},
		{"memory over all bounds", argon("m=99999999999999999999,t=1,p=1")},
		{"no memory", argon("m=0,t=1,p=1")},
		{"negative memory", argon("m=-64,t=1,p=1")},
		{"less memory than threads need", argon("m=64,t=1,p=16")},
		{"a thousand passes", argon("m=64,t=1000,p=1")},
		{"much memory and many passes", argon("m=262144,t=16,p=1")},
		{"no passes", argon("m=64,t=0,p=1")},
		{"no threads", argon("m=64,t=1,p=0")},
		{"many threads", argon("m=8192,t=1,p=255")},
		{"other order", argon("t=1,m=64,p=1")},
		{"doubled", argon("m=64,m=64,p=1")},
		{"with a key id", argon("m=64,t=1,p=1,keyid=x")},
		{"leading zero", argon("m=064,t=1,p=1")},
		{"sign", argon("m=+64,t=1,p=1")},
		{"few iterations", pbkdf2("i=999")},
		{"a billion iterations", pbkdf2("i=1000000000")},
		{"no iterations", pbkdf2("")},
		{"hexadecimal", pbkdf2("i=0x10000")},
		{"short salt", "$argon2id$v=19$m=64,t=1,p=1$c29tZQ$" + key},
		{"long salt", "$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("c29t", 22) + "$" + key},
		{"short key", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$c29tZXNhbHQ"},
		{"long key", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("c29t", 22)},
		{"no key", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$"},
		{"salt not base64", "$argon2id$v=19$m=64,t=1,p=1$c29t*XNhbHQ$" + key},
		{"more fields", argon("m=64,t=1,p=1") + "$x"},
		{"newline", argon("m=64,t=1,p=1") + "\n"},
		{"very long", argon("m=64,t=1,p=1") + strings.Repeat("A", 600)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ok, _, err := NewHasher(cheap).Verify(t.Context(), tt.encoded, password)
			if ok || !errors.Is(err, errPHC) {
				t.Fatalf("Verify = %v, %v; want an unreadable hash", ok, err)
			}
			if strings.Contains(err.Error(), key) || strings.Contains(err.Error(), salt) {
				t.Errorf("error quotes the hash: %v", err)
			}
		})
	}
}

// Other systems write base64 with padding, which means the same.
func TestParsePHCIgnoresPadding(t *testing.T) {
	t.Parallel()
	for n := range 3 { // bytes of salt and key: no padding, one and two signs
		want := phc{alg: algPBKDF2, iterations: minIterations, salt: make([]byte, minSalt+1+n), key: make([]byte, 32+n)}
		padded := fmt.Sprintf("$%s$%d$%s$%s", want.alg, want.iterations,
			base64.StdEncoding.EncodeToString(want.salt), base64.StdEncoding.EncodeToString(want.key))
		if got, err := parsePHC(padded); err != nil || got.String() != want.String() {
			t.Errorf("%s reads as %v, %v", padded, got, err)
		}
	}
}

func TestPHCRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := phc{
			alg:  rapid.SampledFrom([]string{algArgon2id, algPBKDF2}).Draw(t, "alg"),
			salt: rapid.SliceOfN(rapid.Byte(), minSalt, maxSalt).Draw(t, "salt"),
			key:  rapid.SliceOfN(rapid.Byte(), minKey, maxKey).Draw(t, "key"),
		}
		if p.alg == algPBKDF2 {
			p.iterations = rapid.IntRange(minIterations, maxIterations).Draw(t, "i")
		} else {
			p.threads = uint8(rapid.IntRange(1, maxThreads).Draw(t, "p"))
			p.memory = uint32(rapid.IntRange(8*maxThreads, 64*1024).Draw(t, "m"))
			p.time = uint32(rapid.IntRange(1, maxTime).Draw(t, "t"))
		}
		got, err := parsePHC(p.String())
		if err != nil || fmt.Sprint(got) != fmt.Sprint(p) {
			t.Fatalf("%s reads as %v, %v", p, got, err)
		}
	})
}

func TestNeedsRehash(t *testing.T) {
	t.Parallel()
	const rest = "$c29tZXNhbHRzb21lc2FsdA$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	argon := Cost{Memory: 64, Time: 2, Threads: 1, Iterations: 2000, Slots: 1}
	fips := argon
	fips.FIPS = true
	tests := []struct {
		name    string
		cost    Cost
		encoded string
		want    bool
	}{
		{"as it would be made", argon, "$argon2id$v=19$m=64,t=2,p=1" + rest, false},
		{"dearer", argon, "$argon2id$v=19$m=128,t=3,p=2" + rest, false},
		{"less memory", argon, "$argon2id$v=19$m=63,t=2,p=1" + rest, true},
		{"fewer passes", argon, "$argon2id$v=19$m=64,t=1,p=1" + rest, true},
		{"the FIPS form outside FIPS mode", argon, "$pbkdf2-sha256$i=2000" + rest, true},
		{"short salt", argon, "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", true},
		{"FIPS mode, as it would be made", fips, "$pbkdf2-sha256$i=2000" + rest, false},
		{"FIPS mode, passlib's form", fips, "$pbkdf2-sha256$2000" + rest, false},
		{"FIPS mode, fewer iterations", fips, "$pbkdf2-sha256$i=1999" + rest, true},
		{"FIPS mode, argon2id", fips, "$argon2id$v=19$m=64,t=2,p=1" + rest, true},
		{"unreadable", argon, "x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := NewHasher(tt.cost).NeedsRehash(tt.encoded); got != tt.want {
				t.Errorf("NeedsRehash = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestHashRefusesLongPassword(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap)
	for _, p := range []string{strings.Repeat("x", MaxPassword+1), strings.Repeat("🌷", MaxPassword+1)} {
		if _, err := h.Hash(t.Context(), p); err == nil {
			t.Errorf("hashed %d bytes", len(p))
		}
	}
}

// With every slot taken, further hashes wait and leave when their request does.
func TestHashWaitsForFreeSlot(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap)
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, password); !errors.Is(err, context.Canceled) {
		t.Errorf("Hash = %v, want Canceled", err)
	}
	if _, err := h.SpendEffort(ctx, password); !errors.Is(err, context.Canceled) {
		t.Errorf("Burn = %v, want Canceled", err)
	}
	<-h.slots
	if _, err := h.Hash(t.Context(), password); err != nil {
		t.Errorf("Hash with a free slot: %v", err)
	}
}

func TestDefaultCostMeetsOWASP(t *testing.T) {
	t.Parallel()
	c := DefaultCost()
	if c.Memory < 19*1024 || c.Time < 2 || c.Iterations < 600_000 || c.Slots < 1 {
		t.Errorf("cost is below what OWASP advises: %+v", c)
	}
	if got := NewHasher(Cost{}).cost; got != c {
		t.Errorf("zero cost means %+v, want %+v", got, c)
	}
}

func BenchmarkHash(b *testing.B) {
	argon, fips := DefaultCost(), DefaultCost()
	argon.FIPS, fips.FIPS = false, true
	for name, c := range map[string]Cost{"argon2id": argon, "pbkdf2": fips} {
		b.Run(name, func(b *testing.B) {
			h := NewHasher(c)
			for b.Loop() {
				if _, err := h.Hash(b.Context(), password); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
