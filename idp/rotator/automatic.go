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
