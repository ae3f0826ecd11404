//go:build slow

package crash

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp/idptest/binary"
)

const (
	kills     = 20
	providers = 16
	// A round of sign-ins lasts this long, at random, before the kill.
	minRound, maxRound = 50 * time.Millisecond, 500 * time.Millisecond
)

// TestKilledServerKeepsSignIns kills the server in a loop of sign-ins.
func TestKilledServerKeepsSignIns(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server := s.idp.Serve(t)
	s.begin(t)
	enough := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.accounts) >= kills/2 && len(s.seen) >= kills
	}
	// A busy machine gets less done between two kills, so it gets more of them.
	for round := 0; round < kills || !enough() && round < 5*kills; round++ {
		wait := minRound + mathrand.N(maxRound-minRound)
		s.round(t, server, round, wait)
		if out := server.Output(); strings.Contains(out, "panic") || strings.Contains(out, "level=ERROR") {
			t.Errorf("round %d: the server wrote:\n%s", round, out)
		}
		server = s.idp.Serve(t)
	}
	s.check(t)
	t.Logf("%d accounts, %d visits, %d NameIDs", len(s.accounts), s.visits, len(s.seen))
	if !enough() {
		t.Error("too little has happened between the kills for the test to mean something")
	}
}

// scene is the installation and what it has acknowledged so far.
type scene struct {
	idp    *binary.Vernal
	auth   string
	sps    []*provider
	killed atomic.Bool // the server may be gone

	mu       sync.Mutex
	accounts []*binary.User     // whose command ended well
	visitors []*visitor           // users with an acknowledged session
	seen     map[pair]string      // NameIDs disclosed to a service provider
	owner    map[[2]string]string // service provider and NameID to the user
	visits   int
}

// pair is a user at a service provider.
type pair struct{ email, entityID string }

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{
		idp:  binary.New(t, t.TempDir(), "idp.localhost"),
		seen: map[pair]string{}, owner: map[[2]string]string{},
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for i := range providers {
		p, metadata := newProvider(t, fmt.Sprintf("http://sp%d.localhost", i), key)
		s.idp.AddSP(t, metadata)
		s.sps = append(s.sps, p)
	}
	return s
}

// begin adds the first two users.
func (s *scene) begin(t *testing.T) {
	t.Helper()
	s.auth = s.idp.BaseURL + "/api/saml/auth" + s.idp.Year(t)
	for i := range 2 {
		s.join(t, fmt.Sprintf("first%d@example.org", i))
	}
	if len(s.visitors) != 2 {
		t.Fatal("sign-in does not work")
	}
}

// round signs users in and adds new ones, and kills the server meanwhile.
func (s *scene) round(t *testing.T, server *binary.Process, round int, wait time.Duration) {
	t.Helper()
	s.killed.Store(false)
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for !s.killed.Load() && !t.Failed() {
				s.visit(t)
			}
		})
	}
	workers.Go(func() {
		for i := 0; !s.killed.Load() && !t.Failed(); i++ {
			s.join(t, fmt.Sprintf("round%d-%d@example.org", round, i))
		}
	})
	<-time.After(wait) // the moment of the kill is meant to be any
	s.killed.Store(true)
	server.Kill()
	workers.Wait()
}

// join adds a user by the command. The user then signs in for the first time.
func (s *scene) join(t *testing.T, email string) {
	p := binary.NewUser(email)
	if _, err := s.idp.Try(t, p.Password+"\n", p.AddArgs()...); err != nil {
		s.failed(t, "add person", err)
		return
	}
	s.mu.Lock()
	s.accounts = append(s.accounts, p)
	s.mu.Unlock()

	v := &visitor{s.idp.NewVisitor(p), s.auth}
	sp := s.sps[mathrand.IntN(len(s.sps))]
	nameID, err := v.signIn(t, sp)
	if err != nil {
		s.failed(t, "sign in", err)
		return
	}
	s.mu.Lock()
	s.visitors = append(s.visitors, v)
	s.mu.Unlock()
	s.note(t, p.Email, sp, nameID)
}

// visit signs a user with a session in to a random service provider.
func (s *scene) visit(t *testing.T) {
	s.mu.Lock()
	v := s.visitors[mathrand.IntN(len(s.visitors))]
	s.mu.Unlock()
	sp := s.sps[mathrand.IntN(len(s.sps))]
	nameID, err := v.visit(t, sp)
	if err != nil {
		s.failed(t, "visit within a session", err)
		return
	}
	s.note(t, v.Email, sp, nameID)
}

// failed reports an error that the kill does not explain: any error before the kill, and a
// wrong page at any time.
func (s *scene) failed(t *testing.T, what string, err error) {
	var page *binary.PageError
	if errors.As(err, &page) || !s.killed.Load() {
		t.Errorf("%s: %v", what, err)
	}
}

// note records a NameID disclosed to a service provider, and compares it with earlier ones.
func (s *scene) note(t *testing.T, email string, sp *provider, nameID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visits++
	at := pair{email, sp.entityID}
	if before, ok := s.seen[at]; ok && before != nameID {
		t.Errorf("%s has a second NameID at %s: %s, was %s", email, sp.entityID, nameID, before)
	}
	if other, ok := s.owner[[2]string{sp.entityID, nameID}]; ok && other != email {
		t.Errorf("%s and %s have the same NameID at %s", email, other, sp.entityID)
	}
	s.seen[at] = nameID
	s.owner[[2]string{sp.entityID, nameID}] = email
}

// check checks at the end that every account can sign in, and has the same NameID at every
// service provider.
func (s *scene) check(t *testing.T) {
	t.Helper()
	s.killed.Store(false)
	var listed []struct {
		Emails []struct{ Address string }
	}
	out := s.idp.Run(t, "", "user", "list", "--json")
	if err := json.Unmarshal([]byte(out), &listed); err != nil {
		t.Fatalf("user list --json: %v\n%s", err, out)
	}
	known := map[string]bool{}
	for _, u := range listed {
		for _, e := range u.Emails {
			known[e.Address] = true
		}
	}
	for _, p := range s.accounts {
		if !known[p.Email] {
			t.Errorf("account %s is lost", p.Email)
		}
	}
	for _, v := range s.visitors { // their sessions live on
		for _, sp := range s.sps {
			nameID, err := v.visit(t, sp)
			if err != nil {
				t.Fatalf("%s at %s: %v", v.Email, sp.entityID, err)
			}
			s.note(t, v.Email, sp, nameID)
		}
	}
	for _, p := range s.accounts[:min(len(s.accounts), 10)] {
		v := &visitor{s.idp.NewVisitor(p), s.auth}
		nameID, err := v.signIn(t, s.sps[0])
		if err != nil {
			t.Fatalf("%s: %v", p.Email, err)
		}
		s.note(t, p.Email, s.sps[0], nameID)
	}
}
