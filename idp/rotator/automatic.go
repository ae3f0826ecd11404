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

// errTaken is returned by the slower of two claims.
var errTaken = errors.New("the step is not due any more")

// Automatic takes every step that is due now and returns the steps that it took. Steps that
// another server took meanwhile are not included. A failed step is recorded for operators
// and tried again the next time, without delaying other years. In manual mode only keys of
// years that are over are removed.
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
		steps := []rotation.Step{step}
		_, err := s.commit(ctx, steps, "server", now, s.prepare, func(h rotation.History, _ []idp.AuditEvent) (rotation.History, error) {
			return claim(p, steps[0], h, now)
		})
		var refused *rotation.RefusedError
		var after *afterError
		switch {
		case errors.Is(err, errTaken), errors.As(err, &refused):
			s.Log.LogAttrs(ctx, slog.LevelDebug, "rotation step not taken", slog.String("step", string(step.Kind)),
				slog.String("year", string(step.Year)), slog.String("error", err.Error()))
		case errors.As(err, &after):
			taken, errs = append(taken, steps[0]), append(errs, err)
		case errors.Is(err, errUsesUnknown): // the step is right, and taken once they can be read
			failed[step.Year] = true
			errs = append(errs, fmt.Errorf("%s %s: %w", step.Kind, step.Year, err))
		case err != nil:
			failed[step.Year] = true
			errs = append(errs, fmt.Errorf("%s %s: %w", step.Kind, step.Year, err), s.fail(ctx, step, now, err))
		default:
			taken = append(taken, steps[0])
		}
	}
	return taken, errors.Join(errs...)
}

// claim takes the step if it is still due.
func claim(p rotation.Policy, step rotation.Step, h rotation.History, now time.Time) (rotation.History, error) {
	due := slices.ContainsFunc(p.Steps(h, now), func(d rotation.Step) bool { return d.Kind == step.Kind && d.Year == step.Year })
	if !due {
		return h, errTaken
	}
	return p.Take(step, h, now)
}

// fail records that a step could not be taken, once for each reason.
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
