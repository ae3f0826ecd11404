package rotation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vernal/certs"
	"vernal/idp"
)

// Outcome is what steps by hand did or, in a dry run, would do.
type Outcome struct {
	Steps  []certs.Step `json:"steps"`
	Before certs.Status `json:"before"`
	After  certs.Status `json:"after"`
	DryRun bool         `json:"dry_run"`
}

// Take takes a step by hand. A create needs no CertEndAt: without one it is the
// calendar's. A step that the rules refuse gives a *certs.RefusedError.
func (s *Service) Take(ctx context.Context, step certs.Step, actor string, dryRun bool) (*Outcome, error) {
	if step.Kind == certs.StepCSR || step.Kind == certs.StepImport {
		return nil, fmt.Errorf("rotation: %s is not taken here", step.Kind)
	}
	return s.take(ctx, actor, dryRun, func(h certs.History, now time.Time) ([]certs.Step, error) {
		if step.Kind == certs.StepCreate && step.CertEndAt.IsZero() {
			step.CertEndAt = s.Policy.CreateStep(h, step.Year, now).CertEndAt
		}
		return []certs.Step{step}, nil
	})
}

// Retire retires a year and destroys its key, both in one transaction. Of a year
// that is over already only the key is destroyed.
func (s *Service) Retire(ctx context.Context, retire certs.Step, actor string, dryRun bool) (*Outcome, error) {
	return s.take(ctx, actor, dryRun, func(h certs.History, now time.Time) ([]certs.Step, error) {
		destroy := certs.Step{Kind: certs.StepDestroy, Year: retire.Year, Reason: retire.Reason}
		if h.State(retire.Year, now).Over() {
			return []certs.Step{destroy}, nil
		}
		return []certs.Step{retire, destroy}, nil
	})
}

// Revoke ends a year at once, and makes a successor where one is needed; all of
// it becomes visible together.
func (s *Service) Revoke(ctx context.Context, y idp.Year, reason, actor string, dryRun bool) (*Outcome, error) {
	return s.take(ctx, actor, dryRun, func(h certs.History, now time.Time) ([]certs.Step, error) {
		return s.Policy.RevokeSteps(h, y, reason, now)
	})
}

// take takes all the steps in one transaction, or none.
func (s *Service) take(ctx context.Context, actor string, dryRun bool,
	choose func(certs.History, time.Time) ([]certs.Step, error)) (*Outcome, error) {
	s.steps.Lock()
	defer s.steps.Unlock()
	h, now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	steps, err := choose(h, now)
	if err != nil {
		return nil, err
	}
	return s.takeChosen(ctx, h, now, steps, actor, dryRun, s.prepare)
}

// prepare makes what a step needs before it is written down, and returns the
// year's key if that has a certificate now.
func (s *Service) prepare(step certs.Step, now time.Time) (*certs.Key, error) {
	switch step.Kind {
	case certs.StepCreate:
		return s.makeKey(step, now)
	case certs.StepCSR:
		_, err := s.makeWaiting(step.Year)
		return nil, err
	}
	return nil, nil
}

// takeChosen is take with the steps chosen.
func (s *Service) takeChosen(ctx context.Context, h certs.History, now time.Time, steps []certs.Step, actor string, dryRun bool,
	prepare func(certs.Step, time.Time) (*certs.Key, error)) (*Outcome, error) {
	after, err := s.takeAll(h, steps, now)
	if err != nil {
		return nil, s.nameUsers(ctx, err, h, now)
	}
	o := &Outcome{Steps: steps, Before: s.Policy.Status(h, now), DryRun: dryRun}
	if !dryRun && len(steps) > 0 {
		after, err = s.commit(ctx, steps, actor, now, prepare, func(h certs.History) (certs.History, error) {
			return s.takeAll(h, steps, now)
		})
		if err != nil {
			return nil, s.nameUsers(ctx, err, h, now)
		}
	}
	o.After = s.nameHeld(ctx, s.Policy.Status(after, now), after)
	return o, nil
}

func (s *Service) takeAll(h certs.History, steps []certs.Step, now time.Time) (certs.History, error) {
	for _, step := range steps {
		var err error
		if h, err = s.Policy.Take(step, h, now); err != nil {
			return h, err
		}
	}
	return h, nil
}

// commit takes steps that were checked: what they need is prepared, then change
// writes the steps down, then keys are removed and requests see the outcome.
func (s *Service) commit(ctx context.Context, steps []certs.Step, actor string, now time.Time,
	prepare func(certs.Step, time.Time) (*certs.Key, error), change func(certs.History) (certs.History, error)) (certs.History, error) {
	events := make([]idp.AuditEvent, len(steps))
	for i, step := range steps {
		k, err := prepare(step, now)
		if err != nil {
			return certs.History{}, err
		}
		if k != nil {
			steps[i].CertEndAt = k.Cert.NotAfter
		}
		events[i] = event(steps[i], actor)
		if k != nil {
			events[i].Detail["certificate_sha256"] = fingerprint(k.Cert)
		}
		if step.Force {
			s.recordUsers(ctx, &events[i], step, now)
		}
	}
	h, err := s.update(ctx, change, events...)
	if err != nil {
		var refused *certs.RefusedError
		if !errors.As(err, &refused) && !errors.Is(err, errTaken) {
			err = fmt.Errorf("write the rotation: %w", err)
		}
		return h, err
	}
	for _, step := range steps {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation step", slog.String("step", string(step.Kind)), slog.String("year", string(step.Year)),
			slog.String("actor", actor), slog.String("why", step.Why), slog.String("reason", step.Reason))
		if step.Kind == certs.StepDestroy {
			if err := s.Dir.Destroy(step.Year); err != nil {
				return h, &afterError{fmt.Errorf("it is written down and will be tried again: %w", err)}
			}
		}
	}
	if err := s.show(h); err != nil && h.Preferred != "" {
		return h, &afterError{fmt.Errorf("the step is taken, but the server cannot follow it: %w", err)}
	}
	return h, s.settle(ctx, steps)
}

// afterError is what went wrong after a step was written down. It is never
// taken again for that: Tick finishes it.
type afterError struct{ error }

func (e *afterError) Unwrap() error { return e.error }
