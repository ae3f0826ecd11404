//go:build slow

package rekey_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

// victimEnv makes the test binary a process that changes keys until it is killed. Its
// value is the folder of the installation.
const victimEnv = "VERNAL_TEST_REKEY_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		fmt.Fprintln(os.Stderr, changeKeysRepeatedly(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// openEither opens the installation with the master key that is in force.
func openEither(dir string) (h *house, m, other *seal.Master, err error) {
	for _, keys := range [][2]*seal.Master{{before, after}, {after, before}} {
		if h, err = openHouse(dir, keys[0]); !errors.Is(err, bolt.ErrMaster) {
			return h, keys[0], keys[1], err
		}
	}
	return nil, nil, nil, err
}

// changeKeysRepeatedly returns only if that fails. It prints a line for each change.
func changeKeysRepeatedly(dir string) error {
	ctx := context.Background()
	h, m, other, err := openEither(dir)
	if err != nil {
		return err
	}
	h.Resume()
	for {
		if err := h.Wait(ctx); err != nil {
			return err
		}
		st, err := h.State(ctx)
		if err != nil || st.Failed != "" {
			return errors.Join(err, errors.New(st.Failed))
		}
		fmt.Println(st.Phase)
		if st.Phase == seal.PhaseBoth {
			to := m
			if st.ToID == other.ID() {
				to = other
			}
			h.configured(to)
			if err := h.Finish(ctx, true, "x"); err != nil {
				return err
			}
			if to == other {
				m, other = other, m
			}
			continue
		}
		if err := h.Begin(ctx, other, false, "x"); err != nil {
			return err
		}
	}
}

// TestKilledKeyChangeLosesNothing kills a process at random moments while it changes
// all keys. Whatever was in the files is there afterwards, under one of the two master
// keys.
func TestKilledKeyChangeLosesNothing(t *testing.T) {
	t.Parallel()
	h := furnished(t)
	h.close(t)
	changes := 0
	for round := range 15 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victimEnv+"="+h.dir)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			changes++
			time.AfterFunc(time.Duration(mathrand.IntN(150))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
		for lines.Scan() {
			changes++
		}
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("round %d: the process was not killed: %v", round, err)
		}
		h, _, _, err := openEither(h.dir)
		ok(t, err)
		if err := h.complete(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		h.close(t)
	}
	t.Logf("%d changes of keys", changes)
}
