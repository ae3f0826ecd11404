package notify

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	roundEvery = time.Minute
	// roundTime bounds a round. It must be shorter than the first of backoff.
	roundTime = 2 * time.Minute
	// datesEvery is how often dates are checked. The check reads the whole migration board.
	datesEvery = time.Hour
)

// round is the state that a server keeps in memory between rounds. Losing it only costs look-ups.
type round struct {
	day      string          // of logged
	datesReadAt  time.Time       // when dates were looked at
	loggedKeys   map[string]bool // attention that was logged
	trailSeq    uint64          // how far the audit trail was read
	hasBegun bool            // trailSeq is set
}

// Run logs each reason for attention, and finds and sends notices, every minute until ctx ends.
// Wait for it before closing the store.
func (s *Service) Run(ctx context.Context) {
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

// Tick runs one round: it finds causes of notices, records the notices, and sends the due
// deliveries. A failure of one part does not stop the others.
func (s *Service) Tick(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	now := s.Clock.Now().UTC()
	if today := now.Format(time.DateOnly); s.round.day != today {
		s.round.day, s.round.datesReadAt = today, time.Time{}
		s.round.loggedKeys = map[string]bool{}
	}
	var errs []error
	if !s.isOff() {
		errs = append(errs, s.readTrail(ctx, now))
	}
	errs = append(errs, s.readAttention(ctx, now))
	if now.Sub(s.round.datesReadAt).Abs() >= datesEvery {
		err := s.readBoard(ctx, now)
		if err == nil {
			s.round.datesReadAt = now
		}
		errs = append(errs, err)
	}
	if !s.isOff() {
		errs = append(errs, s.deliver(ctx, now))
	}
	return errors.Join(errs...)
}
