package doctor

import (
	"context"
	"time"
)

// Measures are the results of the last run of each check, for monitoring.
type Measures struct {
	// At is when the last run ended; zero before the first.
	At time.Time
	// Problems has every code; its value says whether there is such a problem.
	Problems map[Code]bool
	// Failed has every check that ran; its value says whether it could not be completed.
	Failed map[string]bool
}

// Last returns the results of the last run of each check.
func (s *Service) Last() Measures {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := Measures{At: s.lastRunAt, Problems: map[Code]bool{}, Failed: map[string]bool{}}
	if s.lastRunAt.IsZero() {
		return m
	}
	for _, code := range Codes() {
		m.Problems[code] = false
	}
	for _, r := range s.results {
		m.Failed[r.outcome.Check] = r.outcome.State == StateFailed
		for _, f := range r.findings {
			m.Problems[f.Code] = m.Problems[f.Code] || f.Level == Problem
		}
	}
	return m
}

const (
	// firstWait is the time until the first run in the background, which must not slow down
	// the start of a server.
	firstWait = time.Minute
	// localEvery is the interval of the local checks.
	localEvery = 10 * time.Minute
)

// Run runs the local checks at intervals until ctx ends, and those that ask other machines if
// Settings.Every is set.
func (s *Service) Run(ctx context.Context) {
	var askedAt time.Time
	for wait := firstWait; ; wait = localEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		now := s.Clock.Now()
		isLocal := s.Settings.Every == 0 || now.Sub(askedAt).Abs() < s.Settings.Every
		if !isLocal {
			askedAt = now
		}
		_, _ = s.Examine(ctx, Options{Local: isLocal}) // it fails only with SendTest
	}
}
