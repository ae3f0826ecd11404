package rotation

import (
	"fmt"
	"time"

	"vernal/idp"
)

// RefusedError is returned for a step that the rules refuse.
type RefusedError struct {
	Kind   StepKind
	Year   idp.Year
	Reason Reason
	// Suggestions say how to fix the refusal.
	Suggestions []idp.Suggestion
}

// ListSuggestions returns the suggestions, for idp.FindSuggestions.
func (e *RefusedError) ListSuggestions() []idp.Suggestion { return e.Suggestions }

// Error returns a text for logs. Package templates renders Reason for users.
func (e *RefusedError) Error() string {
	if e.Year == "" {
		return fmt.Sprintf("%s refused: %s", e.Kind, e.Reason)
	}
	return fmt.Sprintf("%s %s refused: %s", e.Kind, e.Year, e.Reason)
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
	for _, r := range p.listRules(s, h, now) {
		if r.applies {
			return h.Refuse(s.Kind, s.Year, newReason(r.code, r.args), now)
		}
	}
	return nil
}

// rule refuses a step if it applies.
type rule struct {
	applies bool
	code    ReasonCode
	args    Args
}

// listRules returns the rules that can refuse the step, in order. The first that applies gives
// the reason.
func (p Policy) listRules(s Step, h History, now time.Time) []rule {
	r, exists := h.Record(s.Year)
	state := h.State(s.Year, now)
	faultRule := rule{r.KeyFault != "", ReasonCode(r.KeyFault), Args{Year: r.Year}}
	certEndRule := rule{r.hasCertEnded(now), WaitsCertEnded, Args{At: r.CertEndAt}}
	reasonRule := rule{s.Reason == "", RefusedReasonMissing, Args{}}
	yearRule := rule{!s.Year.IsValid(), RefusedNotAYear, Args{Value: string(s.Year)}}
	recordRules := []rule{yearRule, {!exists, RefusedNeverMade, Args{}}}
	lifeRules := append(recordRules, rule{state.IsOver(), RefusedOver, Args{State: state}})
	switch s.Kind {
	case StepResume:
		return []rule{{h.Hold.BeganAt.IsZero() && h.Clock.IsTrusted() && !h.Restoration.Holds(), RefusedNothingHeld, Args{}}}
	case StepConfirm:
		return []rule{{h.Clock.IsTrusted(), RefusedClockTrusted, Args{}}}
	case StepCreate, StepCSR, StepImport:
		isCreate := s.Kind == StepCreate
		bringsCert := s.Kind != StepCSR // the step brings a certificate
		return []rule{
			yearRule,
			{state.IsOver(), RefusedOver, Args{State: state}},
			{exists && r.KeyFault == "" && r.IsOther(s.CertificateSHA256, s.PublicKeySHA256), RefusedOtherKey, Args{}},
			{faultRule.applies && !r.isWaitingFor(s), faultRule.code, faultRule.args},
			{exists && !isCreate && !r.CertEndAt.IsZero(), RefusedHasCertificate, Args{}},
			{exists && isCreate && r.CertEndAt.IsZero(), RefusedAwaitsCertificate, Args{}},
			{exists && s.Kind != StepImport, RefusedExists, Args{}},
			{s.Year < h.Preferred, RefusedOlderThanPreferred, Args{Year: h.Preferred}},
			{isCreate && p.KeySource == SourceImport, RefusedExternalKeys, Args{}},
			{bringsCert && s.CertEndAt.IsZero(), RefusedNoCertificate, Args{}},
			{bringsCert && !s.CertEndAt.After(now), WaitsCertEnded, Args{At: s.CertEndAt}},
		}
	case StepPublish:
		return append(lifeRules,
			rule{state != Created, RefusedAlready, Args{State: state}},
			faultRule,
			rule{r.CertEndAt.IsZero(), WaitsCertificate, Args{}},
			certEndRule,
			rule{r.Year < h.Preferred, RefusedPassedBy, Args{Year: h.Preferred}})
	case StepPrefer:
		return append(lifeRules,
			faultRule,
			rule{state == Created, RefusedNotPublished, Args{}},
			rule{state == Preferred, RefusedAlready, Args{State: state}},
			rule{r.Year < h.Preferred, RefusedPreferredIsNewer, Args{Year: h.Preferred}},
			certEndRule)
	case StepRollback:
		return append(lifeRules,
			faultRule,
			certEndRule,
			rule{state != Expiring, RefusedNotExpiring, Args{State: state}},
			rule{!s.HoldEndAt.IsZero() && !s.HoldEndAt.After(now), RefusedHoldEnded, Args{At: s.HoldEndAt}})
	case StepRetire:
		reasonRule.applies = reasonRule.applies && s.Force
		rules := append(lifeRules,
			rule{r.Year == h.Preferred, RefusedPreferred, Args{}},
			rule{r.Year > h.Preferred, RefusedNewerThanPreferred, Args{Year: h.Preferred}},
			reasonRule)
		for _, b := range h.retireBlockers(r, now) {
			rules = append(rules, rule{!s.Force || !b.IsUse(), b.Code, b.Args})
		}
		return rules
	case StepDestroy:
		return append(recordRules,
			rule{!state.IsOver(), RefusedNotOver, Args{State: state}},
			rule{!r.KeyDestroyedAt.IsZero(), RefusedKeyDestroyed, Args{At: r.KeyDestroyedAt}})
	case StepRevoke:
		_, hasSuccessor := h.findSuccessor(s.Year, now)
		letter, _ := h.findNextLetter(parseNumber(s.Year))
		return append(recordRules,
			rule{state == Revoked, RefusedAlready, Args{State: state}},
			reasonRule,
			rule{state == Preferred && !hasSuccessor, RefusedNoSuccessor, Args{Year: letter}})
	}
	return append(lifeRules, rule{true, RefusedUnknownStep, Args{Value: string(s.Kind)}})
}

// CheckExport reports whether a year's proof may be exported, which makes service providers
// trust its certificate. The error is a *RefusedError.
func (h History) CheckExport(y idp.Year, now time.Time) error {
	r, exists := h.Record(y)
	e := &RefusedError{Kind: "export", Year: y}
	switch state := h.State(y, now); {
	case !exists:
		if e.Reason = newReason(RefusedNeverMade, Args{}); y > h.Preferred {
			e.Suggestions = []idp.Suggestion{StepCreate.Suggest(y).WithLabel("create_first")}
		}
	case state.IsOver():
		e.Reason = newReason(RefusedYearCannotBeTrusted, Args{State: state})
	case r.KeyFault != "":
		e.Reason, e.Suggestions = r.KeyFault.Reason(y), []idp.Suggestion{r.KeyFault.Suggestion(y)}
	case r.CertEndAt.IsZero():
		e.Reason, e.Suggestions = newReason(WaitsCertificate, Args{}), []idp.Suggestion{suggestImport(y)}
	default:
		return nil
	}
	return e
}
