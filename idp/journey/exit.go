package journey

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/web"
	"vernal/templates"
)

// Exit is the result of a handler: its decision, the user concerned, and the answer. Every page of a
// user's journey returns one, so that the audit record depends only on the decision.
type Exit struct {
	Decision audit.Decision
	User     idp.UserID
	Detail   map[string]string
	Answer   func() error
}

// Step answers a request and names its decision.
type Step func(w http.ResponseWriter, r *http.Request) Exit

// ExitWithDecision ends with a decision about a user, "" if none is known.
func ExitWithDecision(d audit.Decision, user idp.UserID, write func() error) Exit {
	return Exit{Decision: d, User: user, Answer: write}
}

func (s *Service) WritePage(w http.ResponseWriter, page templates.Page) func() error {
	return func() error { return s.Pages.Render(w, http.StatusOK, page) }
}

// ExitWithPage ends with a page, or a redirect to one, without a decision.
func ExitWithPage(write func() error) Exit {
	return Exit{Decision: audit.NothingDecided, Answer: write}
}

// ExitWithError ends with an error, which is recorded under its code when its page is shown.
func ExitWithError(err error) Exit {
	return Exit{Decision: audit.ByError, Answer: func() error { return err }}
}

// errUndecided is a fault on our side: an answer must not be sent unrecorded.
var errUndecided = errors.New("handler ended without a decision")

// RunStep returns a web.Handler that runs a step. A decision without a change of its own is
// recorded before the answer is written, so that the sender cannot prevent the record.
func (s *Service) RunStep(do Step) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		result := do(w, r)
		if result.Decision.Rule().Name == "" || result.Answer == nil {
			return errUndecided
		}
		s.Pages.Record(r, result.Decision, result.User, result.Detail)
		return result.Answer()
	}
}

// CurrentSession returns the browser's session. From here on, the log and the audit trail
// attribute the request to the session's user.
func (s *Service) CurrentSession(r *http.Request) (*idp.Session, error) {
	current, err := s.Sessions.LookupCurrent(r)
	if err == nil {
		web.EventOf(r).User = current.User
	}
	return current, err
}
