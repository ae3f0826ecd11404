package rotation

import (
	"fmt"
	"time"

	"vernal/idp"
)

// RefusedError is returned for a step that the rules refuse.
type RefusedError struct {
	Kind    StepKind
	Year    idp.Year
	Because Reason
	// Suggestions say how to fix it.
	Suggestions []idp.Suggestion
}

// Suggested returns Suggestions.
func (e *RefusedError) Suggested() []idp.Suggestion { return e.Suggestions }

// Error returns a text for logs. Package templates renders Because for users.
func (e *RefusedError) Error() string {
	if e.Year == "" {
		return fmt.Sprintf("%s refused: %s", e.Kind, e.Because)
	}
	return fmt.Sprintf("%s %s refused: %s", e.Kind, e.Year, e.Because)
}

// Take checks the step and returns the history after it. A store calls it inside its
// transaction: if two servers take the same step, the second one is refused. A step with a
// certificate or key other than the recorded one is refused too. The error is a *RefusedError.
func (p Policy) Take(s Step, h History, now time.Time) (History, error) {
	if err := p.CheckStep(s, h, now); err != nil {
		return h, err
	}
	return h.Tick(now, 0).Apply(s, now), nil
}

// CheckStep reports whether the step may be taken now, by hand or automatically. By hand, a
// step may be taken before its date, but only in the order of a year's life. The error is a
// *RefusedError.
func (p Policy) CheckStep(s Step, h History, now time.Time) error {
	// Notice a jump of the clock before the decision.
	h, now = h.Tick(now, 0), now.UTC()
	var reason Reason
	switch s.Kind {
	case StepResume:
		if h.Hold.Since.IsZero() && h.Clock.Trusted() {
			reason = because(RefusedNothingHeld, Args{})
		}
	case StepConfirm:
		if h.Clock.Trusted() {
			reason = because(RefusedClockTrusted, Args{})
		}
	default:
		reason = p.refuseStep(s, h, now)
	}
	if reason.IsZero() {
		return nil
	}
	return h.Refuse(s.Kind, s.Year, reason, now)
}

// refuseStep returns why a step about a year is refused, or no reason.
func (p Policy) refuseStep(s Step, h History, now time.Time) Reason {
	if !s.Year.Valid() {
		return because(RefusedNotAYear, Args{Value: string(s.Year)})
	}
	r, made := h.Record(s.Year)
	switch s.Kind {
	case StepCreate, StepCSR, StepImport:
		return p.refuseMaking(s, h, r, made, now)
	}
	if !made {
		return because(RefusedNeverMade, Args{})
	}
	state := h.State(s.Year, now)
	switch s.Kind {
	case StepRevoke:
		return h.refuseRevoke(s, state, now)
	case StepDestroy:
		switch {
		case !state.Over():
			return because(RefusedNotOver, Args{State: state})
		case !r.KeyDestroyedAt.IsZero():
			return because(RefusedKeyDestroyed, Args{Date: r.KeyDestroyedAt})
		}
		return Reason{}
	}
	if state.Over() {
		return because(RefusedOver, Args{State: state})
	}
	switch s.Kind {
	case StepPublish:
		return h.refusePublish(r, state, now)
	case StepPrefer:
		return h.refusePrefer(r, state, now)
	case StepRollback:
		return h.refuseRollback(s, r, state, now)
	case StepRetire:
		return h.refuseRetire(s, r, now)
	}
	return because(RefusedUnknownStep, Args{Value: string(s.Kind)})
}

func (p Policy) refuseMaking(s Step, h History, r Record, made bool, now time.Time) Reason {
	switch {
	case made && r.Over():
		return because(RefusedOver, Args{State: h.State(s.Year, now)})
	case made && r.KeyFault == "" && r.IsOther(s.CertificateSHA256, s.PublicKeySHA256):
		return because(RefusedOtherKey, Args{})
	case made && r.KeyFault != "" && !r.isWaitingFor(s):
		return r.KeyFault.Reason(r.Year)
	case made && s.Kind != StepCreate && !r.CertEndAt.IsZero():
		return because(RefusedHasCertificate, Args{})
	case made && s.Kind == StepCreate && r.CertEndAt.IsZero():
		return because(RefusedAwaitsCertificate, Args{})
	case made && s.Kind != StepImport:
		return because(RefusedExists, Args{})
	case s.Year < h.Preferred:
		return because(RefusedOlderThanPreferred, Args{Year: h.Preferred})
	case s.Kind == StepCSR:
		return Reason{}
	case s.Kind == StepCreate && p.KeySource == SourceImport:
		return because(RefusedExternalKeys, Args{})
	case s.CertEndAt.IsZero():
		return because(RefusedNoCertificate, Args{})
	case !s.CertEndAt.After(now):
		return because(WaitsCertEnded, Args{Date: s.CertEndAt})
	}
	return Reason{}
}

func (h History) refusePublish(r Record, state State, now time.Time) Reason {
	switch {
	case state != Created:
		return because(RefusedAlready, Args{State: state})
	case r.KeyFault != "":
		return r.KeyFault.Reason(r.Year)
	case r.CertEndAt.IsZero():
		return because(WaitsCertificate, Args{})
	case r.certEnded(now):
		return because(WaitsCertEnded, Args{Date: r.CertEndAt})
	case r.Year < h.Preferred:
		return because(RefusedPassedBy, Args{Year: h.Preferred})
	}
	return Reason{}
}

func (h History) refusePrefer(r Record, state State, now time.Time) Reason {
	switch {
	case r.KeyFault != "":
		return r.KeyFault.Reason(r.Year)
	case state == Created:
		return because(RefusedNotPublished, Args{})
	case state == Preferred:
		return because(RefusedAlready, Args{State: state})
	case r.Year < h.Preferred:
		return because(RefusedPreferredIsNewer, Args{Year: h.Preferred})
	case r.certEnded(now):
		return because(WaitsCertEnded, Args{Date: r.CertEndAt})
	}
	return Reason{}
}

func (h History) refuseRollback(s Step, r Record, state State, now time.Time) Reason {
	switch {
	case r.KeyFault != "":
		return r.KeyFault.Reason(r.Year)
	case state == Grace || r.certEnded(now):
		return because(WaitsCertEnded, Args{Date: r.CertEndAt})
	case state != Expiring:
		return because(RefusedNotExpiring, Args{State: state})
	case !s.Until.IsZero() && !s.Until.After(now):
		return because(RefusedHoldEnded, Args{Date: s.Until})
	}
	return Reason{}
}

func (h History) refuseRetire(s Step, r Record, now time.Time) Reason {
	switch {
	case r.Year == h.Preferred:
		return because(RefusedPreferred, Args{})
	case r.Year > h.Preferred:
		return because(RefusedNewerThanPreferred, Args{Year: h.Preferred})
	case s.Force && s.Reason == "":
		return because(RefusedReasonMissing, Args{})
	}
	var use Reason
	for _, b := range h.retireBlockers(r, now) {
		if !b.IsUse() {
			return b.Reason
		}
		use = b.Reason
	}
	if s.Force {
		return Reason{}
	}
	return use
}

func (h History) refuseRevoke(s Step, state State, now time.Time) Reason {
	switch {
	case state == Revoked:
		return because(RefusedAlready, Args{State: state})
	case s.Reason == "":
		return because(RefusedReasonMissing, Args{})
	case state != Preferred:
		return Reason{}
	}
	if _, ok := h.successor(s.Year, now); !ok {
		y, _ := h.nextLetter(number(s.Year))
		return because(RefusedNoSuccessor, Args{Year: y})
	}
	return Reason{}
}

// CheckExport reports whether a year's proof may be exported, which makes service providers
// trust its certificate. The error is a *RefusedError.
func (h History) CheckExport(y idp.Year, now time.Time) error {
	r, made := h.Record(y)
	e := &RefusedError{Kind: "export", Year: y}
	switch state := h.State(y, now); {
	case !made:
		if e.Because = because(RefusedNeverMade, Args{}); y > h.Preferred {
			e.Suggestions = []idp.Suggestion{StepCreate.Suggest(y).Labeled("create_first")}
		}
	case state.Over():
		e.Because = because(RefusedYearCannotBeTrusted, Args{State: state})
	case r.KeyFault != "":
		e.Because, e.Suggestions = r.KeyFault.Reason(y), []idp.Suggestion{r.KeyFault.Suggestion(y)}
	case r.CertEndAt.IsZero():
		e.Because, e.Suggestions = because(WaitsCertificate, Args{}), []idp.Suggestion{suggestImport(y)}
	default:
		return nil
	}
	return e
}
