package admin

import (
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/notify"
	"vernal/idp/rotation"
)

// RotationStatus is the answer to rotation/status.
type RotationStatus struct {
	rotation.Status
	// Automatic: the server takes the steps itself on their dates.
	Automatic bool `json:"automatic"`
	// Board is who uses which year. Only rotation/status has it.
	Board *migration.Board `json:"board,omitempty"`
}

// PlanRequest asks what comes.
type PlanRequest struct {
	// Years is how far to look ahead, 1 to MaxPlanYears.
	Years int `json:"years"`
}

// MaxPlanYears is how far a plan looks ahead at most.
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
	// Year is left out for rollback, resume and confirm-clock.
	Year idp.Year `json:"year,omitzero"`
	// Until is when the hold of a rollback ends by itself; zero: never.
	Until time.Time `json:"until,omitzero"`
	// Force retires a year that is still used; it needs a Reason.
	Force  bool   `json:"force,omitzero"`
	Reason string `json:"reason,omitzero"`
	// DestroyNow destroys the key of a retired year at once.
	DestroyNow bool `json:"destroy_now,omitzero"`
	// DryRun changes nothing; the answer says what would change.
	DryRun bool `json:"dry_run,omitzero"`
}

// RotationChange is the answer to rotation/step.
type RotationChange struct {
	DryRun bool `json:"dry_run"`
	// Steps are those that were taken, or would be, in order: revoke may make
	// a year first, retire may destroy its key.
	Steps []rotation.Step `json:"steps"`
	// Changed are the years whose state or key changed, Unchanged the others
	// that are not over.
	Changed   []YearChange `json:"changed"`
	Unchanged []YearChange `json:"unchanged"`
	// Status is the rotation after the change.
	Status RotationStatus `json:"status"`
	// CalendarAt is the date in the calendar of a create that comes so long before
	// it that an operator should confirm it; zero otherwise.
	CalendarAt time.Time `json:"calendar_at,omitzero"`
	// CutOff are the service providers that still used a year when its retirement was
	// forced: they cannot sign anyone in until they move. It is empty if no force was
	// needed, and missing if they could not be read and for other steps.
	CutOff []idp.EntityID `json:"cut_off,omitzero"`
	// Suggestions are for those that are cut off.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
	// Revocation is whom to tell, and what; nil for other steps, and for a
	// year that nobody could know.
	Revocation *notify.Revocation `json:"revocation,omitempty"`
}

// ReportRequest asks for the notices to service providers that have to act.
type ReportRequest struct {
	// Year leaves those that use it; "" for all.
	Year idp.Year `json:"year,omitzero"`
	// SP leaves one; "" for all.
	SP idp.EntityID `json:"entity_id,omitzero"`
	// Send mails them to the contacts; with DryRun it only says to whom.
	Send   bool `json:"send,omitzero"`
	DryRun bool `json:"dry_run,omitzero"`
}

// RotationReport is the answer to rotation/report.
type RotationReport struct {
	At      time.Time       `json:"at"`
	DryRun  bool            `json:"dry_run"`
	Notices []notify.Letter `json:"notices"`
	// Sent has an entry for each of Notices, if they were to be sent.
	Sent []notify.Sent `json:"sent,omitempty"`
}

// YearChange is what a step did to a year.
type YearChange struct {
	Year idp.Year       `json:"year"`
	From rotation.State `json:"from"`
	To   rotation.State `json:"to"`
	// Certified: the certificate of its waiting key has come with this step.
	Certified bool `json:"certified,omitzero"`
	// KeyDestroyed: its private key is gone since this step.
	KeyDestroyed bool `json:"key_destroyed,omitzero"`
}
