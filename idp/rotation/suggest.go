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
	r, made := h.Record(e.Year)
	state, code := h.State(e.Year, now), e.Reason.Code
	making := e.Kind == StepCreate || e.Kind == StepCSR || e.Kind == StepImport
	opening := e.Kind == StepPublish || e.Kind == StepPrefer
	retiring := e.Kind == StepRetire
	revoke := StepRevoke.Suggest(e.Year)
	one := func(s idp.Suggestion, label idp.SuggestionLabel) []idp.Suggestion {
		return []idp.Suggestion{s.WithLabel(label)}
	}
	switch {
	case code == RefusedOtherKey:
		return []idp.Suggestion{KeyDiffers.Suggestion(e.Year)}
	case KeyFault(code).isKnown():
		return []idp.Suggestion{KeyFault(code).Suggestion(e.Year)}
	case made && r.CertEndAt.IsZero() && (making && !state.IsOver() || opening && state == Created):
		return []idp.Suggestion{suggestImport(e.Year)}
	case e.Kind == StepCreate && code == RefusedExternalKeys, e.Kind == StepImport && !made && e.Year >= h.Preferred:
		return suggestExternalKey(e.Year)
	case making && (e.Year < h.Preferred || state == Preferred):
		letter, _ := h.findNextLetter(parseNumber(h.Preferred))
		return one(suggestStep(StepCreate, letter), idp.LabelNewKeySameYear)
	case making && state == Created:
		return one(suggestStep(StepPublish, e.Year), idp.LabelNextStep)
	case making && state == Published:
		return one(suggestStep(StepPrefer, e.Year), idp.LabelNextStep)
	case opening && !made && e.Year > h.Preferred:
		return one(suggestStep(StepCreate, e.Year), idp.LabelCreateFirst)
	case opening && state == Created && e.Kind == StepPrefer && e.Year > h.Preferred:
		return one(suggestStep(StepPublish, e.Year), idp.LabelPublishFirst)
	case opening && state == Expiring:
		return one(StepRollback.Suggest(""), idp.LabelReturnToOlderYear)
	case opening && made && state != Preferred && state != Published:
		return one(suggestStep(StepCreate, ""), idp.LabelNewYear)
	case retiring && e.Reason.IsUse():
		return one(suggestStep(StepRetire, e.Year).WithOption(idp.OptionForce, "").WithOption(idp.OptionReason, "").WithOption(idp.OptionYes, string(e.Year)), idp.LabelRetireAnyway)
	case retiring && state == Preferred:
		return []idp.Suggestion{suggestPlan().WithLabel(idp.LabelPreferNewerFirst), revoke.WithLabel(idp.LabelKeyLeaked)}
	case retiring && made && e.Year > h.Preferred:
		return one(revoke, idp.LabelEndUnneededYear)
	case retiring && (code == WaitsClockJumped || code == WaitsClockDrifted):
		return one(idp.Suggest(idp.DoRotationConfirmClock), idp.LabelConfirmTime)
	case retiring && (state == Expiring || state == Grace):
		return []idp.Suggestion{suggestPlan().WithLabel(idp.LabelShowDates), revoke.WithLabel(idp.LabelKeyLeaked)}
	case e.Kind == StepRollback && state == Grace:
		return one(idp.Suggest(idp.DoRotationStatus), idp.LabelListUses)
	case e.Kind == StepRevoke && !made:
		return one(idp.Suggest(idp.DoRotationStatus), idp.LabelListYears)
	case e.Kind == StepDestroy && r.KeyDestroyedAt.IsZero():
		return one(StepRetire.Suggest(e.Year), idp.LabelRetireFirst)
	}
	return nil
}

// Suggest returns a copy of a with suggestions.
func (a Attention) Suggest() Attention {
	report := idp.Suggest(idp.DoRotationReport)
	if a.Year != "" {
		report = report.WithOption(idp.OptionYear, string(a.Year))
	}
	because := func(codes ...ReasonCode) bool {
		return slices.ContainsFunc(a.Reasons, func(r Reason) bool { return slices.Contains(codes, r.Code) })
	}
	next := a.Args.Step.Suggest(a.Year)
	switch {
	case a.Code == NoSigningKey:
		next = suggestPlan()
	case a.Code == RestoreHeld, because(WaitsRestored):
		next = idp.Suggest(idp.DoRotationResume).WithLabel(idp.LabelRestoreChecked)
	case a.Code == ClockUntrusted, because(WaitsClockJumped, WaitsClockDrifted): // resume would end a rollback too
		next = idp.Suggest(idp.DoRotationConfirmClock)
	case a.Code == BackupFailed, a.Code == BackupOld:
		next = idp.Suggest(idp.DoBackup, "")
	case because(WaitsHold, WaitsHoldUntil):
		next = idp.Suggest(idp.DoRotationResume)
	case a.Code == CertEnded, a.Code == CertEnding, a.Code == RequestCertEnded, a.IsUse():
		next = report
	case because(WaitsCertificate, WaitsExternalKey):
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
	case StepDestroy: // has no command of its own
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
