package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

const (
	tickEvery = time.Minute
	// sleepNoise is how far two clocks may differ in a minute without the machine having
	// been asleep.
	sleepNoise = time.Second
)

// Run keeps the rotation going until ctx ends: every minute it moves the clock
// on and takes what is due. What needs attention is logged by package notify, which
// can render it. At the end Run records the last uses; wait for it before the store
// is closed.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	last, awake := s.started(), time.Now()
	ran := s.uptime() - last
	for {
		now := time.Now()
		// Unlike Uptime, the monotonic clock stands still while the machine is asleep.
		if s.minute(ctx, ran, max(ran-now.Sub(awake)-sleepNoise, 0)) {
			last, awake = last+ran, now
		}
		select {
		case <-ctx.Done():
			if err := s.Tick(context.WithoutCancel(ctx), s.uptime()-last); err != nil {
				s.Log.LogAttrs(ctx, slog.LevelError, "rotation: write the last uses", slog.String("error", err.Error()))
			}
			return
		case <-tick.C:
		}
		ran = s.uptime() - last
	}
}

// started is the reading of Uptime at Start. The time until Run belongs to the
// running time: the clock has been measured since then.
func (s *Service) started() time.Duration {
	s.steps.Lock()
	defer s.steps.Unlock()
	if s.countedTo == 0 {
		s.countedTo = s.uptime()
	}
	return s.countedTo
}

// minute is one round of Run; false if the time that the server ran is still to
// be written. Time that was written must not be written again.
func (s *Service) minute(ctx context.Context, ran, asleep time.Duration) bool {
	err := s.tick(ctx, ran, asleep)
	_, after := errors.AsType[*afterError](err)
	written := err == nil || after
	if ctx.Err() != nil {
		return written
	}
	if err != nil {
		s.daily(ctx, "rotation", err)
	}
	if !written { // a step would be decided on a clock that was not measured
		return false
	}
	if _, err := s.Automatic(ctx); err != nil && ctx.Err() == nil {
		s.daily(ctx, "rotation: an automatic step failed", err)
	}
	return written
}

// Tick records that the server ran for a time since the last Tick, by a clock
// that no one sets, and the last uses. It lets requests see what another server
// did, opens years whose key was restored, and destroys keys that could not be
// destroyed before.
//
// The time is recorded although the uses cannot be read: they are recorded later,
// and no year is retired until then. An error after the record is an *afterError.
func (s *Service) Tick(ctx context.Context, ran time.Duration) error { return s.tick(ctx, ran, 0) }

// tick is Tick after a time of which the machine was asleep for a part.
func (s *Service) tick(ctx context.Context, ran, asleep time.Duration) error {
	s.steps.Lock()
	defer s.steps.Unlock()
	now := s.Clock.Now()
	uses, unknown := s.lastUses(ctx)
	h, err := s.write(ctx, func(h rotation.History) (rotation.History, error) {
		// The running time counts before the uses: those are of now.
		return uses.apply(h.Tick(now, ran).Asleep(asleep)), nil
	})
	if err != nil {
		return fmt.Errorf("write the rotation: %w", err)
	}
	err = unknown
	if s.stale(h) || len(s.closed())+len(s.undestroyed()) > 0 {
		err = errors.Join(err, s.follow(ctx, h))
	}
	if err != nil {
		return &afterError{err}
	}
	return nil
}

// daily logs an error at most once a day under the same text.
func (s *Service) daily(ctx context.Context, text string, err error) {
	s.steps.Lock()
	defer s.steps.Unlock()
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

// errTaken is returned for an automatic step that another server took first.
var errTaken = errors.New("the step is not due any more")

// Automatic takes every step that is due now and returns those that it took.
// What another server took meanwhile is not among them. A step that fails is
// recorded, for operators to see, and tried again the next time; the other years' go
// on. In manual mode only keys of years that are over are removed.
func (s *Service) Automatic(ctx context.Context) ([]rotation.Step, error) {
	s.steps.Lock()
	defer s.steps.Unlock()
	return s.automatic(ctx, s.Policy, s.Clock.Now())
}

func (s *Service) automatic(ctx context.Context, p rotation.Policy, now time.Time) (taken []rotation.Step, err error) {
	h, _, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	failed := map[idp.Year]bool{}
	for _, step := range p.Steps(h, now) {
		if failed[step.Year] {
			continue
		}
		t := &turn{policy: p, steps: []rotation.Step{step}, actor: "server", now: now, automatic: true}
		_, err := s.commit(ctx, t)
		_, refused := errors.AsType[*rotation.RefusedError](err)
		_, after := errors.AsType[*afterError](err)
		switch {
		case refused, errors.Is(err, errTaken):
			s.Log.LogAttrs(ctx, slog.LevelDebug, "rotation step not taken", slog.String("step", string(step.Kind)),
				slog.String("year", string(step.Year)), slog.String("error", err.Error()))
		case after:
			taken, errs = append(taken, t.steps[0]), append(errs, err)
		case errors.Is(err, errUsesUnknown): // the step is right, and taken once they can be read
			failed[step.Year] = true
			errs = append(errs, fmt.Errorf("%s %s: %w", step.Kind, step.Year, err))
		case err != nil:
			failed[step.Year] = true
			errs = append(errs, fmt.Errorf("%s %s: %w", step.Kind, step.Year, err), s.fail(ctx, step, now, err))
		default:
			taken = append(taken, t.steps[0])
		}
	}
	return taken, errors.Join(errs...)
}

// fail notes that a step could not be taken; once for the same reason.
func (s *Service) fail(ctx context.Context, step rotation.Step, now time.Time, cause error) error {
	_, err := s.update(ctx, func(h rotation.History) (rotation.History, error) {
		for _, f := range h.Failures {
			if f.Kind == step.Kind && f.Year == step.Year && f.Error == cause.Error() {
				return h, nil
			}
		}
		return h.Fail(step, now, cause.Error()), nil
	})
	return err
}
