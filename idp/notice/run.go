package notice

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	roundEvery = time.Minute
	// roundTime bounds a round; it is less than the first of backoff.
	roundTime = 2 * time.Minute
	// datesEvery is how often dates are looked at, as that reads the board.
	datesEvery = time.Hour
)

// round is what a server remembers from one round to the next; losing it costs
// look-ups only.
type round struct {
	known   map[string]bool // notices that are in the store
	day     string          // of known
	datesAt time.Time       // when dates were looked at
	trail   uint64          // how far the audit trail was read
	began   bool            // trail is set
}

// Run finds and sends notices every minute until ctx ends; wait for it before
// the store is closed. It returns at once if nobody is to be told.
func (s *Service) Run(ctx context.Context) {
	if s.off() {
		return
	}
	// Even a server that is stopped at once has begun: what is recorded while it
	// is down is told by the next one.
	s.mu.Lock()
	err := s.beginTrail(context.WithoutCancel(ctx))
	s.mu.Unlock()
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "notices", slog.String("error", err.Error()))
	}
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	last := ""
	for {
		err := s.Tick(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			last = ""
		case err.Error() != last: // once, not every minute
			last = err.Error()
			s.Log.LogAttrs(ctx, slog.LevelError, "notices", slog.String("error", last))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Tick is one round: it finds what is to be told, writes it down, and sends what
// is due. What one part fails at does not keep the others.
func (s *Service) Tick(ctx context.Context) error {
	if s.off() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	now := s.Clock.Now()
	if today := now.Format(time.DateOnly); s.round.day != today {
		s.round.day, s.round.known, s.round.datesAt = today, map[string]bool{}, time.Time{}
	}
	errs := []error{s.readTrail(ctx, now), s.readAttention(ctx, now)}
	if now.Sub(s.round.datesAt).Abs() >= datesEvery {
		err := s.readDates(ctx, now)
		if err == nil {
			s.round.datesAt = now
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.deliver(ctx, now))...)
}
