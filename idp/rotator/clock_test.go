package rotator_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vernal/certs"
	"vernal/idp/idptest/fixture"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
)

// machine is a computer in a synctest bubble. Its ticker is the bubble's; the time
// of day and the uptime go on beside it as tests say.
type machine struct {
	wall, slept atomic.Int64 // how far the time of day and the uptime are ahead
	begin       time.Time
}

func (m *machine) clock() time.Time { return time.Now().Add(time.Duration(m.wall.Load())) }
func (m *machine) uptime() time.Duration {
	return time.Hour + time.Since(m.begin) + time.Duration(m.slept.Load())
}

// TestRunTellsSuspensionFromDrift checks that a suspended server takes its steps when it
// wakes up. A server whose clock is set forward by as much takes none, even after a restart,
// until an operator resumes.
func TestRunTellsSuspensionFromDrift(t *testing.T) {
	t.Parallel()
	for _, suspended := range []bool{true, false} {
		name := map[bool]string{true: "suspended", false: "clock set forward"}[suspended]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var master [32]byte
			rand.Read(master[:])
			key, err := seal.NewMaster(master[:])
			ok(t, err)
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				m := &machine{begin: time.Now()}
				policy := rotation.DefaultPolicy()
				store := &memory{}
				service := func() *rotator.Service {
					return &rotator.Service{
						Uses: yearUses{}, Store: store, Dir: certs.OpenDir(folder, seal.NewMasters(key)), Ring: keyring.NewRing(policy), Policy: policy,
						BaseURL: "https://login.example.gov", Clock: m.clock, Uptime: m.uptime, NewSigner: fixture.NewSigners(),
						Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
					}
				}
				run := func(s *rotator.Service, during func()) {
					ctx, stop := context.WithCancel(t.Context())
					ended := make(chan struct{})
					go func() {
						s.Run(ctx)
						close(ended)
					}()
					time.Sleep(90 * time.Second)
					synctest.Wait()
					during()
					time.Sleep(49 * time.Hour)
					synctest.Wait()
					stop()
					<-ended
				}
				s := service()
				ok(t, s.Begin(t.Context())) // the bubble's clock begins on 1 January 2000
				run(s, func() {
					m.wall.Add(int64(20 * 24 * time.Hour)) // over 15 January, when 2000 is created
					if suspended {
						m.slept.Add(int64(20 * 24 * time.Hour))
					}
				})
				st, err := s.Status(t.Context(), nil)
				ok(t, err)
				_, created := states(st)["2000"]
				if created != suspended || st.Clock.IsTrusted() != suspended || hasAttention(st, rotation.ClockUntrusted, "") == suspended {
					t.Fatalf("created %v, clock %+v, attention %v", created, st.Clock, st.Attention)
				}
				if hasAttention(st, rotation.StepHeld, "2000") == suspended {
					t.Errorf("attention: %v", st.Attention)
				}
				if log.Len() > 0 { // what needs attention is not an error
					t.Errorf("log:\n%s", log.String())
				}
				if suspended {
					return
				}
				next := service()
				ok(t, next.Start(t.Context()))
				run(next, func() {})
				if st, err = next.Status(t.Context(), nil); err != nil || len(states(st)) != 1 || st.Clock.IsTrusted() {
					t.Fatalf("after a restart: %v, %+v, %v", states(st), st.Clock, err)
				}
				if _, err := next.Take(t.Context(), rotation.Step{Kind: rotation.StepResume}, "test", false); err != nil {
					t.Fatal(err)
				}
				run(next, func() {})
				if st, err = next.Status(t.Context(), nil); err != nil || states(st)["2000"] != rotation.Created || len(st.Attention) > 0 {
					t.Errorf("after resume: %v, %v, %v", states(st), st.Attention, err)
				}
			})
		})
	}
}

// TestRunCountsFromStart checks that neither downtime nor the time between Start and Run is
// drift, and that the latter is running time.
func TestRunCountsFromStart(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	up := time.Hour
	s := w.service()
	s.Uptime = func() time.Duration { return up }
	ok(t, w.start(s))
	ok(t, s.Tick(t.Context(), time.Second))
	w.Clock.Set(day(2026, 12, 20))
	ok(t, s.Start(t.Context())) // after 28 days
	up += 10 * time.Minute
	w.Clock.Set(day(2026, 12, 20).Add(10 * time.Minute))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s.Run(ctx)
	if c := w.status(s).Clock; c.RunningTime != 10*time.Minute+time.Second || c.Drift != 0 || !c.IsTrusted() {
		t.Errorf("clock: %+v", c)
	}
}

// TestSystemUptimeContinuesAcrossProcesses checks that the system's uptime continues in
// another process.
func TestSystemUptimeContinuesAcrossProcesses(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started() // Uptime is nil
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s.Run(ctx)
	if c := w.status(s).Clock; c.RunningTime <= 0 || c.RunningTime > time.Hour {
		t.Errorf("ran for %v", c.RunningTime)
	}
}
