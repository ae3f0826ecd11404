package admin

import (
	"fmt"
	"time"

	"vernal/idp/rotation"
)

// maxReason bounds a reason in bytes, because the history keeps it permanently.
const maxReason = 500

// check validates a request independently of the rotation's state.
func (r StepRequest) check() error {
	text := ""
	switch {
	case !r.Step.IsCommand():
		text = fmt.Sprintf("there is no step %q", r.Step)
	case !r.Step.NamesYear() && r.Year != "":
		text = fmt.Sprintf("%s names no year", r.Step)
	case r.Step.NamesYear() && !r.Year.Valid():
		text = fmt.Sprintf("%q is not a year, such as 2027 or 2027b", r.Year)
	case r.Step.NeedsReason() && r.Reason == "":
		text = fmt.Sprintf("%s needs a reason", r.Step)
	case r.DestroyNow && r.Step != rotation.StepRetire:
		text = fmt.Sprintf("%s destroys no key", r.Step)
	case len(r.Reason) > maxReason:
		text = fmt.Sprintf("the reason is longer than %d bytes", maxReason)
	default:
		return nil
	}
	return &Error{Code: CodeInvalid, Message: text}
}

// isRevocation reports whether service providers must be notified at once.
func (r StepRequest) isRevocation() bool { return r.Step == rotation.StepRevoke }

// calendarDate returns the calendar date of a year that is created long before it, or zero
// for other steps.
func (r StepRequest) calendarDate(p rotation.Policy, now time.Time) time.Time {
	if at, early := p.EarlyCreate(r.Year, now); early && r.Step == rotation.StepCreate {
		return at
	}
	return time.Time{}
}

// changes compares two states: the years that differ, and the others that are not over.
func changes(before, after rotation.Status) (changed, same []YearChange) {
	changed, same = []YearChange{}, []YearChange{}
	old, now := before.History(), after.History()
	for _, r := range now.Records {
		was, made := old.Record(r.Year)
		c := YearChange{
			Year: r.Year, From: old.State(r.Year, before.At), To: now.State(r.Year, after.At),
			Certified:    made && was.CertEndAt.IsZero() && !r.CertEndAt.IsZero(),
			KeyDestroyed: was.KeyDestroyedAt.IsZero() && !r.KeyDestroyedAt.IsZero(),
		}
		switch {
		case c.From != c.To || c.Certified || c.KeyDestroyed:
			changed = append(changed, c)
		case !c.To.Over():
			same = append(same, c)
		}
	}
	return changed, same
}
