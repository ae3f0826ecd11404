//go:build slow

package bolt_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/store/bolt"
)

// crashEnv makes the test binary a victim: a process that signs users in until it is killed.
// Its value is the folder of the store.
const crashEnv = "VERNAL_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		fmt.Fprintln(os.Stderr, victim(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// ack is one line that the victim prints: a NameID that the store reported as durable.
type ack struct{ scope, user, name, message string }

// TestKilledStoreKeepsAcknowledgedIssuances kills a process at twenty random moments
// while it records issuances. Whatever was acknowledged must be there afterwards, no
// person may have two NameIDs in a scope, and the audit trail must be whole. (A killed
// process leaves the kernel's cache alone; losing power is left to the syncs.)
func TestKilledStoreKeepsAcknowledgedIssuances(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := make(map[[2]string]string)
	var last audit.Place
	total := 0
	for round := range 20 {
		acks := crash(t, dir, time.Duration(20+mathrand.IntN(180))*time.Millisecond)
		total += len(acks)
		s := open(t, dir)
		for _, a := range acks {
			who := [2]string{a.scope, a.user}
			if had, ok := names[who]; ok && had != a.name {
				t.Fatalf("round %d: %v was given NameIDs %s and %s", round, who, had, a.name)
			}
			names[who] = a.name
			checkAck(t, s, a)
		}
		for who, name := range names {
			checkName(t, s, who, name)
		}
		var err error
		if last, err = verifyTrail(t.Context(), s, last); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		closeStore(t, s)
	}
	if total == 0 || last.Seq < uint64(total) {
		t.Errorf("%d acknowledged, %d audit records", total, last.Seq)
	}
	t.Logf("%d issuances acknowledged, %d recorded, %d NameIDs", total, last.Seq, len(names))
}

// crash runs a victim, kills it some time after its first line, and returns
// every whole line that it printed.
func crash(t *testing.T, dir string, after time.Duration) []ack {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acks []ack
	lines := bufio.NewReader(out)
	var timer *time.Timer
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line without its end was cut by the kill
		}
		if timer == nil {
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		var a ack
		if _, err := fmt.Sscan(line, &a.scope, &a.user, &a.name, &a.message); err != nil {
			t.Errorf("victim printed %q: %v", line, err)
		}
		acks = append(acks, a)
	}
	_ = cmd.Wait() // killed: always an error
	if stderr.Len() > 0 {
		t.Fatalf("victim failed: %s", stderr.String())
	}
	return acks
}

func checkAck(t *testing.T, s *bolt.Store, a ack) {
	t.Helper()
	r, err := s.LoginRequest(t.Context(), idp.RequestKey{SP: "https://sp.example", MessageID: a.message})
	if err != nil || !r.IsAnswered() {
		t.Errorf("acknowledged message %s: %v, %v", a.message, r, err)
	}
}

func checkName(t *testing.T, s *bolt.Store, who [2]string, name string) {
	t.Helper()
	scope, user := idp.NameIDScope(who[0]), idp.UserID(who[1])
	got, err := s.NameID(t.Context(), scope, user)
	if err != nil || string(got) != name {
		t.Errorf("NameID of %v = %q, %v; acknowledged was %q", who, got, err, name)
	}
	back, err := s.UserByNameID(t.Context(), scope, idp.NameID(name))
	if err != nil || back != user {
		t.Errorf("person of %q = %q, %v; want %q", name, back, err, user)
	}
}

// victim signs users in until it is killed. It returns only if that fails.
func victim(dir string) error {
	ctx := context.Background()
	tb := new(testing.B) // for options' errors, of which there are none
	s, err := bolt.Open(dir+"/vernal.db", options(tb))
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				if err := signIn(ctx, s); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

// signIn makes a session of a random user, answers two requests from it and prints what the
// store acknowledged.
func signIn(ctx context.Context, s *bolt.Store) error {
	user := idp.UserID(fmt.Sprint("user", mathrand.IntN(500)))
	sess := &idp.Session{ID: idp.SessionID(rand.Text()), User: user, CreatedAt: start, ExpiresAt: start}
	if err := s.StartSession(ctx, idp.SessionStart{Session: sess}, idp.AuditEvent{Kind: "session.begin"}); err != nil {
		return err
	}
	for _, scope := range []idp.NameIDScope{"agency:A", "agency:B"} {
		message := rand.Text()
		issued, err := s.RecordIssuance(ctx, &idp.Issuance{
			Request: &idp.LoginRequest{Handle: idp.RequestHandle(rand.Text()), SP: "https://sp.example", MessageID: message, ExpiresAt: start},
			Session: sess.ID, User: user, Scope: scope, ProposedNameID: idp.NameID(rand.Text()),
			SessionIndex: "i", At: start, Event: idp.AuditEvent{Kind: "sign_in", Outcome: "ok", User: user},
		})
		if err != nil {
			return err
		}
		// One write per line: a kill cuts at most the last one.
		if _, err := fmt.Printf("%s %s %s %s\n", scope, user, issued.NameID, message); err != nil {
			return err
		}
	}
	return nil
}
