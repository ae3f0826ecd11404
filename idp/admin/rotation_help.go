package admin

import (
	"fmt"

	"vernal/certs"
	"vernal/idp"
)

// refusal makes a refused step an Error that says how to fix it.
func refusal(e *certs.RefusedError, st certs.Status) *Error {
	text := e.Error()
	if e.Fault != "" {
		return &Error{Code: CodeRefused, Message: text} // it says how to fix the key
	}
	if help := helpFor(e, historyOf(st), st); help != "" {
		text += "\n  " + help
	}
	return &Error{Code: CodeRefused, Message: text, Users: e.Users}
}

// helpFor is what a person can do about a refusal; "" if nothing.
func helpFor(e *certs.RefusedError, h certs.History, st certs.Status) string {
	r, made := h.Record(e.Year)
	state := h.State(e.Year, st.At)
	switch e.Kind {
	case certs.StepCreate, certs.StepCSR, certs.StepImport:
		if made && r.CertEndAt.IsZero() && !state.Over() {
			return fmt.Sprintf("when its certificate has come: vernal rotation import %s --cert FILE", e.Year)
		}
		if e.Kind == certs.StepImport && !made && e.Year >= h.Preferred {
			return fmt.Sprintf("make a key and a request for it: vernal rotation csr %s; or bring its key too: --key FILE", e.Year)
		}
		return helpCreate(e, h, state)
	case certs.StepPublish, certs.StepPrefer:
		switch {
		case !made && e.Year > h.Preferred:
			return fmt.Sprintf("make it first: vernal rotation create %s", e.Year)
		case !made || state == certs.Preferred || state == certs.Published:
			return ""
		case state == certs.Created && r.CertEndAt.IsZero():
			return fmt.Sprintf("when it has: vernal rotation import %s --cert FILE", e.Year)
		case state == certs.Created && e.Kind == certs.StepPrefer && e.Year > h.Preferred:
			return fmt.Sprintf("run: vernal rotation publish %s", e.Year)
		case state == certs.Expiring:
			return "to return to an older year: vernal rotation rollback --reason TEXT"
		}
		return "for a new year: vernal rotation create YEAR"
	case certs.StepRetire:
		return helpRetire(e, h, st, state)
	case certs.StepRollback:
		return helpRollback(h, state)
	case certs.StepRevoke:
		if !made {
			return "the years that were made: vernal rotation status"
		}
	case certs.StepDestroy:
		if r.KeyDestroyedAt.IsZero() {
			return fmt.Sprintf("retire it first: vernal rotation retire %s --yes %s", e.Year, e.Year)
		}
	}
	return ""
}

func helpCreate(e *certs.RefusedError, h certs.History, state certs.State) string {
	switch {
	case e.Year < h.Preferred:
		return fmt.Sprintf("for a new key in the same year: vernal rotation create %s", nextLetter(h))
	case state == certs.Created:
		return fmt.Sprintf("next for it: vernal rotation publish %s", e.Year)
	case state == certs.Published:
		return fmt.Sprintf("next for it: vernal rotation prefer %s", e.Year)
	case state == certs.Preferred:
		return fmt.Sprintf("for a new key in the same year: vernal rotation create %s", nextLetter(h))
	}
	return ""
}

// nextLetter is the year that would stand in for the preferred one.
func nextLetter(h certs.History) idp.Year {
	number := h.Preferred[:min(4, len(h.Preferred))]
	for letter := 'b'; letter <= 'z'; letter++ {
		y := number + idp.Year(letter)
		if _, made := h.Record(y); !made && y > h.Preferred {
			return y
		}
	}
	return "YEAR"
}

func helpRetire(e *certs.RefusedError, h certs.History, st certs.Status, state certs.State) string {
	switch {
	case e.Used:
		return fmt.Sprintf("to retire it all the same: vernal rotation retire %s --force --reason TEXT --yes %s", e.Year, e.Year)
	case state == certs.Preferred:
		return "prefer a newer year first: vernal rotation plan; for a key that leaked: vernal rotation revoke"
	case e.Year > h.Preferred && state != certs.Planned:
		return fmt.Sprintf("run: vernal rotation revoke %s --reason TEXT --yes %s", e.Year, e.Year)
	case (state == certs.Expiring || state == certs.Grace) && !st.Clock.Trusted():
		return "if the time is right: vernal rotation confirm-clock"
	case state == certs.Expiring || state == certs.Grace:
		return "the dates: vernal rotation plan; for a key that leaked: vernal rotation revoke"
	}
	return ""
}

func helpRollback(h certs.History, state certs.State) string {
	if state == certs.Grace {
		return fmt.Sprintf("%s stays preferred; what service providers still use: vernal rotation status", h.Preferred)
	}
	return ""
}
