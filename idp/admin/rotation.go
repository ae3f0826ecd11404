package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/certs"
	"vernal/idp/rotation"
)

func (s *Service) rotationStatus(ctx context.Context, _ Caller, _ Empty) (RotationStatus, error) {
	st, err := s.Rotation.Status(ctx)
	if err != nil {
		return RotationStatus{}, err
	}
	return s.statusFor(ctx, st)
}

// statusFor adds what the registry knows.
func (s *Service) statusFor(ctx context.Context, st certs.Status) (RotationStatus, error) {
	ended, err := s.endedRequestCerts(ctx)
	if err != nil {
		return RotationStatus{}, err
	}
	st.Years, st.Steps, st.Due = list(st.Years), list(st.Steps), list(st.Due)
	st.Attention = append(list(st.Attention), ended...)
	return RotationStatus{Status: st, Automatic: !s.Rotation.Policy.Manual}, nil
}

// list is never nil: what is empty is an empty list in JSON, not null.
func list[T any](s []T) []T { return append([]T{}, s...) }

// endedRequestCerts are the request certificates of service providers that have
// ended. They verify all the same, but are due to be changed. A registration
// that cannot be read is left out: it is told when it is used.
func (s *Service) endedRequestCerts(ctx context.Context) (all []certs.Attention, err error) {
	providers, err := s.Registry.List(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	for _, p := range providers {
		parsed, err := s.Registry.Lookup(ctx, p.EntityID)
		if err != nil {
			continue
		}
		for _, c := range parsed.RequestCerts {
			if !now.Before(c.NotAfter) {
				all = append(all, certs.Attention{
					Code: certs.RequestCertEnded,
					Text: fmt.Sprintf("a request certificate of %s ended on %s", p.EntityID, c.NotAfter.UTC().Format(time.DateOnly)),
				})
			}
		}
	}
	return all, nil
}

func (s *Service) rotationPlan(ctx context.Context, by Caller, req PlanRequest) (RotationPlan, error) {
	if req.Years < 1 || req.Years > MaxPlanYears {
		return RotationPlan{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("a plan looks 1 to %d years ahead", MaxPlanYears)}
	}
	st, err := s.rotationStatus(ctx, by, Empty{})
	if err != nil {
		return RotationPlan{}, err
	}
	coming, err := s.Rotation.Plan(ctx, req.Years)
	if err != nil {
		return RotationPlan{}, err
	}
	return RotationPlan{
		At: st.At, Preferred: st.Preferred, Automatic: st.Automatic,
		Coming: list(coming), Attention: st.Attention,
	}, nil
}

func (s *Service) rotationStep(ctx context.Context, by Caller, req StepRequest) (RotationChange, error) {
	if err := req.check(); err != nil {
		return RotationChange{}, err
	}
	o, err := s.takeStep(ctx, by, req)
	var refused *certs.RefusedError
	if errors.As(err, &refused) {
		st, err := s.Rotation.Status(ctx)
		if err != nil {
			return RotationChange{}, err
		}
		return RotationChange{}, refusal(refused, st)
	}
	if err != nil {
		return RotationChange{}, err
	}
	c := RotationChange{DryRun: req.DryRun, Steps: o.Steps}
	c.Changed, c.Unchanged = changes(o.Before, o.After)
	s.tellRevocation(ctx, &c, req, o)
	c.Status, err = s.statusFor(ctx, o.After)
	return c, err
}

// takeStep takes what the request asks for.
func (s *Service) takeStep(ctx context.Context, by Caller, req StepRequest) (*rotation.Outcome, error) {
	step := certs.Step{Kind: req.Step, Year: req.Year, Until: req.Until, Force: req.Force, Reason: req.Reason}
	switch req.Step {
	case certs.StepRevoke:
		return s.Rotation.Revoke(ctx, req.Year, req.Reason, by.Actor(), req.DryRun)
	case certs.StepRetire:
		return s.retire(ctx, by, step, req)
	case certs.StepRollback:
		st, err := s.Rotation.Status(ctx)
		if err != nil {
			return nil, err
		}
		to, ok := historyOf(st).RollbackTo()
		if !ok {
			return nil, &certs.RefusedError{Kind: certs.StepRollback, Because: "no older year is live"}
		}
		step.Year = to
	}
	return s.Rotation.Take(ctx, step, by.Actor(), req.DryRun)
}

// retire retires a year and, where asked, destroys its key. They are two steps:
// should the second one fail, the year is retired, its key goes later by itself,
// and the command can be given again, which for a retired year destroys alone.
func (s *Service) retire(ctx context.Context, by Caller, step certs.Step, req StepRequest) (*rotation.Outcome, error) {
	destroy := certs.Step{Kind: certs.StepDestroy, Year: req.Year, Reason: req.Reason}
	if req.DestroyNow {
		st, err := s.Rotation.Status(ctx)
		if err != nil {
			return nil, err
		}
		if historyOf(st).State(req.Year, st.At).Over() {
			return s.Rotation.Take(ctx, destroy, by.Actor(), req.DryRun)
		}
	}
	o, err := s.Rotation.Take(ctx, step, by.Actor(), req.DryRun)
	if err != nil || !req.DestroyNow {
		return o, err
	}
	if req.DryRun {
		// The key of a year that is retired a moment before can be destroyed.
		now := o.After.At
		o.After = s.Rotation.Policy.Status(historyOf(o.After).Apply(destroy, now), now)
		o.Steps = append(o.Steps, destroy)
		return o, nil
	}
	d, err := s.Rotation.Take(ctx, destroy, by.Actor(), false)
	if err != nil {
		return nil, fmt.Errorf("%s is retired, but its key is not destroyed: %w", req.Year, err)
	}
	o.After, o.Steps = d.After, append(o.Steps, d.Steps...)
	return o, nil
}
