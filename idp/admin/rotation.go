package admin

import (
	"context"
	"fmt"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/templates"
)

func (s *Service) rotationStatus(ctx context.Context, _ Caller, _ Empty) (RotationStatus, error) {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return RotationStatus{}, err
	}
	st, err := s.Rotation.Status(ctx, b.Unmoved())
	if err != nil {
		return RotationStatus{}, err
	}
	answer := statusFor(st, b, s.Rotation.Policy)
	answer.Board = b
	phrases := templates.TerminalPhrases()
	for i := range answer.Board.SPs {
		phrases.FillReasons(answer.Board.SPs[i].Warnings)
	}
	return answer, nil
}

// statusFor adds what needs attention about service providers.
func statusFor(st rotation.Status, b *migration.Board, policy rotation.Policy) RotationStatus {
	st.Years, st.Steps, st.Due = list(st.Years), list(st.Steps), list(st.Due)
	st.Attention = append(list(st.Attention), b.Attention()...)
	templates.TerminalPhrases().FillStatus(&st)
	return RotationStatus{Status: st, Automatic: !policy.Manual}
}

// list returns a copy that is never nil: empty lists must be [] in JSON, not null.
func list[T any](s []T) []T { return append([]T{}, s...) }

func (s *Service) rotationPlan(ctx context.Context, _ Caller, req PlanRequest) (RotationPlan, error) {
	if req.Years < 1 || req.Years > MaxPlanYears {
		return RotationPlan{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("a plan looks 1 to %d years ahead", MaxPlanYears)}
	}
	b, err := s.Board.Board(ctx)
	if err != nil {
		return RotationPlan{}, err
	}
	now, err := s.Rotation.Status(ctx, b.Unmoved())
	if err != nil {
		return RotationPlan{}, err
	}
	st := statusFor(now, b, s.Rotation.Policy)
	coming, err := s.Rotation.Plan(ctx, req.Years)
	if err != nil {
		return RotationPlan{}, err
	}
	templates.TerminalPhrases().FillPlan(coming)
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

// takeStep takes the step that the request asks for.
func (s *Service) takeStep(ctx context.Context, by Caller, req StepRequest) (*rotator.Outcome, error) {
	step := rotation.Step{Kind: req.Step, Year: req.Year, Until: req.Until, Force: req.Force, Reason: req.Reason}
	if req.DestroyNow {
		return s.Rotation.Retire(ctx, step, by.Actor(), req.DryRun)
	}
	return s.Rotation.Take(ctx, step, by.Actor(), req.DryRun)
}
