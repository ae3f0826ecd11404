package templates

import (
	"slices"
	"time"

	"vernal/idp"
)

// HistoryPage lists what happened in a user's account, the newest first.
type HistoryPage struct {
	AccountBase
	Entries []HistoryEntry
	// NewestURL and OlderURL lead to other pages; "" for none.
	NewestURL, OlderURL string
}

// HistoryEntry is one thing that happened.
type HistoryEntry struct {
	Text    Key    // see HistoryKey; {0} is Service
	Service string // the name of a service, "" for none
	At      time.Time
	// By is who did it: "you", "staff", "server" or "service"; "" if no one proved to be anyone.
	By string
	// Browser, System and Network describe the browser; "" if not known.
	Browser, System, Network string
}

// ByKey returns the key for By.
func (e HistoryEntry) ByKey() Key { return Key("history.by." + e.By) }

// historyKinds are the kinds of audit record with a text for users. The list is read-only.
var historyKinds = []idp.AuditKind{
	idp.AuditAuthn, idp.AuditAuthnPassword, idp.AuditFailure, idp.AuditLogout, idp.AuditRefusal, idp.AuditRefusals, idp.AuditRemoteLogout,
	idp.AuditSessionEnd, idp.AuditSignIn, idp.AuditSignOut, idp.AuditStepUp,
	idp.AuditUserAdd, idp.AuditUserAddEmail, idp.AuditUserAddTOTP, idp.AuditUserCancelDeletion, idp.AuditUserCancelReset,
	idp.AuditUserConsent, idp.AuditUserEditEmail, idp.AuditUserEditLang, idp.AuditUserExport, idp.AuditUserForgetDevice, idp.AuditUserImport,
	idp.AuditUserInvite, idp.AuditUserLock, idp.AuditUserPlanDeletion, idp.AuditUserPlanReset, idp.AuditUserRecoveryCodes, idp.AuditUserRemoveEmail,
	idp.AuditUserRemoveTOTP, idp.AuditUserRenameTOTP, idp.AuditUserResetMFA, idp.AuditUserResetPassword, idp.AuditUserSetPassword,
	idp.AuditUserUnlock, idp.AuditUserUseRecoveryCode, idp.AuditUserVerify,
}

// historyOutcomes are the kinds whose text depends on the outcome, or on whether the record names a
// service ("sp"). The map is read-only.
var historyOutcomes = map[idp.AuditKind][]string{
	idp.AuditRefusal:       {"password", "code", "throttled", "account_locked"},
	idp.AuditSignIn:        {"no_passive"},
	idp.AuditLogout:        {"unknown_principal"},
	idp.AuditUserEditEmail: {"sp"},
}

// HistoryKey returns the key for an audit record. A kind without a text has a general one.
func HistoryKey(kind idp.AuditKind, outcome string, hasSP bool) Key {
	if !slices.Contains(historyKinds, kind) {
		return "history.other"
	}
	key := Key("history." + string(kind))
	special := historyOutcomes[kind]
	switch {
	case slices.Contains(special, outcome):
		return key + "." + Key(outcome)
	case hasSP && slices.Contains(special, "sp"):
		return key + ".sp"
	}
	return key
}
