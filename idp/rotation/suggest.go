package rotation

import (
	"slices"
	"time"

	"vernal/idp"
)

// Refuse returns the refusal of a step with suggestions.
func (h History) Refuse(kind StepKind, y idp.Year, reason Reason, now time.Time) *RefusedError {
	e := &RefusedError{Kind: kind, Year: y, Reason: reason}
	e.Suggestions = h.suggest(e, now)
	return e
}

// suggest returns the suggestions for a refusal, or none.
func (h History) suggest(e *RefusedError, now time.Time) []idp.Suggestion {
	r, exists := h.Record(e.Year)
	state, code := h.State(e.Year, now), e.Reason.Code
	isMake := e.Kind == StepCreate || e.Kind == StepCSR || e.Kind == StepImport
	isOpen := e.Kind == StepPublish || e.Kind == StepPrefer
	isRetire := e.Kind == StepRetire
	revoke := StepRevoke.Suggest(e.Year)
	suggestOne := func(s idp.Suggestion, label idp.SuggestionLabel) []idp.Suggestion {
		return []idp.Suggestion{s.Labeled(label)}
	}
	switch {
	case code == RefusedOtherKey:
		return []idp.Suggestion{KeyDiffers.Suggestion(e.Year)}
	case KeyFault(code).isKnown():
		return []idp.Suggestion{KeyFault(code).Suggestion(e.Year)}
	case exists && r.CertEndAt.IsZero() && (isMake && !state.IsOver() || isOpen && state == Created):
		return []idp.Suggestion{suggestImport(e.Year)}
	case e.Kind == StepCreate && code == RefusedExternalKeys, e.Kind == StepImport && !exists && e.Year >= h.Preferred:
		return suggestExternalKey(e.Year)
	case isMake && (e.Year < h.Preferred || state == Preferred):
		letter, _ := h.findNextLetter(parseNumber(h.Preferred))
		return suggestOne(suggestStep(StepCreate, letter), idp.LabelNewKeySameYear)
	case isMake && state == Created:
		return suggestOne(suggestStep(StepPublish, e.Year), idp.LabelNextStep)
	case isMake && state == Published:
		return suggestOne(suggestStep(StepPrefer, e.Year), idp.LabelNextStep)
	case isOpen && !exists && e.Year > h.Preferred:
		return suggestOne(suggestStep(StepCreate, e.Year), idp.LabelCreateFirst)
	case isOpen && state == Created && e.Kind == StepPrefer && e.Year > h.Preferred:
		return suggestOne(suggestStep(StepPublish, e.Year), idp.LabelPublishFirst)
	case isOpen && state == Expiring:
		return suggestOne(StepRollback.Suggest(""), idp.LabelReturnToOlderYear)
	case isOpen && exists && state != Preferred && state != Published:
		return suggestOne(suggestStep(StepCreate, ""), idp.LabelNewYear)
	case isRetire && e.Reason.IsUse():
		return suggestOne(suggestStep(StepRetire, e.Year).With(idp.OptionForce, "").With(idp.OptionReason, "").With(idp.OptionYes, string(e.Year)), idp.LabelRetireAnyway)
	case isRetire && state == Preferred:
		return []idp.Suggestion{suggestPlan().Labeled(idp.LabelPreferNewerFirst), revoke.Labeled(idp.LabelKeyLeaked)}
	case isRetire && exists && e.Year > h.Preferred:
		return suggestOne(revoke, idp.LabelEndUnwantedYear)
	case isRetire && (code == WaitsClockJumped || code == WaitsClockDrifted):
		return suggestOne(idp.Suggest(idp.DoRotationConfirmClock), idp.LabelTimeIsRight)
	case isRetire && (state == Expiring || state == Grace):
		return []idp.Suggestion{suggestPlan().Labeled(idp.LabelSeeDates), revoke.Labeled(idp.LabelKeyLeaked)}
	case e.Kind == StepRollback && state == Grace:
		return suggestOne(idp.Suggest(idp.DoRotationStatus), idp.LabelWhoStillUsesIt)
	case e.Kind == StepRevoke && !exists:
		return suggestOne(idp.Suggest(idp.DoRotationStatus), idp.LabelYearsMade)
	case e.Kind == StepDestroy && r.KeyDestroyedAt.IsZero():
		return suggestOne(StepRetire.Suggest(e.Year), idp.LabelRetireFirst)
	}
	return nil
}

// Suggest returns a copy of a with suggestions.
func (a Attention) Suggest() Attention {
	report := idp.Suggest(idp.DoRotationReport)
	if a.Year != "" {
		report = report.With(idp.OptionYear, string(a.Year))
	}
	hasReason := func(codes ...ReasonCode) bool {
		return slices.ContainsFunc(a.Reasons, func(r Reason) bool { return slices.Contains(codes, r.Code) })
	}
	next := a.Args.Step.Suggest(a.Year)
	switch {
	case a.Code == NoSigningKey:
		next = suggestPlan()
	case a.Code == RestoreHeld, hasReason(WaitsRestored):
		next = idp.Suggest(idp.DoRotationResume).Labeled(idp.LabelRestoreChecked)
	case a.Code == ClockUntrusted, hasReason(WaitsClockJumped, WaitsClockDrifted): // resume would end a rollback too
		next = idp.Suggest(idp.DoRotationConfirmClock)
	case a.Code == BackupFailed, a.Code == BackupOld:
		next = idp.Suggest(idp.DoBackup, "")
	case hasReason(WaitsHold, WaitsHoldUntil):
		next = idp.Suggest(idp.DoRotationResume)
	case a.Code == CertEnded, a.Code == CertEnding, a.Code == RequestCertEnded, a.IsUse():
		next = report
	case hasReason(WaitsCertificate, WaitsExternalKey):
		next = StepImport.Suggest(a.Year)
	case len(a.Reasons) > 0 && KeyFault(a.Reasons[0].Code).isKnown():
		next = KeyFault(a.Reasons[0].Code).Suggestion(a.Year)
	case a.Code == StepHeld: // only waiting helps
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
	case StepDestroy: // no command of its own
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

func suggestPlan() idp.Suggestion { return idp.Suggest(idp.DoRotationPlan) }
