//go:build slow

package account

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

// victimEnv makes the test binary a process that changes an account until it is killed. Its value is
// the file of the store, and that of victimStepEnv the step with which it begins.
const (
	victimEnv     = "VERNAL_TEST_ACCOUNT_STORE"
	victimStepEnv = "VERNAL_TEST_ACCOUNT_STEP"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		fmt.Fprintln(os.Stderr, changeRepeatedly(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const victimOther = "alice@example.net"

// victimSteps are changes that follow each other in a circle. Each makes a difference.
var victimSteps = []func(ctx context.Context, s *Service, u *idp.User) error{
	func(ctx context.Context, s *Service, _ *idp.User) error {
		hash, err := s.HashOwnPassword(ctx, password, alice)
		if err == nil {
			_, err = s.Register(ctx, Registration{Email: alice, PasswordHash: hash}, func(idp.UserID) idp.AuditEvent { return idp.AuditEvent{} })
		}
		return err
	},
	func(ctx context.Context, s *Service, _ *idp.User) error {
		_, err := s.AddTOTP(ctx, alice, NewTOTP{Name: "first"}, actor)
		return err
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		_, err := s.ReplaceRecoveryCodes(ctx, u.ID, idp.AuditEvent{})
		return err
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		return s.ConfirmEmail(ctx, OwnChange{User: u.ID}, victimOther, u.LinkStamp())
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		return s.ChoosePrimaryEmail(ctx, OwnChange{User: u.ID}, victimOther)
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		return s.RestorePrimaryEmail(ctx, OwnChange{User: u.ID}, alice, u.LinkStamp())
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		return s.ResetPassword(ctx, u.ID, u.LinkStamp(), "another otter mends ten kettles", idp.AuditEvent{})
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		_, err := s.PlanDeletion(ctx, u.ID, s.Clock.Now().Add(time.Hour), idp.AuditEvent{})
		return err
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		return s.CancelDeletion(ctx, u.ID, idp.AuditEvent{})
	},
	func(ctx context.Context, s *Service, _ *idp.User) error {
		_, err := s.PlanFactorReset(ctx, alice, s.Clock.Now(), actor)
		return err
	},
	func(ctx context.Context, s *Service, _ *idp.User) error {
		_, err := s.ApplyDueResets(ctx)
		return err
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		_, err := s.PlanDeletion(ctx, u.ID, s.Clock.Now(), idp.AuditEvent{})
		return err
	},
	func(ctx context.Context, s *Service, u *idp.User) error {
		_, err := s.DeleteDue(ctx, u.ID, func(*idp.User) error { return nil })
		return err
	},
}

// victimState is what the steps change. An account that waits for its deletion may be locked for it.
type victimState struct {
	Exists, HasNewPassword, IsDeletionPlanned, IsResetPlanned bool
	TOTPs, Codes                                              int
	Emails                                                    []string
}

func openVictim(path string) (*bolt.Store, *Service, error) {
	master, err := seal.NewMaster(make([]byte, seal.MasterSize))
	if err != nil {
		return nil, nil, err
	}
	store, err := bolt.Open(path, bolt.Options{Masters: seal.NewMasters(master), Clock: time.Now})
	if err != nil {
		return nil, nil, err
	}
	return store, &Service{Store: store, Sealer: store.Ring(), Clock: time.Now, Hasher: NewHasher(cheap), Log: slog.New(slog.DiscardHandler)}, nil
}

// takeStep makes the change of a step.
func takeStep(s *Service, step int) error {
	ctx := context.Background()
	u, err := s.Store.UserByEmail(ctx, alice)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return err
	}
	if err := victimSteps[step](ctx, s, u); err != nil {
		return fmt.Errorf("step %d: %w", step, err)
	}
	return nil
}

// changeRepeatedly returns only if that fails. It prints the number of each step before and after it.
func changeRepeatedly(path string) error {
	_, s, err := openVictim(path)
	if err != nil {
		return err
	}
	// What is loaded at the first use takes no time from the steps.
	if _, err := s.HashOwnPassword(context.Background(), password, alice); err != nil {
		return err
	}
	step, err := strconv.Atoi(os.Getenv(victimStepEnv))
	for ; err == nil; step = (step + 1) % len(victimSteps) {
		fmt.Println("begin", step)
		err = takeStep(s, step)
		fmt.Println("end", step)
	}
	return err
}

func readVictim(t *testing.T, s *Service) (v victimState) {
	t.Helper()
	u, err := s.Store.UserByEmail(t.Context(), alice)
	if errors.Is(err, idp.ErrNotFound) {
		return v
	}
	if err != nil {
		t.Fatal(err)
	}
	v = victimState{
		Exists: true, HasNewPassword: u.PasswordChangedAt.After(u.CreatedAt), IsDeletionPlanned: !u.DeletionAt.IsZero(),
		IsResetPlanned: !u.FactorResetAt.IsZero(), TOTPs: len(u.TOTPs),
	}
	if u.RecoveryCodes != nil {
		v.Codes = len(u.RecoveryCodes.Hashes)
	}
	for _, e := range u.Emails {
		v.Emails = append(v.Emails, e.Address)
	}
	return v
}

// TestKilledProcessLeavesAccountWhole kills a process at random moments while it changes an account.
// Every change that ended is there afterwards, and the one that was going on is whole or absent.
func TestKilledProcessLeavesAccountWhole(t *testing.T) {
	t.Parallel()
	store, s, err := openVictim(filepath.Join(t.TempDir(), "vernal.db"))
	if err != nil {
		t.Fatal(err)
	}
	states := make([]victimState, len(victimSteps)) // after each step
	for step := range victimSteps {
		before := readVictim(t, s)
		if err := takeStep(s, step); err != nil {
			t.Fatal(err)
		}
		if states[step] = readVictim(t, s); cmp.Equal(states[step], before) {
			t.Fatalf("step %d changes nothing", step)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), "vernal.db")
	next, ended, cut := 0, 0, 0
	// A busy machine gets less done between two kills, so it gets more of them.
	const rounds = 40
	enough := func() bool { return ended >= 2*len(victimSteps) && cut > 0 }
	for round := 0; round < rounds || !enough() && round < 5*rounds; round++ {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victimEnv+"="+path, victimStepEnv+"="+strconv.Itoa(next))
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err = errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		var word string
		step := -1
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if step < 0 {
				time.AfterFunc(time.Duration(mathrand.IntN(300_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
			if _, err := fmt.Sscan(lines.Text(), &word, &step); err != nil {
				t.Fatalf("round %d: %q: %v", round, lines.Text(), err)
			}
			if word == "end" {
				ended++
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("round %d: the process was not killed: %v", round, err)
		}
		store, s, err := openVictim(path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		state := readVictim(t, s)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		earlier := states[(step+len(states)-1)%len(states)]
		switch {
		case cmp.Equal(state, states[step]):
			next = (step + 1) % len(states)
		case word == "begin" && cmp.Equal(state, earlier):
			next = step
			cut++
		default:
			t.Fatalf("round %d, %s of step %d (-after +killed):\n%s", round, word, step, cmp.Diff(states[step], state))
		}
	}
	t.Logf("%d changes ended, %d were cut off", ended, cut)
	if !enough() {
		t.Error("too little has happened between the kills for the test to mean something")
	}
}
