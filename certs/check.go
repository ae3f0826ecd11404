package certs

import (
	"fmt"
	"strings"
	"time"

	"vernal/idp"
)

// RefusedError says why a step is refused. The operator can act on Because.
type RefusedError struct {
	Kind    StepKind
	Year    idp.Year
	Because string
	// Used is set where only use keeps the year from being retired, so that Force
	// with a Reason overrides it.
	Used bool
	// Users are the service providers that use it, sorted. Package rotation sets
	// them.
	Users []idp.EntityID
	// Fault is set if the reason is the year's key.
	Fault KeyFault
}

// Error implements error.
func (e *RefusedError) Error() string {
	if e.Year == "" {
		return fmt.Sprintf("%s refused: %s", e.Kind, e.Because)
	}
	return fmt.Sprintf("%s %s refused: %s%s", e.Kind, e.Year, e.Because, usedBy(e.Users))
}

// maxNamed is how many service providers are named in a sentence.
const maxNamed = 5

// usedBy names service providers: "; used by A, B and 3 more". Nobody is "".
func usedBy(users []idp.EntityID) string {
	if len(users) == 0 {
		return ""
	}
	named := make([]string, 0, maxNamed)
	for _, id := range users[:min(len(users), maxNamed)] {
		named = append(named, string(id))
	}
	text := "; used by " + strings.Join(named, ", ")
	if more := len(users) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Take checks the step against the history and returns the history after it. A
// store runs it inside its transaction: of two servers that take the same step,
// the second one is refused. A step that brings another certificate or key than
// the recorded one is refused too. An error is a *RefusedError.
func (p Policy) Take(s Step, h History, now time.Time) (History, error) {
	if err := p.CheckStep(s, h, now); err != nil {
		return h, err
	}
	return h.Tick(now, 0).Apply(s, now), nil
}

// CheckStep reports whether the step may be taken now, by hand or by automatic
// mode. By hand, a step may be taken before its date, but only in the order of a
// year's life. The error is a *RefusedError.
func (p Policy) CheckStep(s Step, h History, now time.Time) error {
	// A clock that jumped counts from the first moment on.
	h, now = h.Tick(now, 0), now.UTC()
	e := &RefusedError{Kind: s.Kind, Year: s.Year}
	switch s.Kind {
	case StepResume:
		if h.Hold.Since.IsZero() && h.Clock.Trusted() {
			e.Because = "nothing is held"
		}
	case StepConfirm:
		if h.Clock.Trusted() {
			e.Because = "the clock is trusted"
		}
	default:
		e.Because = p.refuseStep(s, h, now, e)
	}
	if e.Because != "" {
		return e
	}
	return nil
}

// refuseFault returns the reason for a step that the year's key keeps from being
// taken.
func (e *RefusedError) refuseFault(f KeyFault) string {
	e.Fault = f
	return f.Describe(e.Year)
}

// refuseStep returns why a step about a year is refused; "" if it is allowed.
func (p Policy) refuseStep(s Step, h History, now time.Time, e *RefusedError) string {
	if !s.Year.Valid() {
		return fmt.Sprintf("%q is not a year", s.Year)
	}
	r, made := h.Record(s.Year)
	switch s.Kind {
	case StepCreate, StepCSR, StepImport:
		return p.refuseMaking(s, h, r, made, now, e)
	}
	if !made {
		return "it was never made"
	}
	state := h.State(s.Year, now)
	switch s.Kind {
	case StepRevoke:
		return h.refuseRevoke(s, state, now)
	case StepDestroy:
		switch {
		case !state.Over():
			return fmt.Sprintf("it is %s; only the key of a retired year is destroyed", state)
		case !r.KeyDestroyedAt.IsZero():
			return onDate("its key was destroyed", r.KeyDestroyedAt)
		}
		return ""
	}
	if state.Over() {
		return fmt.Sprintf("it is %s, and does not come back", state)
	}
	switch s.Kind {
	case StepPublish:
		return h.refusePublish(r, state, now, e)
	case StepPrefer:
		return h.refusePrefer(r, state, now, e)
	case StepRollback:
		return h.refuseRollback(s, r, state, now, e)
	case StepRetire:
		return h.refuseRetire(s, r, now, e)
	}
	return "there is no such step"
}

func (p Policy) refuseMaking(s Step, h History, r Record, made bool, now time.Time, e *RefusedError) string {
	switch {
	case made && r.over():
		return fmt.Sprintf("it is %s, and does not come back", h.State(s.Year, now))
	case made && r.KeyFault == "" && r.isOther(s.CertificateSHA256, s.PublicKeySHA256):
		e.Fault = KeyDiffers
		return fmt.Sprintf("another key or certificate is recorded for it, and a year has one: bring that one, or run vernal rotation revoke %s --reason TEXT --yes %s",
			s.Year, s.Year)
	case made && r.KeyFault != "" && !r.isWaitingFor(s):
		return e.refuseFault(r.KeyFault)
	case made && s.Kind != StepCreate && !r.CertEndAt.IsZero():
		return "it is there already: it has a certificate"
	case made && s.Kind == StepCreate && r.CertEndAt.IsZero():
		return "it is there already: its key waits for a certificate from elsewhere"
	case made && s.Kind != StepImport:
		return "it is there already"
	case s.Year < h.Preferred:
		return fmt.Sprintf("%s is preferred, and older years are not made", h.Preferred)
	case s.Kind == StepCSR:
		return ""
	case s.Kind == StepCreate && p.KeySource == SourceImport:
		return fmt.Sprintf("keys come from elsewhere (key_source import): run csr %s or import %s", s.Year, s.Year)
	case s.CertEndAt.IsZero():
		return "it has no certificate"
	case !s.CertEndAt.After(now):
		return onDate("its certificate ended", s.CertEndAt)
	}
	return ""
}

func (h History) refusePublish(r Record, state State, now time.Time, e *RefusedError) string {
	switch {
	case state != Created:
		return fmt.Sprintf("it is %s already", state)
	case r.KeyFault != "":
		return e.refuseFault(r.KeyFault)
	case r.CertEndAt.IsZero():
		return "its certificate has not come"
	case r.certEnded(now):
		return onDate("its certificate ended", r.CertEndAt)
	case r.Year < h.Preferred:
		return fmt.Sprintf("%s is preferred: %s was passed by and is published no more", h.Preferred, r.Year)
	}
	return ""
}

func (h History) refusePrefer(r Record, state State, now time.Time, e *RefusedError) string {
	switch {
	case r.KeyFault != "":
		return e.refuseFault(r.KeyFault)
	case state == Created:
		return "it is not published yet: that comes first"
	case state == Preferred:
		return "it is preferred already"
	case r.Year < h.Preferred:
		return fmt.Sprintf("%s is preferred and newer: rollback returns to an older year", h.Preferred)
	case r.certEnded(now):
		return onDate("its certificate ended", r.CertEndAt)
	}
	return ""
}

func (h History) refuseRollback(s Step, r Record, state State, now time.Time, e *RefusedError) string {
	switch {
	case r.KeyFault != "":
		return e.refuseFault(r.KeyFault)
	case state == Grace || r.certEnded(now):
		return onDate("its certificate ended", r.CertEndAt)
	case state != Expiring:
		return fmt.Sprintf("it is %s; preference returns to an older year that is live", state)
	case !s.Until.IsZero() && !s.Until.After(now):
		return fmt.Sprintf("the hold would have ended on %s", date(s.Until))
	}
	return ""
}

func (h History) refuseRetire(s Step, r Record, now time.Time, e *RefusedError) string {
	switch {
	case r.Year == h.Preferred:
		return "it is preferred; the preferred year is never retired"
	case r.Year > h.Preferred:
		return fmt.Sprintf("it is newer than %s, which is preferred; revoke ends a year that is not wanted", h.Preferred)
	case s.Force && s.Reason == "":
		return "force needs a reason"
	}
	used := ""
	for _, b := range h.bars(r, now) {
		if !b.use {
			return b.why
		}
		used = b.why
	}
	if s.Force {
		return ""
	}
	e.Used = used != ""
	return used
}

func (h History) refuseRevoke(s Step, state State, now time.Time) string {
	switch {
	case state == Revoked:
		return "it is revoked already"
	case s.Reason == "":
		return "it needs a reason"
	case state != Preferred:
		return ""
	}
	if _, ok := h.heir(s.Year, now); !ok {
		y, _ := h.nextLetter(number(s.Year))
		return fmt.Sprintf("it is preferred and no newer year can sign: %s must be made first", y)
	}
	return ""
}
