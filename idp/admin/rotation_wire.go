package admin

import (
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/notice"
	"vernal/idp/rotation"
)

// RotationStatus is the answer to rotation/status.
type RotationStatus struct {
	rotation.Status
	// Automatic reports whether the server takes the steps on their dates.
	Automatic bool `json:"automatic"`
	// Board is the migration board. Only rotation/status has it.
	Board *migration.Board `json:"board,omitempty"`
}

// PlanRequest asks for the future steps.
type PlanRequest struct {
	// Years is how far to look ahead, 1 to MaxPlanYears.
	Years int `json:"years"`
}

// MaxPlanYears limits how far a plan looks ahead.
const MaxPlanYears = 25

// RotationPlan is the answer to rotation/plan.
type RotationPlan struct {
	At        time.Time `json:"at"`
	Preferred idp.Year  `json:"preferred"`
	Automatic bool      `json:"automatic"`
	// Coming is sorted by date.
	Coming    []rotation.Coming    `json:"coming"`
	Attention []rotation.Attention `json:"attention"`
}

// StepRequest asks for a step by hand.
type StepRequest struct {
	Step rotation.StepKind `json:"step"`
	// Year is empty for rollback, resume and confirm-clock.
	Year idp.Year `json:"year,omitzero"`
	// Until is when the hold of a rollback ends automatically, or zero for never.
	Until time.Time `json:"until,omitzero"`
	// Force retires a year that is still used. It needs a Reason.
	Force  bool   `json:"force,omitzero"`
	Reason string `json:"reason,omitzero"`
	// DestroyNow destroys the key of a retired year at once.
	DestroyNow bool `json:"destroy_now,omitzero"`
	// DryRun changes nothing. The answer says what would change.
	DryRun bool `json:"dry_run,omitzero"`
}

// RotationChange is the answer to rotation/step.
type RotationChange struct {
	DryRun bool `json:"dry_run"`
	// Steps are those taken, or that would be, in order: revoke may make a year first,
	// retire may destroy its key.
	Steps []rotation.Step `json:"steps"`
	// Changed are the years whose state or key changed, Unchanged the others that are not over.
	Changed   []YearChange `json:"changed"`
	Unchanged []YearChange `json:"unchanged"`
	// Status is the rotation after the change.
	Status RotationStatus `json:"status"`
	// CalendarAt is the calendar date of a create that comes so early that an operator
	// should confirm it, or zero.
	CalendarAt time.Time `json:"calendar_at,omitzero"`
	// CutOff are the service providers that still used a year when its retirement was
	// forced. No user can sign in to them until they move. It is empty if no force was
	// needed, and missing for other steps or if the uses could not be read.
	CutOff []idp.EntityID `json:"cut_off,omitzero"`
	// Suggestions are about the service providers in CutOff.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
	// Revocation is the notice to service providers, or nil for other steps and for a year
	// that was never published.
	Revocation *notice.Revocation `json:"revocation,omitempty"`
}

// ReportRequest asks for the notices to service providers that must act.
type ReportRequest struct {
	// Year selects the users of a year. "" selects all.
	Year idp.Year `json:"year,omitzero"`
	// SP selects one service provider. "" selects all.
	SP idp.EntityID `json:"entity_id,omitzero"`
	// Send mails the notices to the contacts. With DryRun it only lists the recipients.
	Send   bool `json:"send,omitzero"`
	DryRun bool `json:"dry_run,omitzero"`
}

// RotationReport is the answer to rotation/report.
type RotationReport struct {
	At      time.Time       `json:"at"`
	DryRun  bool            `json:"dry_run"`
	Notices []notice.Letter `json:"notices"`
	// Sent has an entry for each of Notices if Send was requested.
	Sent []notice.Sent `json:"sent,omitempty"`
}

// YearChange is the effect of a step on a year.
type YearChange struct {
	Year idp.Year       `json:"year"`
	From rotation.State `json:"from"`
	To   rotation.State `json:"to"`
	// Certified: with this step the certificate of its waiting key came.
	Certified bool `json:"certified,omitzero"`
	// KeyDestroyed: this step destroyed its private key.
	KeyDestroyed bool `json:"key_destroyed,omitzero"`
}
