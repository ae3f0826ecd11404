package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

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
