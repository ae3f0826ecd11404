package rotation

import (
	"slices"
	"time"

	"vernal/idp"
)

// Refuse returns the refusal of a step with suggestions.
func (h History) Refuse(kind StepKind, y idp.Year, reason Reason, now time.Time) *RefusedError {
	e := &RefusedError{Kind: kind, Year: y, Because: reason}
	e.Suggestions = h.suggest(e, now)
	return e
}

// suggest returns what an operator can do about a refusal, or nothing.
func (h History) suggest(e *RefusedError, now time.Time) []idp.Suggestion {
	r, made := h.Record(e.Year)
	state := h.State(e.Year, now)
	if e.Because.Code == RefusedOtherKey {
		return []idp.Suggestion{KeyDiffers.Suggestion(e.Year)}
	}
	if fault := KeyFault(e.Because.Code); fault.isKnown() {
		return []idp.Suggestion{fault.Suggestion(e.Year)}
	}
	switch e.Kind {
	case StepCreate, StepCSR, StepImport:
		return h.suggestMaking(e, r, made, state)
	case StepPublish, StepPrefer:
		return h.suggestOpening(e, r, made, state)
	case StepRetire:
		return h.suggestRetiring(e, state)
	case StepRollback:
		if state == Grace {
			return []idp.Suggestion{suggestStatus().Labeled(idp.LabelWhoStillUsesIt)}
		}
	case StepRevoke:
		if !made {
			return []idp.Suggestion{suggestStatus().Labeled(idp.LabelYearsMade)}
		}
	case StepDestroy:
		if r.KeyDestroyedAt.IsZero() {
			return []idp.Suggestion{StepRetire.Suggest(e.Year).Labeled(idp.LabelRetireFirst)}
		}
	}
	return nil
}

func (h History) suggestMaking(e *RefusedError, r Record, made bool, state State) []idp.Suggestion {
	switch {
	case made && r.CertEndAt.IsZero() && !state.Over():
		return []idp.Suggestion{suggestImport(e.Year)}
	case e.Kind == StepCreate && e.Because.Code == RefusedExternalKeys, e.Kind == StepImport && !made && e.Year >= h.Preferred:
		return suggestExternalKey(e.Year)
	case e.Year < h.Preferred, state == Preferred:
		letter, ok := h.nextLetter(number(h.Preferred))
		if !ok {
			letter = ""
		}
		return []idp.Suggestion{suggestStep(StepCreate, letter).Labeled(idp.LabelNewKeySameYear)}
	case state == Created:
		return []idp.Suggestion{suggestStep(StepPublish, e.Year).Labeled(idp.LabelNextStep)}
	case state == Published:
		return []idp.Suggestion{suggestStep(StepPrefer, e.Year).Labeled(idp.LabelNextStep)}
	}
	return nil
}

func (h History) suggestOpening(e *RefusedError, r Record, made bool, state State) []idp.Suggestion {
	switch {
	case !made && e.Year > h.Preferred:
		return []idp.Suggestion{suggestStep(StepCreate, e.Year).Labeled(idp.LabelCreateFirst)}
	case !made, state == Preferred, state == Published:
		return nil
	case state == Created && r.CertEndAt.IsZero():
		return []idp.Suggestion{suggestImport(e.Year)}
	case state == Created && e.Kind == StepPrefer && e.Year > h.Preferred:
		return []idp.Suggestion{suggestStep(StepPublish, e.Year).Labeled(idp.LabelPublishFirst)}
	case state == Expiring:
		return []idp.Suggestion{StepRollback.Suggest("").Labeled(idp.LabelReturnToOlderYear)}
	}
	return []idp.Suggestion{suggestStep(StepCreate, "").Labeled(idp.LabelNewYear)}
}

func (h History) suggestRetiring(e *RefusedError, state State) []idp.Suggestion {
	revoke := StepRevoke.Suggest(e.Year)
	switch {
	case e.Because.IsUse():
		return []idp.Suggestion{suggestStep(StepRetire, e.Year).With(idp.OptionForce, "").With(idp.OptionReason, "").With(idp.OptionYes, string(e.Year)).Labeled(idp.LabelRetireAnyway)}
	case state == Preferred:
		return []idp.Suggestion{suggestPlan().Labeled(idp.LabelPreferNewerFirst), revoke.Labeled(idp.LabelKeyLeaked)}
	case e.Year > h.Preferred && state != Planned:
		return []idp.Suggestion{revoke.Labeled(idp.LabelEndUnwantedYear)}
	case e.Because.Code == WaitsClockJumped, e.Because.Code == WaitsClockDrifted:
		return []idp.Suggestion{idp.Suggest(idp.DoRotationConfirmClock).Labeled(idp.LabelTimeIsRight)}
	case state == Expiring || state == Grace:
		return []idp.Suggestion{suggestPlan().Labeled(idp.LabelSeeDates), revoke.Labeled(idp.LabelKeyLeaked)}
	}
	return nil
}

// Suggest returns a copy of a with suggestions.
func (a Attention) Suggest() Attention {
	report := idp.Suggest(idp.DoRotationReport)
	if a.Year != "" {
		report = report.With(idp.OptionYear, string(a.Year))
	}
	because := func(codes ...ReasonCode) bool {
		return slices.ContainsFunc(a.Because, func(r Reason) bool { return slices.Contains(codes, r.Code) })
	}
	next := a.Args.Step.Suggest(a.Year)
	switch {
	case a.Code == NoSigningKey:
		next = suggestPlan()
	case a.Code == ClockUntrusted, because(WaitsClockJumped, WaitsClockDrifted): // resume would end a rollback too
		next = idp.Suggest(idp.DoRotationConfirmClock)
	case because(WaitsHold, WaitsHoldUntil):
		next = idp.Suggest(idp.DoRotationResume)
	case a.Code == CertEnded, a.Code == CertEnding, a.Code == RequestCertEnded, a.IsUse():
		next = report
	case because(WaitsCertificate, WaitsExternalKey):
		next = StepImport.Suggest(a.Year)
	case len(a.Because) > 0 && KeyFault(a.Because[0].Code).isKnown():
		next = KeyFault(a.Because[0].Code).Suggestion(a.Year)
	case a.Code == StepHeld: // waiting is all that helps
		next = suggestPlan()
	}
	a.Suggestions = []idp.Suggestion{next}
	return a
}

// Suggest returns the suggestion of a step, with the options that an operator must give. An
// empty year is left for the operator to fill in.
func (k StepKind) Suggest(y idp.Year) idp.Suggestion {
	s := suggestStep(k, y)
	switch k {
	case StepRetire:
		return s.With(idp.OptionYes, string(y))
	case StepRevoke:
		return s.With(idp.OptionReason, "").With(idp.OptionYes, string(y))
	case StepImport:
		return s.With(idp.OptionCert, "")
	case StepDestroy: // has no command of its own
		return suggestStep(StepRetire, y).With(idp.OptionDestroyNow, "").With(idp.OptionYes, string(y))
	case StepRollback:
		return idp.Suggest(s.Do).With(idp.OptionReason, "")
	}
	return s
}

func suggestStep(kind StepKind, y idp.Year) idp.Suggestion {
	return idp.Suggest(idp.RotationAction(string(kind)), string(y))
}

func suggestImport(y idp.Year) idp.Suggestion {
	return StepImport.Suggest(y).Labeled(idp.LabelWhenCertificateHasCome)
}

// suggestExternalKey suggests both ways to get a certificate from an external authority.
func suggestExternalKey(y idp.Year) []idp.Suggestion {
	return []idp.Suggestion{
		StepCSR.Suggest(y).Labeled(idp.LabelMakeKeyAndRequest),
		StepImport.Suggest(y).With(idp.OptionKey, "").Labeled(idp.LabelBringKeyToo),
	}
}

func suggestStatus() idp.Suggestion { return idp.Suggest(idp.DoRotationStatus) }

func suggestPlan() idp.Suggestion { return idp.Suggest(idp.DoRotationPlan) }
