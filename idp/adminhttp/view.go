package adminhttp

import (
	"context"
	"slices"

	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/templates"
)

// readView has the data of the pages, read at one moment.
type view struct {
	Status rotation.Status
	Plan   []rotation.UpcomingStep
	Board  *migration.Board
}

// planYears is the number of years that the pages look ahead.
const planYears = 1

func (h *Handler) readView(ctx context.Context) (*view, error) {
	b, err := h.Board.Board(ctx)
	if err != nil {
		return nil, err
	}
	st, err := h.Rotation.Status(ctx, b.CountUnmoved())
	if err != nil {
		return nil, err
	}
	plan, err := h.Rotation.Plan(ctx, planYears)
	if err != nil {
		return nil, err
	}
	st.Attention = append(st.Attention, b.Attention()...)
	return &view{Status: st, Plan: plan, Board: b}, nil
}

// listYears lists the years that have not ended, oldest first.
func (v *view) listYears(policy rotation.Policy) (all []templates.BoardYear) {
	for _, y := range v.Status.Years {
		if y.State.IsOver() {
			continue
		}
		row := templates.BoardYear{
			Year: y.Year, State: templates.YearKey(y.State), IsLive: y.Live, IsPreferred: y.State == rotation.Preferred,
			CertEndAt: y.CertEndAt, HasCertEnded: y.CertExpired,
		}
		if y.Live {
			row.RetireAt = policy.Dates(y.Year).RetireAt
		}
		if i := slices.IndexFunc(v.Board.Years, func(c migration.Year) bool { return c.Year == y.Year }); i >= 0 {
			c := v.Board.Years[i]
			row.SPCount, row.UnmovedCount = c.SPs, c.UnmovedCount
			row.MustBeLeft = y.Live && v.Board.MustLeave(c)
		}
		if y.Next != nil {
			next := renderStep(*y.Next)
			row.Next = &next
		}
		all = append(all, row)
	}
	return all
}

// listYearsToLeave lists the live years that service providers must leave, oldest first.
func (v *view) listYearsToLeave() []migration.Year {
	return slices.DeleteFunc(slices.Clone(v.Board.Years), func(y migration.Year) bool { return !y.State.IsLive() || !v.Board.MustLeave(y) })
}

// maxNextSteps bounds the list of future steps.
const maxNextSteps = 8

func (v *view) listNextSteps() (all []templates.BoardStep) {
	for _, c := range v.Plan {
		if c.Step == "" && c.FromState != c.ToState && c.ToState != rotation.Grace {
			continue // follows from the step before it
		}
		if len(all) == maxNextSteps {
			break
		}
		all = append(all, renderStep(c))
	}
	return all
}

// renderStep renders a future step.
func renderStep(c rotation.UpcomingStep) templates.BoardStep {
	what := templates.StepKey(c.Step)
	switch {
	case c.Step == "" && c.ToState == rotation.Expiring:
		what = templates.ComesExpiring
	case c.Step == "" && c.ToState == rotation.Published && c.FromState != c.ToState:
		what = templates.ComesPublished
	}
	return templates.BoardStep{Year: c.Year, Text: what, At: c.At, IsManual: c.ByHand, IsStuck: c.Stuck, Waits: c.Waits}
}
