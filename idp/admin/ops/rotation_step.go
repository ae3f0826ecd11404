package ops

import (
	"context"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/notify"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
)

// StepRequest asks for a step by hand.
type StepRequest struct {
	Step rotation.StepKind `json:"step"`
	// Year is empty for rollback, resume and confirm-clock.
	Year idp.Year `json:"year,omitzero"`
	// Until is when the hold of a rollback expires. Zero means never.
	Until time.Time `json:"until,omitzero"`
	// Force retires a year that is still used. It needs a Reason.
	Force  bool   `json:"force,omitzero"`
	Reason string `json:"reason,omitzero"`
	// DestroyNow destroys the key of a retired year at once.
	DestroyNow bool `json:"destroy_now,omitzero"`
	// DryRun changes nothing and returns the changes that the step would make.
	DryRun bool `json:"dry_run,omitzero"`
}

// RotationChange is the answer to rotation/step.
type RotationChange struct {
	DryRun bool `json:"dry_run"`
	// Steps are the steps that were taken, or would be, in order. revoke may make
	// a year first, and retire may destroy its key.
	Steps []rotation.Step `json:"steps"`
	// Changed are the years whose state or key changed, Unchanged the others that have not
	// have not ended.
	Changed   []YearChange `json:"changed"`
	Unchanged []YearChange `json:"unchanged"`
	// Status is the rotation after the change.
	Status RotationStatus `json:"status"`
	// CalendarAt is the calendar's date of a create step that is taken so early that an
	// operator should confirm it; zero otherwise.
	CalendarAt time.Time `json:"calendar_at,omitzero"`
	// CutOff are the service providers that still used a year when its retirement was forced.
	// They cannot sign anyone in until they move. It is empty if no force was needed. It is
	// missing for other steps, and if the service providers could not be read.
	CutOff []idp.EntityID `json:"cut_off,omitzero"`
	// Suggestions are for the service providers in CutOff.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
	// Revocation lists the notices to send to service providers. It is nil for other steps, and
	// for a year that was never published.
	Revocation *notify.Revocation `json:"revocation,omitempty"`
}

// YearChange is the effect of a step on a year.
type YearChange struct {
	Year idp.Year       `json:"year"`
	From rotation.State `json:"from"`
	To   rotation.State `json:"to"`
	// Certified is set if this step added the certificate of the waiting key.
	Certified bool `json:"certified,omitzero"`
	// KeyDestroyed is set if this step destroyed the private key.
	KeyDestroyed bool `json:"key_destroyed,omitzero"`
}

// TakeStep takes a step. In a dry run, it only returns the effects of the step.
var TakeStep = declare("rotation/step", func(s *Service, ctx context.Context, caller admin.Caller, req StepRequest) (RotationChange, error) {
	if err := req.check(); err != nil {
		return RotationChange{}, err
	}
	outcome, err := s.takeStep(ctx, caller, req)
	if err != nil {
		return RotationChange{}, convertStepError(err)
	}
	answer, err := s.describeRotationChange(ctx, outcome)
	if req.Step == rotation.StepRevoke {
		answer.Revocation = s.writeRevocation(ctx, req.Year, outcome)
	}
	if len(answer.CutOff) > 0 {
		report := idp.Suggest(idp.DoRotationReport).WithOption(idp.OptionYear, string(req.Year))
		answer.Suggestions = []idp.Suggestion{report.WithLabel(idp.LabelShowNotices), report.WithOption(idp.OptionSend, "").WithLabel(idp.LabelSendNotices)}
	}
	if calendarAt, isEarly := s.Rotation.Policy.CheckEarlyCreate(req.Year, outcome.Before.At); isEarly && req.Step == rotation.StepCreate {
		answer.CalendarAt = calendarAt
	}
	return answer, err
})

// takeStep takes the requested step.
func (s *Service) takeStep(ctx context.Context, caller admin.Caller, req StepRequest) (*rotator.Outcome, error) {
	step := rotation.Step{Kind: req.Step, Year: req.Year, HoldEndAt: req.Until, Force: req.Force, Reason: req.Reason}
	if req.DestroyNow {
		return s.Rotation.Retire(ctx, step, caller.Actor(), req.DryRun)
	}
	return s.Rotation.Take(ctx, step, caller.Actor(), req.DryRun)
}

// maxReason bounds a reason, which stays in the history permanently.
const maxReason = 500

// check finds the faults of a request that do not depend on the rotation's state.
func (r StepRequest) check() error {
	switch {
	case !r.Step.IsCommand():
		return invalidError("unknown step %q", r.Step)
	case !r.Step.NamesYear() && r.Year != "":
		return invalidError("%s takes no year: leave out %s", r.Step, r.Year)
	case r.Step.NamesYear() && !r.Year.IsValid():
		return checkYear(r.Year)
	case r.Step.NeedsReason() && r.Reason == "":
		return invalidError("%s needs a reason: give one", r.Step)
	case r.DestroyNow && r.Step != rotation.StepRetire:
		return invalidError("only retire can destroy a key at once, not %s", r.Step)
	case len(r.Reason) > maxReason:
		return invalidError("the reason has %d bytes: shorten it to %d", len(r.Reason), maxReason)
	}
	return nil
}

// compareStatus compares two states. It returns the years that differ, and the other years that
// have not ended.
func compareStatus(before, after rotation.Status) (changedYears, otherYears []YearChange) {
	changedYears, otherYears = []YearChange{}, []YearChange{}
	old, now := before.History(), after.History()
	for _, r := range now.Records {
		oldRecord, existed := old.Record(r.Year)
		c := YearChange{
			Year: r.Year, From: old.State(r.Year, before.At), To: now.State(r.Year, after.At),
			Certified:    existed && oldRecord.CertEndAt.IsZero() && !r.CertEndAt.IsZero(),
			KeyDestroyed: oldRecord.KeyDestroyedAt.IsZero() && !r.KeyDestroyedAt.IsZero(),
		}
		switch {
		case c.From != c.To || c.Certified || c.KeyDestroyed:
			changedYears = append(changedYears, c)
		case !c.To.IsOver():
			otherYears = append(otherYears, c)
		}
	}
	return changedYears, otherYears
}
