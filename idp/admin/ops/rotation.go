package ops

import (
	"context"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/templates"
)

// RotationStatus is the answer to rotation/status.
type RotationStatus struct {
	rotation.Status
	// Automatic is set if the server takes the steps itself on their dates.
	Automatic bool `json:"automatic"`
	// Board shows the service providers that use each year. Only rotation/status sets it.
	Board *migration.Board `json:"board,omitempty"`
}

// PlanRequest asks for the next steps.
type PlanRequest struct {
	// Years is the number of years to look ahead, 1 to MaxPlanYears.
	Years int `json:"years"`
}

// MaxPlanYears is the maximum number of years in a plan.
const MaxPlanYears = 25

// RotationPlan is the answer to rotation/plan.
type RotationPlan struct {
	At        time.Time `json:"at"`
	Preferred idp.Year  `json:"preferred"`
	Automatic bool      `json:"automatic"`
	// Steps is sorted by date.
	Steps     []rotation.UpcomingStep `json:"coming"`
	Attention []rotation.Attention    `json:"attention"`
}

// ShowStatus reports the state of every year.
var ShowStatus = declare("rotation/status", func(s *Service, ctx context.Context, _ admin.Caller, _ Empty) (RotationStatus, error) {
	st, err := s.readStatus(ctx)
	if err != nil {
		return RotationStatus{}, err
	}
	phrases := templates.TerminalPhrases()
	for _, p := range st.Board.SPs {
		phrases.FillReasons(p.Warnings)
	}
	return st, nil
})

// readStatus returns the state of every year and the service providers that use it.
func (s *Service) readStatus(ctx context.Context) (RotationStatus, error) {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return RotationStatus{}, err
	}
	now, err := s.Rotation.Status(ctx, b.CountUnmoved())
	st := describeStatus(now, b, s.Rotation.Policy)
	st.Board = b
	return st, err
}

// describeStatus adds the service providers that need attention.
func describeStatus(st rotation.Status, b *migration.Board, policy rotation.Policy) RotationStatus {
	st.Years, st.Steps, st.DueSteps = copyList(st.Years), copyList(st.Steps), copyList(st.DueSteps)
	st.Attention = append(copyList(st.Attention), b.Attention()...)
	templates.TerminalPhrases().FillStatus(&st)
	return RotationStatus{Status: st, Automatic: !policy.Manual}
}

// ShowPlan reports the steps of the next years.
var ShowPlan = declare("rotation/plan", func(s *Service, ctx context.Context, _ admin.Caller, req PlanRequest) (RotationPlan, error) {
	if req.Years < 1 || req.Years > MaxPlanYears {
		return RotationPlan{}, invalidError("a plan looks 1 to %d years ahead", MaxPlanYears)
	}
	st, err := s.readStatus(ctx)
	if err != nil {
		return RotationPlan{}, err
	}
	coming, err := s.Rotation.Plan(ctx, req.Years)
	if err != nil {
		return RotationPlan{}, err
	}
	templates.TerminalPhrases().FillPlan(coming)
	return RotationPlan{
		At: st.At, Preferred: st.Preferred, Automatic: st.Automatic,
		Steps: copyList(coming), Attention: st.Attention,
	}, nil
})
