package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

const (
	tickEvery = time.Minute
	// sleepNoise is the difference between two clocks in a minute that is not counted as
	// suspension.
	sleepNoise = time.Second
)

// Run keeps the rotation going until ctx ends: every minute it advances the clock and takes
// due steps. Package notice logs matters that need attention. At the end Run records the last
// uses. Wait for it before closing the store.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	last, awake := s.readFirstUptime(), time.Now()
	ran := s.readUptime() - last
	for {
		now := time.Now()
		// Unlike Uptime, the monotonic clock stops while the machine is suspended.
		if s.runRound(ctx, ran, max(ran-now.Sub(awake)-sleepNoise, 0)) {
			last, awake = last+ran, now
		}
		select {
		case <-ctx.Done():
			if err := s.Tick(context.WithoutCancel(ctx), s.readUptime()-last); err != nil {
				s.Log.LogAttrs(ctx, slog.LevelError, "rotation: write the last uses", slog.String("error", err.Error()))
			}
			return
		case <-tick.C:
		}
		ran = s.readUptime() - last
	}
}

// readFirstUptime returns the reading of Uptime at Start. The time between Start and Run counts as
// running time, because the clock was measured during it.
func (s *Service) readFirstUptime() time.Duration {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	if s.countedTime == 0 {
		s.countedTime = s.readUptime()
	}
	return s.countedTime
}

// runRound does one round of Run. It returns false if the running time was not recorded. Time
// must not be recorded twice.
func (s *Service) runRound(ctx context.Context, ran, asleep time.Duration) bool {
	err := s.advance(ctx, ran, asleep)
	_, after := errors.AsType[*unfinishedError](err)
	written := err == nil || after
	if ctx.Err() != nil {
		return written
	}
	if err != nil {
		s.logDaily(ctx, "rotation", err)
	}
	if !written { // do not decide on a clock that was not measured
		return false
	}
	if _, err := s.TakeDueSteps(ctx); err != nil && ctx.Err() == nil {
		s.logDaily(ctx, "rotation: an automatic step failed", err)
	}
	return written
}

// Tick records the running time of the server since the last Tick, by a clock that cannot
// be set, and the last uses. It makes other servers' steps visible to requests, opens years
// whose key was restored, and destroys keys that could not be destroyed before.
//
// If the uses cannot be read, the time is still recorded, and no year is retired until they are
// recorded. An error after the record is an *afterError.
func (s *Service) Tick(ctx context.Context, ran time.Duration) error { return s.advance(ctx, ran, 0) }

// advance is Tick for a period that includes suspension of the machine.
func (s *Service) advance(ctx context.Context, ran, asleep time.Duration) error {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	now := s.Clock.Now()
	uses, unknown := s.readUses(ctx)
	h, err := s.writeHistory(ctx, func(h rotation.History) (rotation.History, error) {
		// Count the running time before the uses, which are current.
		return uses.apply(h.Tick(now, ran).ExcludeSleep(asleep)), nil
	})
	if err != nil {
		return fmt.Errorf("write the rotation: %w", err)
	}
	err = unknown
	if s.isStale(h) || len(s.loadFaults())+len(s.listUndestroyed()) > 0 {
		err = errors.Join(err, s.showHistory(ctx, h))
	}
	if err != nil {
		return &unfinishedError{err}
	}
	return nil
}

// logDaily logs an error at most once a day with the same text.
func (s *Service) logDaily(ctx context.Context, text string, err error) {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	now := s.Clock.Now()
	if at, ok := s.loggedAt[text]; ok && now.Sub(at).Abs() < 24*time.Hour {
		return
	}
	if s.loggedAt == nil {
		s.loggedAt = map[string]time.Time{}
	}
	s.loggedAt[text] = now
	s.Log.LogAttrs(ctx, slog.LevelError, text, slog.String("error", err.Error()))
}

// errStepTaken is returned for an automatic step that another server took first.
var errStepTaken = errors.New("the step is not due any more")

// TakeDueSteps takes every step that is due now and returns the steps it took, without those
// that another server took meanwhile. A failed step is recorded for operators and tried
// again the next time. It does not stop the steps of other years. In manual mode only the
// keys of years that are over are removed.
func (s *Service) TakeDueSteps(ctx context.Context) ([]rotation.Step, error) {
	s.stepLock.Lock()
	defer s.stepLock.Unlock()
	return s.takeDueSteps(ctx, s.Policy, s.Clock.Now())
}

func (s *Service) takeDueSteps(ctx context.Context, p rotation.Policy, now time.Time) (taken []rotation.Step, err error) {
	h, _, err := s.catchUp(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	failed := map[idp.Year]bool{}
	for _, step := range p.Steps(h, now) {
		if failed[step.Year] {
			continue
		}
		t := &stepBatch{policy: p, steps: []rotation.Step{step}, actor: "server", now: now, isAutomatic: true}
		_, err := s.commit(ctx, t)
		_, refused := errors.AsType[*rotation.RefusedError](err)
		_, after := errors.AsType[*unfinishedError](err)
		switch {
		case refused, errors.Is(err, errStepTaken):
			s.Log.LogAttrs(ctx, slog.LevelDebug, "rotation step not taken", slog.String("step", string(step.Kind)),
				slog.String("year", string(step.Year)), slog.String("error", err.Error()))
		case after:
			taken, errs = append(taken, t.steps[0]), append(errs, err)
		case errors.Is(err, errUsesUnknown): // the step is right, and taken once they can be read
			failed[step.Year] = true
			errs = append(errs, fmt.Errorf("%s %s: %w", step.Kind, step.Year, err))
		case err != nil:
			failed[step.Year] = true
			errs = append(errs, fmt.Errorf("%s %s: %w", step.Kind, step.Year, err), s.recordFailure(ctx, step, now, err))
		default:
			taken = append(taken, t.steps[0])
		}
	}
	return taken, errors.Join(errs...)
}

// recordFailure records that a step could not be taken, once for the same reason.
func (s *Service) recordFailure(ctx context.Context, step rotation.Step, now time.Time, cause error) error {
	_, err := s.updateHistory(ctx, func(h rotation.History) (rotation.History, error) {
		if slices.ContainsFunc(h.Failures, func(f rotation.Failure) bool {
			return f.Kind == step.Kind && f.Year == step.Year && f.Error == cause.Error()
		}) {
			return h, nil
		}
		return h.Fail(step, now, cause.Error()), nil
	})
	return err
}
