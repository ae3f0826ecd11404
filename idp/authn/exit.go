package authn

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/web"
	"vernal/templates"
)

// exit is how a handler ends: what it decided, about which user, and how it answers.
// Every handler of this package returns one, so that what is recorded follows from
// the decision and not from the place where the code returns.
type exit struct {
	decision audit.Decision
	user     idp.UserID
	detail   map[string]string
	answer   func() error
}

// step is a handler of this package.
type step func(w http.ResponseWriter, r *http.Request) exit

// endDecided ends with a decision about a user, "" if none is known.
func endDecided(d audit.Decision, user idp.UserID, write func() error) exit {
	return exit{decision: d, user: user, answer: write}
}

// showPage writes a page.
func (h *Handler) showPage(w http.ResponseWriter, page templates.Page) func() error {
	return func() error { return h.Pages.Render(w, http.StatusOK, page) }
}

// endShown ends with a page, or a redirect to one, where nothing was decided.
func endShown(write func() error) exit { return exit{decision: audit.NothingDecided, answer: write} }

// endFailed ends with an error, whose page records it under its code.
func endFailed(err error) exit {
	return exit{decision: audit.ByError, answer: func() error { return err }}
}

// errUndecided is a fault of ours: nothing may be answered that is not recorded.
var errUndecided = errors.New("handler ended without a decision")

// runStep makes a web.Handler of a step. A decision without a change of its own is
// recorded before the answer is written, so that the sender cannot prevent it.
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

// currentSession is the browser's session. The request is the user's from here on: log and
// audit trail name them.
func (h *Handler) currentSession(r *http.Request) (*idp.Session, error) {
	s, err := h.Sessions.Current(r)
	if err == nil {
		web.EventOf(r).User = s.User
	}
	return s, err
}
