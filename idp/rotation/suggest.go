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
		return []idp.Suggestion{s.WithLabel(label)}
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
		return suggestOne(suggestStep(StepRetire, e.Year).WithOption(idp.OptionForce, "").WithOption(idp.OptionReason, "").WithOption(idp.OptionYes, string(e.Year)), idp.LabelRetireAnyway)
	case isRetire && state == Preferred:
		return []idp.Suggestion{suggestPlan().WithLabel(idp.LabelPreferNewerFirst), revoke.WithLabel(idp.LabelKeyLeaked)}
	case isRetire && exists && e.Year > h.Preferred:
		return suggestOne(revoke, idp.LabelEndUnneededYear)
	case isRetire && (code == WaitsClockJumped || code == WaitsClockDrifted):
		return suggestOne(idp.Suggest(idp.DoRotationConfirmClock), idp.LabelConfirmTime)
	case isRetire && (state == Expiring || state == Grace):
		return []idp.Suggestion{suggestPlan().WithLabel(idp.LabelShowDates), revoke.WithLabel(idp.LabelKeyLeaked)}
	case e.Kind == StepRollback && state == Grace:
		return suggestOne(idp.Suggest(idp.DoRotationStatus), idp.LabelListUses)
	case e.Kind == StepRevoke && !exists:
		return suggestOne(idp.Suggest(idp.DoRotationStatus), idp.LabelListYears)
	case e.Kind == StepDestroy && r.KeyDestroyedAt.IsZero():
		return suggestOne(StepRetire.Suggest(e.Year), idp.LabelRetireFirst)
	}
	return nil
}

// Suggest returns a copy of a with suggestions.
func (a Attention) Suggest() Attention {
	report := idp.Suggest(idp.DoRotationReport)
	if a.Year != "" {
		report = report.WithOption(idp.OptionYear, string(a.Year))
	}
	hasReason := func(codes ...ReasonCode) bool {
		return slices.ContainsFunc(a.Reasons, func(r Reason) bool { return slices.Contains(codes, r.Code) })
	}
	next := a.Args.Step.Suggest(a.Year)
	switch {
	case a.Code == NoSigningKey:
		next = suggestPlan()
	case a.Code == RestoreHeld, hasReason(WaitsRestored):
		next = idp.Suggest(idp.DoRotationResume).WithLabel(idp.LabelRestoreChecked)
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
		return s.WithOption(idp.OptionYes, string(y))
	case StepRevoke:
		return s.WithOption(idp.OptionReason, "").WithOption(idp.OptionYes, string(y))
	case StepImport:
		return s.WithOption(idp.OptionCert, "")
	case StepDestroy: // no command of its own
		return suggestStep(StepRetire, y).WithOption(idp.OptionDestroyNow, "").WithOption(idp.OptionYes, string(y))
	case StepRollback:
		return idp.Suggest(s.Do).WithOption(idp.OptionReason, "")
	}
	return s
}

func suggestStep(kind StepKind, y idp.Year) idp.Suggestion {
	return idp.Suggest(idp.RotationAction(string(kind)), string(y))
}

func suggestImport(y idp.Year) idp.Suggestion {
	return StepImport.Suggest(y).WithLabel(idp.LabelImportCertificate)
}

// suggestExternalKey suggests both ways to get a certificate from an external authority.
func suggestExternalKey(y idp.Year) []idp.Suggestion {
	return []idp.Suggestion{
		StepCSR.Suggest(y).WithLabel(idp.LabelCreateKeyAndRequest),
		StepImport.Suggest(y).WithOption(idp.OptionKey, "").WithLabel(idp.LabelImportKeyToo),
	}
}

func suggestPlan() idp.Suggestion { return idp.Suggest(idp.DoRotationPlan) }
