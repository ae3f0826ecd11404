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

// Options of actions that more than one package names.
const (
	OptionCert     = "cert"
	OptionMetadata = "metadata"
)

// actions are all actions, with the options that suggestions of them may have.
var actions = map[Action][]string{
	DoAuditVerify: nil,
	DoInit:        {"base_url"},
	DoInspect:     {"key", "at"},
	DoRekey:       {"begin", "new_key", "finish", "cancel"},

	DoMetadataShow: nil,

	DoRotationConfirmClock: nil,
	DoRotationCreate:       nil,
	DoRotationCSR:          nil,
	DoRotationImport:       {OptionCert, "key"},
	DoRotationLinkList:     nil,
	DoRotationPlan:         nil,
	DoRotationPrefer:       nil,
	DoRotationPreview:      {"sp"},
	DoRotationPublish:      nil,
	DoRotationRehearse:     nil,
	DoRotationReport:       {"out", "sp", "year", "send"},
	DoRotationResume:       nil,
	DoRotationRetire:       {"force", "reason", "yes"},
	DoRotationRevoke:       {"reason", "yes"},
	DoRotationRollback:     {"reason"},
	DoRotationStatus:       nil,

	DoSPAdd: {"entity_id", OptionMetadata},
	DoSPEdit: {
		"active", "acs_url", "allow_insecure_url", "attribute", OptionCert, "encryption_cert", "ial", "logout_url", OptionMetadata, "name",
		"name_id_format", "preview", "remove_encryption_cert",
	},
	DoSPList: nil,
}

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
