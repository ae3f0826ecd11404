package authn

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/web"
	"vernal/templates"
)

// exit is the result of a handler: its decision, the user concerned, and the answer. Every
// handler of this package returns one, so that the audit record follows from the decision and
// not from the place where the code returns.
type exit struct {
	decision audit.Decision
	user     idp.UserID
	detail   map[string]string
	answer   func() error
}

// step is a handler of this package.
type step func(w http.ResponseWriter, r *http.Request) exit

// exitWithDecision ends with a decision about a user, "" if none is known.
func exitWithDecision(d audit.Decision, user idp.UserID, write func() error) exit {
	return exit{decision: d, user: user, answer: write}
}

func (h *Handler) writePage(w http.ResponseWriter, page templates.Page) func() error {
	return func() error { return h.Pages.Render(w, http.StatusOK, page) }
}

// exitWithPage ends with a page, or a redirect to one, without a decision.
func exitWithPage(write func() error) exit { return exit{decision: audit.NothingDecided, answer: write} }

// exitWithError ends with an error, whose page records it under its code.
func exitWithError(err error) exit {
	return exit{decision: audit.ByError, answer: func() error { return err }}
}

// errUndecided is a fault on our side: an answer must not be sent unrecorded.
var errUndecided = errors.New("handler ended without a decision")

// runStep returns a web.Handler that runs a step. A decision without a change of its own is
// recorded before the answer is written, so that the sender cannot prevent the record.
func (h *Handler) runStep(do step) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		x := do(w, r)
		if x.decision.Rule().Name == "" || x.answer == nil {
			return errUndecided
		}
		h.Pages.Record(r, x.decision, x.user, x.detail)
		return x.answer()
	}
}

// currentSession returns the browser's session. From here on, the log and the audit trail
// attribute the request to the session's user.
func (h *Handler) currentSession(r *http.Request) (*idp.Session, error) {
	s, err := h.Sessions.LookupCurrent(r)
	if err == nil {
		web.EventOf(r).User = s.User
	}
	return s, err
}
