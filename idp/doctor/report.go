package doctor

import (
	"time"

	"vernal/idp/rotation"
	"vernal/templates"
)

// State is the state of a check after a run.
type State string

// The states of a check. StateSkipped means that the check is not configured, or needs a
// running server.
const (
	StateDone    State = "done"
	StateSkipped State = "skipped"
	StateFailed  State = "failed"
)

// The causes of StateSkipped and StateFailed.
const (
	CauseNeedsServer   = "needs_server"
	CauseNotConfigured = "not_configured"
	CauseTimedOut      = "timed_out"
	CauseStillRunning  = "still_running"
	CauseError         = "error"
)

// Outcome says whether a check was done.
type Outcome struct {
	Check string `json:"check"`
	State State  `json:"state"`
	// Cause is the reason that the check is not done.
	Cause string `json:"cause,omitzero"`
	// Error is the cause in words, for CauseError.
	Error string `json:"error,omitzero"`
}

// Report is the result of a run.
type Report struct {
	At time.Time `json:"at"`
	// Server says that the checks ran in the running server.
	Server bool `json:"server"`
	// FIPS says that the cryptography is in FIPS 140-3 mode.
	FIPS     bool      `json:"fips"`
	Findings []Finding `json:"findings"`
	Checks   []Outcome `json:"checks"`
	// NextStep is the next step of the rotation, if one is known.
	Next *NextStep `json:"next,omitempty"`
}

// NextStep is the next step of the rotation.
type NextStep struct {
	// Actor is the actor: "server" or "operator".
	Actor string `json:"by"`
	rotation.UpcomingStep
}

// Attention counts the problems, and the checks that could not be completed.
func (r *Report) Attention() (n int) {
	for _, f := range r.Findings {
		if f.Level == Problem {
			n++
		}
	}
	for _, c := range r.Checks {
		if c.State == StateFailed {
			n++
		}
	}
	return n
}

// Render fills in the texts of the findings.
func (r *Report) Render(p *templates.Phrases) {
	for i := range r.Findings {
		r.Findings[i].Render(p)
	}
	if r.Next != nil {
		r.Next.Cause.Text = p.Reason(r.Next.Cause)
		p.FillReasons(r.Next.Waits)
	}
}
