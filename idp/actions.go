package idp

import (
	"errors"
	"slices"
	"strings"
)

// The operations that packages suggest.
const (
	DoAuditVerify Action = "audit.verify"
	DoInit        Action = "init"
	DoInspect     Action = "inspect"
	DoRekey       Action = "rekey"

	DoMetadataShow Action = "metadata.show"

	DoRotationConfirmClock Action = "rotation.confirm-clock"
	DoRotationCreate       Action = "rotation.create"
	DoRotationCSR          Action = "rotation.csr"
	DoRotationImport       Action = "rotation.import"
	DoRotationLinkList     Action = "rotation.link.list"
	DoRotationPlan         Action = "rotation.plan"
	DoRotationPrefer       Action = "rotation.prefer"
	DoRotationPreview      Action = "rotation.preview"
	DoRotationPublish      Action = "rotation.publish"
	DoRotationRehearse     Action = "rotation.rehearse"
	DoRotationReport       Action = "rotation.report"
	DoRotationResume       Action = "rotation.resume"
	DoRotationRetire       Action = "rotation.retire"
	DoRotationRevoke       Action = "rotation.revoke"
	DoRotationRollback     Action = "rotation.rollback"
	DoRotationStatus       Action = "rotation.status"

	DoSPAdd  Action = "sp.add"
	DoSPEdit Action = "sp.edit"
	DoSPList Action = "sp.list"
)

// RotationAction is the action that takes a step of the rotation.
func RotationAction(step string) Action { return Action("rotation." + step) }

// The options that suggestions have.
const (
	OptionACSURL               = "acs_url"
	OptionActive               = "active"
	OptionAllowInsecureURL     = "allow_insecure_url"
	OptionAt                   = "at"
	OptionAttribute            = "attribute"
	OptionBegin                = "begin"
	OptionCancel               = "cancel"
	OptionCert                 = "cert"
	OptionConnect              = "connect"
	OptionDestroyNow           = "destroy_now"
	OptionEncryptionCert       = "encryption_cert"
	OptionEntityID             = "entity_id"
	OptionFinish               = "finish"
	OptionForce                = "force"
	OptionIAL                  = "ial"
	OptionKey                  = "key"
	OptionLogoutURL            = "logout_url"
	OptionMetadata             = "metadata"
	OptionName                 = "name"
	OptionNameIDFormat         = "name_id_format"
	OptionNewKey               = "new_key"
	OptionOut                  = "out"
	OptionPreview              = "preview"
	OptionReason               = "reason"
	OptionRemoveEncryptionCert = "remove_encryption_cert"
	OptionSend                 = "send"
	OptionSP                   = "sp"
	OptionYear                 = "year"
	OptionYes                  = "yes"
)

// actions are all actions, with the options that suggestions of them may have.
var actions = map[Action][]string{
	DoAuditVerify: nil,
	DoInit:        nil,
	DoInspect:     {OptionKey, OptionAt},
	DoRekey:       {OptionBegin, OptionNewKey, OptionFinish, OptionCancel},

	DoMetadataShow: nil,

	DoRotationConfirmClock: nil,
	DoRotationCreate:       nil,
	DoRotationCSR:          nil,
	DoRotationImport:       {OptionCert, OptionKey},
	DoRotationLinkList:     nil,
	DoRotationPlan:         nil,
	DoRotationPrefer:       nil,
	DoRotationPreview:      {OptionSP},
	DoRotationPublish:      nil,
	DoRotationRehearse:     {OptionConnect},
	DoRotationReport:       {OptionOut, OptionSP, OptionYear, OptionSend},
	DoRotationResume:       nil,
	DoRotationRetire:       {OptionDestroyNow, OptionForce, OptionReason, OptionYes},
	DoRotationRevoke:       {OptionReason, OptionYes},
	DoRotationRollback:     {OptionReason},
	DoRotationStatus:       nil,

	DoSPAdd: {OptionEntityID, OptionMetadata},
	DoSPEdit: {
		OptionActive, OptionACSURL, OptionAllowInsecureURL, OptionAttribute, OptionCert, OptionEncryptionCert, OptionIAL, OptionLogoutURL, OptionMetadata, OptionName,
		OptionNameIDFormat, OptionPreview, OptionRemoveEncryptionCert,
	},
	DoSPList: nil,
}

// The labels of suggestions.
const (
	LabelActivate               SuggestionLabel = "activate"
	LabelAllowFormat            SuggestionLabel = "allow_format"
	LabelAllowHTTP              SuggestionLabel = "allow_http"
	LabelAllowLevel             SuggestionLabel = "allow_level"
	LabelApplyAt                SuggestionLabel = "apply_at"
	LabelBeginChange            SuggestionLabel = "begin_change"
	LabelBringKeyToo            SuggestionLabel = "bring_key_too"
	LabelChangeRegistered       SuggestionLabel = "change_registered"
	LabelChooseProvider         SuggestionLabel = "choose_provider"
	LabelCreateFirst            SuggestionLabel = "create_first"
	LabelEndUnwantedYear        SuggestionLabel = "end_unwanted_year"
	LabelKeyLeaked              SuggestionLabel = "key_leaked"
	LabelLetIn                  SuggestionLabel = "let_in"
	LabelListLinks              SuggestionLabel = "list_links"
	LabelListRegistered         SuggestionLabel = "list_registered"
	LabelMakeKeyAndRequest      SuggestionLabel = "make_key_and_request"
	LabelNameProvider           SuggestionLabel = "name_provider"
	LabelNewKeySameYear         SuggestionLabel = "new_key_same_year"
	LabelNewYear                SuggestionLabel = "new_year"
	LabelNextStep               SuggestionLabel = "next_step"
	LabelOpenAssertion          SuggestionLabel = "open_assertion"
	LabelPreferNewerFirst       SuggestionLabel = "prefer_newer_first"
	LabelPreviewBrowser         SuggestionLabel = "preview_browser"
	LabelPreviewProvider        SuggestionLabel = "preview_provider"
	LabelPublishFirst           SuggestionLabel = "publish_first"
	LabelRegister               SuggestionLabel = "register"
	LabelRemoveCertificate      SuggestionLabel = "remove_certificate"
	LabelRepeat                 SuggestionLabel = "repeat"
	LabelRetireAnyway           SuggestionLabel = "retire_anyway"
	LabelRetireFirst            SuggestionLabel = "retire_first"
	LabelReturnToOlderYear      SuggestionLabel = "return_to_older_year"
	LabelRevokeLostKey          SuggestionLabel = "revoke_lost_key"
	LabelSeeDates               SuggestionLabel = "see_dates"
	LabelSeeNotices             SuggestionLabel = "see_notices"
	LabelSendNotices            SuggestionLabel = "send_notices"
	LabelShowChange             SuggestionLabel = "show_change"
	LabelShowMetadata           SuggestionLabel = "show_metadata"
	LabelTakeOver               SuggestionLabel = "take_over"
	LabelTimeIsRight            SuggestionLabel = "time_is_right"
	LabelVerifyAudit            SuggestionLabel = "verify_audit"
	LabelWhenCertificateHasCome SuggestionLabel = "when_certificate_has_come"
	LabelWhoStillUsesIt         SuggestionLabel = "who_still_uses_it"
	LabelWriteNotices           SuggestionLabel = "write_notices"
	LabelYearsMade              SuggestionLabel = "years_made"
)

// labels are all of them.
var labels = []SuggestionLabel{
	LabelActivate,
	LabelAllowFormat,
	LabelAllowHTTP,
	LabelAllowLevel,
	LabelApplyAt,
	LabelBeginChange,
	LabelBringKeyToo,
	LabelChangeRegistered,
	LabelChooseProvider,
	LabelCreateFirst,
	LabelEndUnwantedYear,
	LabelKeyLeaked,
	LabelLetIn,
	LabelListLinks,
	LabelListRegistered,
	LabelMakeKeyAndRequest,
	LabelNameProvider,
	LabelNewKeySameYear,
	LabelNewYear,
	LabelNextStep,
	LabelOpenAssertion,
	LabelPreferNewerFirst,
	LabelPreviewBrowser,
	LabelPreviewProvider,
	LabelPublishFirst,
	LabelRegister,
	LabelRemoveCertificate,
	LabelRepeat,
	LabelRetireAnyway,
	LabelRetireFirst,
	LabelReturnToOlderYear,
	LabelRevokeLostKey,
	LabelSeeDates,
	LabelSeeNotices,
	LabelSendNotices,
	LabelShowChange,
	LabelShowMetadata,
	LabelTakeOver,
	LabelTimeIsRight,
	LabelVerifyAudit,
	LabelWhenCertificateHasCome,
	LabelWhoStillUsesIt,
	LabelWriteNotices,
	LabelYearsMade,
}

// SuggestionLabels returns all labels.
func SuggestionLabels() []SuggestionLabel { return slices.Clone(labels) }

// Actions returns all actions with their options, in order.
func Actions() []Suggestion {
	var list []Suggestion
	for do, options := range actions {
		s := Suggest(do)
		for _, name := range options {
			s = s.With(name, "")
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Suggestion) int { return strings.Compare(string(a.Do), string(b.Do)) })
	return list
}

// advisedError is an error and what a user can do about it.
type advisedError struct {
	error
	suggestions []Suggestion
}

func (e *advisedError) Unwrap() error           { return e.error }
func (e *advisedError) Suggested() []Suggestion { return e.suggestions }

// Advise returns err with what a user can do about it; see SuggestionsOf.
func Advise(err error, list ...Suggestion) error { return &advisedError{err, list} }

// SuggestionsOf returns what a user can do about an error: what the outermost error
// suggests that has a method Suggested.
func SuggestionsOf(err error) []Suggestion {
	var advised interface{ Suggested() []Suggestion }
	if errors.As(err, &advised) {
		return advised.Suggested()
	}
	return nil
}
