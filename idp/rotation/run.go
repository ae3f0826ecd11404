package rotation

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"vernal/certs"
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
// be written.
func (s *Service) minute(ctx context.Context, ran time.Duration) bool {
	err := s.Tick(ctx, ran)
	if ctx.Err() != nil {
		return err == nil
	}
	if err != nil {
		s.daily(ctx, slog.LevelError, "tick", "rotation: "+err.Error())
	}
	if _, err := s.Automatic(ctx); err != nil && ctx.Err() == nil {
		s.daily(ctx, slog.LevelError, "automatic", "rotation: an automatic step failed: "+err.Error())
	}
	s.remind(ctx)
	return err == nil
}

// Tick records that the server ran for a time since the last Tick, by a clock
// that no one sets, and the uses noted since. It lets requests see what another
// server did, opens years whose key was restored, and destroys keys that could
// not be destroyed before.
func (s *Service) Tick(ctx context.Context, ran time.Duration) error {
	s.steps.Lock()
	defer s.steps.Unlock()
	now := s.Clock.Now()
	// The running time counts before the uses: those are of now.
	noted := s.uses.pending()
	h, err := s.update(ctx, func(h certs.History) (certs.History, error) {
		return noted.apply(h.Tick(now, ran)), nil
	})
	if err != nil {
		return fmt.Errorf("write the rotation: %w", err)
	}
	if s.stale(h) || len(s.faults.all())+len(s.undestroyed) > 0 {
		return s.follow(ctx, h)
	}
	return nil
}

// remind logs what needs attention.
func (s *Service) remind(ctx context.Context) {
	h, now, err := s.now(ctx)
	if err != nil {
		return
	}
	st := s.Policy.Status(h, now)
	for _, a := range st.Attention {
		thing := string(a.Code) + string(a.Year)
		if s.wasReminded(thing) {
			continue // without asking every minute who uses the year
		}
		s.daily(ctx, slog.LevelWarn, thing, "rotation needs attention: "+s.named(ctx, a, st, h).Text)
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
func (s *Service) daily(ctx context.Context, level slog.Level, thing, text string) {
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
	s.Log.LogAttrs(ctx, level, text)
}
