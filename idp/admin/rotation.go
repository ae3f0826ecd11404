package admin

import (
	"context"
	"fmt"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/templates"
)

func (s *Service) rotationStatus(ctx context.Context, _ Caller, _ Empty) (RotationStatus, error) {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return RotationStatus{}, err
	}
	st, err := s.Rotation.StatusWith(ctx, b.Unmoved())
	if err != nil {
		return RotationStatus{}, err
	}
	answer, err := s.statusFor(ctx, st)
	if err != nil {
		return RotationStatus{}, err
	}
	answer.Board = b
	phrases := templates.TerminalPhrases()
	for i := range answer.Board.SPs {
		phrases.FillReasons(answer.Board.SPs[i].Warnings)
	}
	return answer, nil
}

// statusFor adds what the registry knows.
func (s *Service) statusFor(ctx context.Context, st rotation.Status) (RotationStatus, error) {
	ended, err := s.endedRequestCerts(ctx)
	if err != nil {
		return RotationStatus{}, err
	}
	st.Years, st.Steps, st.Due = list(st.Years), list(st.Steps), list(st.Due)
	st.Attention = append(list(st.Attention), ended...)
	phrases := templates.TerminalPhrases()
	phrases.FillStatus(&st)
	return RotationStatus{Status: st, Automatic: !s.Rotation.Policy.Manual}, nil
}

// list is never nil: what is empty is an empty list in JSON, not null.
func list[T any](s []T) []T { return append([]T{}, s...) }

// endedRequestCerts are the request certificates of service providers that have
// ended. They verify all the same, but are due to be changed. A registration
// that cannot be read is left out: it is told when it is used.
func (s *Service) endedRequestCerts(ctx context.Context) (all []rotation.Attention, err error) {
	providers, err := s.Registry.All(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	for _, p := range providers {
		for _, c := range p.RequestCerts {
			if !now.Before(c.NotAfter) {
				all = append(all, rotation.Attention{Code: rotation.RequestCertEnded, Args: rotation.Args{SPs: []idp.EntityID{p.EntityID}, Date: c.NotAfter.UTC()}})
			}
		}
	}
	return all, nil
}

func (s *Service) rotationPlan(ctx context.Context, _ Caller, req PlanRequest) (RotationPlan, error) {
	if req.Years < 1 || req.Years > MaxPlanYears {
		return RotationPlan{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("a plan looks 1 to %d years ahead", MaxPlanYears)}
	}
	now, err := s.Rotation.Status(ctx)
	if err != nil {
		return RotationPlan{}, err
	}
	st, err := s.statusFor(ctx, now)
	if err != nil {
		return RotationPlan{}, err
	}
	coming, err := s.Rotation.Plan(ctx, req.Years)
	if err != nil {
		return RotationPlan{}, err
	}
	phrases := templates.TerminalPhrases()
	phrases.FillPlan(coming)
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
	if err != nil {
		return RotationChange{}, stepError(err)
	}
	c, err := s.changeOf(ctx, o)
	s.tellRevocation(ctx, &c, req, o)
	if len(c.CutOff) > 0 {
		report := idp.Suggest(idp.DoRotationReport).With(idp.OptionYear, string(req.Year))
		c.Suggestions = []idp.Suggestion{report.Labeled(idp.LabelSeeNotices), report.With(idp.OptionSend, "").Labeled(idp.LabelSendNotices)}
	}
	c.CalendarAt = req.calendarDate(s.Rotation.Policy, o.Before.At)
	return c, err
}

// takeStep takes what the request asks for.
func (s *Service) takeStep(ctx context.Context, by Caller, req StepRequest) (*rotator.Outcome, error) {
	step := rotation.Step{Kind: req.Step, Year: req.Year, Until: req.Until, Force: req.Force, Reason: req.Reason}
	if req.DestroyNow {
		return s.Rotation.Retire(ctx, step, by.Actor(), req.DryRun)
	}
	return s.Rotation.Take(ctx, step, by.Actor(), req.DryRun)
}
