package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vernal/idp/rotation"
)

const tickEvery = time.Minute

// Run keeps the rotation going until ctx ends: every minute it moves the clock
// on, takes what is due, and says once a day what needs attention. At the end
// it writes down the last uses; wait for it before the store is closed.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	last := s.started()
	ran := s.uptime() - last
	for {
		if s.minute(ctx, ran) {
			last += ran
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
func (s *Service) minute(ctx context.Context, ran time.Duration) bool {
	err := s.Tick(ctx, ran)
	var after *afterError
	written := err == nil || errors.As(err, &after)
	if ctx.Err() != nil {
		return written
	}
	if err != nil {
		s.daily(ctx, slog.LevelError, "tick", "rotation", slog.String("error", err.Error()))
	}
	if _, err := s.Automatic(ctx); err != nil && ctx.Err() == nil {
		s.daily(ctx, slog.LevelError, "automatic", "rotation: an automatic step failed", slog.String("error", err.Error()))
	}
	s.remind(ctx)
	return written
}

// Tick records that the server ran for a time since the last Tick, by a clock
// that no one sets, and the last uses. It lets requests see what another server
// did, opens years whose key was restored, and destroys keys that could not be
// destroyed before.
//
// The time is recorded although the uses cannot be read: they are recorded later,
// and no year is retired until then. An error after the record is an *afterError.
func (s *Service) Tick(ctx context.Context, ran time.Duration) error {
	s.steps.Lock()
	defer s.steps.Unlock()
	now := s.Clock.Now()
	uses, unknown := s.lastUses(ctx)
	h, err := s.write(ctx, func(h rotation.History) (rotation.History, error) {
		// The running time counts before the uses: those are of now.
		return uses.apply(h.Tick(now, ran)), nil
	})
	if err != nil {
		return fmt.Errorf("write the rotation: %w", err)
	}
	err = unknown
	if s.stale(h) || len(s.faults.all())+len(s.undestroyed) > 0 {
		err = errors.Join(err, s.follow(ctx, h))
	}
	if err != nil {
		return &afterError{err}
	}
	return nil
}

// remind logs what needs attention.
func (s *Service) remind(ctx context.Context) {
	h, now, err := s.now(ctx)
	if err != nil {
		return
	}
	st := s.Policy.Status(h, now, s.unmoved(ctx, h, now))
	for _, a := range st.Attention {
		thing := string(a.Code) + string(a.Year)
		if s.wasReminded(thing) {
			continue // without asking every minute who uses the year
		}
		if a.IsUse() {
			a = a.WithUsers(s.usersOf(ctx, h, a.Year, st.At))
		}
		s.daily(ctx, slog.LevelWarn, thing, "rotation needs attention", slog.String("code", string(a.Code)), slog.String("year", string(a.Year)),
			slog.Any("args", a.Args), slog.Any("because", a.Because))
	}
}

// wasReminded reports whether daily has logged the thing within a day.
func (s *Service) wasReminded(thing string) bool {
	s.steps.Lock()
	defer s.steps.Unlock()
	at, ok := s.remindedAt[thing]
	return ok && s.Clock.Now().Sub(at).Abs() < 24*time.Hour
}

// daily logs a text at most once a day for the same thing.
func (s *Service) daily(ctx context.Context, level slog.Level, thing, text string, attrs ...slog.Attr) {
	s.steps.Lock()
	defer s.steps.Unlock()
	now := s.Clock.Now()
	if at, ok := s.remindedAt[thing]; ok && now.Sub(at).Abs() < 24*time.Hour {
		return
	}
	if s.remindedAt == nil {
		s.remindedAt = map[string]time.Time{}
	}
	s.remindedAt[thing] = now
	s.Log.LogAttrs(ctx, level, text, attrs...)
}
