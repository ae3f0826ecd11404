package idp

import (
	"errors"
	"slices"
)

// The operations that packages suggest, with the options that each suggestion may have.
var (
	DoAuditVerify = declareAction("audit.verify")
	DoBackup      = declareAction("backup")
	DoDoctor      = declareAction("doctor", OptionSendTest)
	DoInit        = declareAction("init")
	DoInspect     = declareAction("inspect", OptionKey, OptionAt)
	DoRekey       = declareAction("rekey", OptionBegin, OptionNewKey, OptionFinish, OptionCancel)

	DoMetadataShow = declareAction("metadata.show")

	DoRotationConfirmClock = declareAction("rotation.confirm-clock")
	DoRotationCreate       = declareAction("rotation.create")
	DoRotationCSR          = declareAction("rotation.csr")
	DoRotationImport       = declareAction("rotation.import", OptionCert, OptionKey)
	DoRotationLinkList     = declareAction("rotation.link.list")
	DoRotationPlan         = declareAction("rotation.plan")
	DoRotationPrefer       = declareAction("rotation.prefer")
	DoRotationPreview      = declareAction("rotation.preview", OptionSP)
	DoRotationPublish      = declareAction("rotation.publish")
	DoRotationRehearse     = declareAction("rotation.rehearse", OptionConnect)
	DoRotationReport       = declareAction("rotation.report", OptionOut, OptionSP, OptionYear, OptionSend)
	DoRotationResume       = declareAction("rotation.resume")
	DoRotationRetire       = declareAction("rotation.retire", OptionDestroyNow, OptionForce, OptionReason, OptionYes)
	DoRotationRevoke       = declareAction("rotation.revoke", OptionReason, OptionYes)
	DoRotationRollback     = declareAction("rotation.rollback", OptionReason)
	DoRotationStatus       = declareAction("rotation.status")

	DoSPAdd  = declareAction("sp.add", OptionEntityID, OptionMetadata)
	DoSPEdit = declareAction("sp.edit",
		OptionActive, OptionACSURL, OptionAllowInsecureURL, OptionAttribute, OptionCert, OptionEncryptionCert, OptionEncryptionDigest, OptionIAL,
		OptionLogoutURL, OptionMetadata, OptionName, OptionNameIDFormat, OptionPreview, OptionRemoveEncryptionCert)
	DoSPList = declareAction("sp.list")

	DoUserSetPassword = declareAction("user.set-password", OptionPasswordStdin)
	DoUserUnlock      = declareAction("user.unlock")
)

// RotationAction returns the action that takes a rotation step.
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
	OptionEncryptionDigest     = "encryption_digest"
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
	OptionPasswordStdin        = "password_stdin"
	OptionPreview              = "preview"
	OptionReason               = "reason"
	OptionRemoveEncryptionCert = "remove_encryption_cert"
	OptionSend                 = "send"
	OptionSendTest             = "send_test"
	OptionSP                   = "sp"
	OptionYear                 = "year"
	OptionYes                  = "yes"
)

// The labels of suggestions.
var (
	LabelActivate            = declareLabel("activate")
	LabelAllowFormat         = declareLabel("allow_format")
	LabelAllowHTTP           = declareLabel("allow_http")
	LabelAllowLevel          = declareLabel("allow_level")
	LabelApplyAt             = declareLabel("apply_at")
	LabelBeginChange         = declareLabel("begin_change")
	LabelImportKeyToo        = declareLabel("bring_key_too")
	LabelChangeRegistered    = declareLabel("change_registered")
	LabelChooseProvider      = declareLabel("choose_provider")
	LabelCreateFirst         = declareLabel("create_first")
	LabelEndUnneededYear     = declareLabel("end_unwanted_year")
	LabelKeyLeaked           = declareLabel("key_leaked")
	LabelAllowPreview        = declareLabel("let_in")
	LabelListLinks           = declareLabel("list_links")
	LabelListRegistered      = declareLabel("list_registered")
	LabelCreateKeyAndRequest = declareLabel("make_key_and_request")
	LabelNameProvider        = declareLabel("name_provider")
	LabelNewKeySameYear      = declareLabel("new_key_same_year")
	LabelNewYear             = declareLabel("new_year")
	LabelNextStep            = declareLabel("next_step")
	LabelOpenAssertion       = declareLabel("open_assertion")
	LabelPreferNewerFirst    = declareLabel("prefer_newer_first")
	LabelPreviewBrowser      = declareLabel("preview_browser")
	LabelPreviewProvider     = declareLabel("preview_provider")
	LabelPublishFirst        = declareLabel("publish_first")
	LabelRegister            = declareLabel("register")
	LabelRemoveCertificate   = declareLabel("remove_certificate")
	LabelRepeat              = declareLabel("repeat")
	LabelRestoreChecked      = declareLabel("restore_checked")
	LabelRetireAnyway        = declareLabel("retire_anyway")
	LabelRetireFirst         = declareLabel("retire_first")
	LabelReturnToOlderYear   = declareLabel("return_to_older_year")
	LabelRevokeLostKey       = declareLabel("revoke_lost_key")
	LabelShowDates           = declareLabel("see_dates")
	LabelShowNotices         = declareLabel("see_notices")
	LabelSendNotices         = declareLabel("send_notices")
	LabelShowChange          = declareLabel("show_change")
	LabelShowMetadata        = declareLabel("show_metadata")
	LabelTakeOver            = declareLabel("take_over")
	LabelConfirmTime         = declareLabel("time_is_right")
	LabelVerifyAudit         = declareLabel("verify_audit")
	LabelImportCertificate   = declareLabel("when_certificate_has_come")
	LabelListUses            = declareLabel("who_still_uses_it")
	LabelWriteNotices        = declareLabel("write_notices")
	LabelListYears           = declareLabel("years_made")
	LabelSetPassword         = declareLabel("set_password")
	LabelUnlockUser          = declareLabel("unlock_user")
)

// SuggestionLabels returns all labels.
func SuggestionLabels() []SuggestionLabel { return slices.Clone(labels) }

// Actions returns all actions with their options.
func Actions() []Suggestion { return slices.Clone(actions) }

// actions and labels list the declared actions and labels in order. Nothing changes them after
// initialization.
var (
	actions []Suggestion
	labels  []SuggestionLabel
)

func declareAction(action Action, options ...string) Action {
	s := Suggest(action)
	for _, name := range options {
		s = s.WithOption(name, "")
	}
	actions = append(actions, s)
	return action
}

func declareLabel(label SuggestionLabel) SuggestionLabel {
	labels = append(labels, label)
	return label
}

// advisedError adds suggestions to an error.
type advisedError struct {
	error
	suggestions []Suggestion
}

func (e *advisedError) Unwrap() error                 { return e.error }
func (e *advisedError) ListSuggestions() []Suggestion { return e.suggestions }

// Advise adds suggestions for the user to err; see FindSuggestions.
func Advise(err error, list ...Suggestion) error { return &advisedError{err, list} }

// FindSuggestions returns the suggestions for a user after an error. The outermost error with a
// method ListSuggestions decides.
func FindSuggestions(err error) []Suggestion {
	var advisor interface{ ListSuggestions() []Suggestion }
	if errors.As(err, &advisor) {
		return advisor.ListSuggestions()
	}
	return nil
}
