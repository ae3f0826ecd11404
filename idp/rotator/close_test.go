package rotator_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
)

// springDeployment returns an installation on 15 February 2027, and its folder: 2026 is
// preferred, 2027 is published.
func springDeployment(t *testing.T) (*deployment, string, []byte) {
	t.Helper()
	folder, master := t.TempDir(), make([]byte, 32)
	rand.Read(master)
	w := openDeployment(t, folder, master, day(2026, 11, 22))
	w.run(day(2027, 2, 15), w.started())
	return w, folder, master
}

// wantClosed checks that the year is over and that nothing of it can sign.
func wantClosed(t *testing.T, s *rotator.Service, y idp.Year, now time.Time) {
	t.Helper()
	e, found := s.Ring.Lookup(y, now)
	if !found || !e.State.IsOver() || e.Key.Signer != nil {
		t.Errorf("%s is %s, found: %v, has a private key in memory: %v; want it over, without one", y, e.State, found, e.Key != nil && e.Key.Signer != nil)
	}
}

func wantPreferred(t *testing.T, s *rotator.Service, y idp.Year, now time.Time) {
	t.Helper()
	if e, err := s.Ring.Preferred(now); err != nil || e.Year() != y || e.Key.Signer == nil {
		t.Errorf("preferred is %q, %v; want %s", e.Year(), err, y)
	}
}

// TestRevokeClosesWithoutReadingKeys checks that a revocation closes a year from memory, so
// that neither a failing disk nor the holder of a stolen key can keep it open.
func TestRevokeClosesWithoutReadingKeys(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, keys string, names ...string) {
		t.Helper()
		for _, name := range names {
			ok(t, os.WriteFile(filepath.Join(keys, name), []byte("damaged"), 0o600))
		}
	}
	tests := []struct {
		name      string
		breakKeys func(t *testing.T, keys string)
	}{
		{"a damaged stray certificate", func(t *testing.T, keys string) { write(t, keys, "2031.crt") }},
		{"two private keys of one year", func(t *testing.T, keys string) { write(t, keys, "2031.key", "2031.token") }},
		{"a file-system error", func(t *testing.T, keys string) {
			ok(t, os.Rename(keys, keys+".away"))
			ok(t, os.WriteFile(keys, nil, 0o600))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, folder, _ := springDeployment(t)
			s, other := w.started(), w.started()
			tt.breakKeys(t, filepath.Join(folder, "keys"))
			_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "leaked"}, "test", false)
			ok(t, err)
			wantClosed(t, s, "2026", w.Clock.Now())
			wantPreferred(t, s, "2027", w.Clock.Now())
			// Another server sees it with its next round, as little dependent on keys.
			ok(t, other.Tick(t.Context(), time.Minute))
			wantClosed(t, other, "2026", w.Clock.Now())
			wantPreferred(t, other, "2027", w.Clock.Now())
		})
	}
}

// TestRevokeMakesLetterBesideDamagedYear checks that an emergency key is made even if the
// files of another year are damaged.
func TestRevokeMakesLetterBesideDamagedYear(t *testing.T) {
	t.Parallel()
	folder, master := t.TempDir(), make([]byte, 32)
	w := openDeployment(t, folder, master, day(2026, 11, 22))
	s := w.started()
	ok(t, os.WriteFile(filepath.Join(folder, "keys", "2031.crt"), nil, 0o600))
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "leaked"}, "test", false)
	ok(t, err)
	wantClosed(t, s, "2026", w.Clock.Now())
	wantPreferred(t, s, "2026b", w.Clock.Now())
}

// safe is a token that can be away.
type safe struct {
	mu   sync.Mutex
	keys map[idp.Year]*rsa.PrivateKey
	away error
}

func (s *safe) setAway(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

func (s *safe) has(y idp.Year) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[y] != nil
}

func (s *safe) Make(y idp.Year, bits int) (crypto.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	if s.keys[y] == nil {
		s.keys[y] = fixture.Key(int(y[3]) % 2)
	}
	return s.keys[y].Public(), nil
}

func (s *safe) Sign(y idp.Year, _ crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	return s.keys[y].Sign(rand.Reader, digest, opts)
}

func (s *safe) CheckReady(idp.Year, crypto.PublicKey) error { return nil }

func (s *safe) Destroy(y idp.Year, _ crypto.PublicKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away == nil {
		delete(s.keys, y)
	}
	return s.away
}

// TestRetireClosesWhileTokenIsAway checks retire --destroy-now without the token: the year
// is closed at once, and its key is destroyed when the token is back, also by a server that
// starts meanwhile.
func TestRetireClosesWhileTokenIsAway(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		w := newDeployment(t, day(2026, 11, 22))
		w.Policy.KeySource = rotation.SourcePKCS11
		token := &safe{keys: map[idp.Year]*rsa.PrivateKey{}}
		w.Keys = w.Keys.WithVault(token)
		start := func() *rotator.Service {
			s := w.service()
			s.Vault = token
			ok(t, w.start(s))
			return s
		}
		s := start()
		w.run(day(2027, 6, 30), s)
		errAway := errors.New("the token is away")
		token.setAway(errAway)
		_, err := s.Retire(t.Context(), rotation.Step{Kind: rotation.StepRetire, Year: "2026"}, "test", false)
		if !errors.Is(err, errAway) {
			t.Errorf("Retire = %v, want it to say that the key is not destroyed", err)
		}
		wantClosed(t, s, "2026", w.Clock.Now())
		wantPreferred(t, s, "2027", w.Clock.Now())
		if err := s.Tick(t.Context(), time.Minute); !errors.Is(err, errAway) {
			t.Errorf("Tick with the token away: %v", err)
		}
		wantClosed(t, s, "2026", w.Clock.Now())
		if restart {
			s = start()
			wantClosed(t, s, "2026", w.Clock.Now())
		}
		token.setAway(nil)
		ok(t, s.Tick(t.Context(), time.Minute))
		if token.has("2026") || !token.has("2027") {
			t.Errorf("restart %v: the token has 2026: %v, 2027: %v; want 2027 alone", restart, token.has("2026"), token.has("2027"))
		}
		wantClosed(t, s, "2026", w.Clock.Now())
	}
}

// TestOverYearsLeaveMemory checks that a destroyed key, or the key of a year that is over,
// is removed from memory too.
func TestOverYearsLeaveMemory(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	w.run(day(2027, 8, 15), s)
	w.take(s, rotation.Step{Kind: rotation.StepCreate, Year: "2027b"})
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2027b", Reason: "leaked"}, "test", false)
	ok(t, err)
	for _, s := range []*rotator.Service{s, w.started()} {
		for _, y := range []idp.Year{"2026", "2027b"} {
			wantClosed(t, s, y, w.Clock.Now())
			if e, _ := s.Ring.Lookup(y, w.Clock.Now()); e.Key.Cert == nil {
				t.Errorf("the certificate of %s is gone", y)
			}
		}
		wantPreferred(t, s, "2027", w.Clock.Now())
	}
}
