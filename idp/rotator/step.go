package rotator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

// Outcome is the result of steps by hand or, for a dry run, its preview.
type Outcome struct {
	Steps  []rotation.Step `json:"steps"`
	Before rotation.Status `json:"before"`
	After  rotation.Status `json:"after"`
	DryRun bool            `json:"dry_run"`
	// CutOff are the service providers that still use a year whose retirement is forced. It
	// is empty if no force is needed, and nil for other steps or if the uses cannot be read.
	CutOff []idp.EntityID `json:"cut_off,omitzero"`
}

// Take takes a step by hand with its prerequisites: a revoke makes a successor if needed,
// and both become visible together. A create without CertEndAt uses the calendar's. A
// rollback without a year returns to the newest older year that is live. It returns a
// *rotation.RefusedError if the rules refuse the step.
func (s *Service) Take(ctx context.Context, step rotation.Step, actor string, dryRun bool) (*Outcome, error) {
	if !step.Kind.IsCommand() && !step.Kind.IsAutomatic() {
		return nil, fmt.Errorf("rotation: %s is not taken here", step.Kind)
	}
	return s.take(ctx, actor, dryRun, func(h rotation.History, now time.Time) ([]rotation.Step, error) {
		switch {
		case step.Kind == rotation.StepCreate && step.CertEndAt.IsZero():
			step.CertEndAt = s.Policy.CreateStep(h, step.Year, now).CertEndAt
		case step.Kind == rotation.StepRevoke:
			return s.Policy.RevokeSteps(h, step.Year, step.Reason, now)
		case step.Kind == rotation.StepRollback && step.Year == "":
			to, ok := h.RollbackTo()
			if !ok {
				return nil, h.Refuse(step.Kind, "", rotation.Reason{Code: rotation.RefusedNoOlderYear}, now)
			}
			step.Year = to
		}
		return []rotation.Step{step}, nil
	})
}

// Retire retires a year and destroys its key in one transaction. If the year is over
// already, it only destroys the key.
func (s *Service) Retire(ctx context.Context, retire rotation.Step, actor string, dryRun bool) (*Outcome, error) {
	return s.take(ctx, actor, dryRun, func(h rotation.History, now time.Time) ([]rotation.Step, error) {
		destroy := rotation.Step{Kind: rotation.StepDestroy, Year: retire.Year, Reason: retire.Reason}
		if h.State(retire.Year, now).Over() {
			return []rotation.Step{destroy}, nil
		}
		return []rotation.Step{retire, destroy}, nil
	})
}

// take takes all the steps in one transaction, or none.
func (s *Service) take(ctx context.Context, actor string, dryRun bool,
	choose func(rotation.History, time.Time) ([]rotation.Step, error)) (*Outcome, error) {
	s.steps.Lock()
	defer s.steps.Unlock()
	h, now, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	steps, err := choose(h, now)
	if err != nil {
		return nil, err
	}
	return s.takeChosen(ctx, h, now, steps, actor, dryRun, s.prepare)
}

// prepare makes what a step needs before it is recorded. It returns the year's key if it made one.
func (s *Service) prepare(step rotation.Step, now time.Time) (*certs.Key, error) {
	switch step.Kind {
	case rotation.StepCreate:
		return s.makeKey(step, now)
	case rotation.StepCSR:
		return s.makeWaiting(step.Year)
	}
	return nil, nil
}

// takeChosen is take for chosen steps.
func (s *Service) takeChosen(ctx context.Context, h rotation.History, now time.Time, steps []rotation.Step, actor string, dryRun bool,
	prepare func(rotation.Step, time.Time) (*certs.Key, error)) (*Outcome, error) {
	after, err := s.takeAll(h, steps, now)
	if err != nil {
		return nil, s.nameUsers(ctx, err, h, now)
	}
	if retires(h, after) { // before anything is made, and in a dry run
		if _, err := s.lastUses(ctx); err != nil {
			return nil, err
		}
	}
	forced := s.forced(ctx, steps, h, now)
	o := &Outcome{Steps: steps, Before: s.Policy.Status(h, now, nil), DryRun: dryRun, CutOff: forced.cutOff(s.Policy, h, now)}
	if !dryRun && len(steps) > 0 {
		after, err = s.commit(ctx, steps, actor, now, prepare, func(h rotation.History, events []idp.AuditEvent) (rotation.History, error) {
			// A use may have come meanwhile, so record and report the state that this
			// transaction decides on.
			o.CutOff = forced.cutOff(s.Policy, h, now)
			forced.record(events, o.CutOff)
			return s.takeAll(h, steps, now)
		})
		if err != nil {
			return nil, s.nameUsers(ctx, err, h, now)
		}
	}
	o.After = s.nameHeld(ctx, s.Policy.Status(after, now, nil), after)
	return o, nil
}

func (s *Service) takeAll(h rotation.History, steps []rotation.Step, now time.Time) (rotation.History, error) {
	for _, step := range steps {
		var err error
		if h, err = s.Policy.Take(step, h, now); err != nil {
			return h, err
		}
	}
	return h, nil
}

// commit takes checked steps. It prepares what they need, change records them and may
// complete the details of their audit records, and then requests see the outcome. An error
// after the record is an *afterError.
func (s *Service) commit(ctx context.Context, steps []rotation.Step, actor string, now time.Time,
	prepare func(rotation.Step, time.Time) (*certs.Key, error), change func(rotation.History, []idp.AuditEvent) (rotation.History, error)) (rotation.History, error) {
	events := make([]idp.AuditEvent, len(steps))
	var made []*certs.Key
	for i, step := range steps {
		k, err := prepare(step, now)
		if err != nil {
			return rotation.History{}, err
		}
		if k != nil {
			made = append(made, k)
			identify(&steps[i], k)
		}
		events[i] = event(steps[i], actor)
	}
	h, err := s.update(ctx, func(h rotation.History) (rotation.History, error) { return change(h, events) }, events...)
	if err != nil {
		var refused *rotation.RefusedError
		if !errors.As(err, &refused) && !errors.Is(err, errTaken) && !errors.Is(err, errUsesUnknown) {
			err = fmt.Errorf("write the rotation: %w", err)
		}
		return h, err
	}
	// The steps are recorded. Close the years that they ended before anything that may fail.
	s.close(h, made)
	for _, step := range steps {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "rotation step", slog.String("step", string(step.Kind)), slog.String("year", string(step.Year)),
			slog.String("actor", actor), slog.String("why", step.Why.String()), slog.String("reason", step.Reason))
	}
	if err := errors.Join(s.settle(ctx, steps), s.open(ctx, h), s.destroyEnded(ctx)); err != nil {
		return h, &afterError{fmt.Errorf("the step is recorded, but could not be finished and will be tried again: %w", err)}
	}
	return s.shown, nil
}

// identify adds the certificate and key of k to a step.
func identify(step *rotation.Step, k *certs.Key) {
	step.PublicKeySHA256 = certs.PublicKeySHA256(k.Signer.Public())
	if k.Cert != nil {
		step.CertEndAt, step.CertificateSHA256 = k.Cert.NotAfter, certs.CertSHA256(k.Cert)
	}
}

// afterError is a failure after a step or the running time was recorded. Neither must be
// recorded again: Tick finishes it.
type afterError struct{ error }

func (e *afterError) Unwrap() error { return e.error }
