package audit

import (
	"slices"
	"strings"

	"vernal/idp"
)

// Kind is a kind of record.
type Kind struct {
	Name idp.AuditKind
	What string
}

// Kinds are all kinds of record that there are, in the order of their names.
func Kinds() []Kind {
	return []Kind{
		{idp.AuditAuditPrune, "records were exported and removed, up to seq"},
		{idp.AuditAuthn, "a user proved who they are, with password and second factor"},
		{idp.AuditAuthnPassword, "a user gave the right password; the second factor was still to come"},
		{idp.AuditFailure, "we failed somebody; the log has the cause under the error id"},
		{idp.AuditKeysRenew, "all keys below the master key are made new"},
		{idp.AuditKeysRenewed, "all records were written again with the new keys"},
		{idp.AuditLinkCreate, "a secret address was made"},
		{idp.AuditLinkRemove, "a secret address was forgotten"},
		{idp.AuditLinkRevoke, "a secret address was taken back"},
		{idp.AuditLogout, "an SP ended a session through the browser"},
		{idp.AuditMasterKeyBegin, "another master key is to replace the one in force; to names it"},
		{idp.AuditMasterKeyBoth, "every key is wrapped by both master keys"},
		{idp.AuditMasterKeyCancel, "an operator went back to the master key from before; keep names it"},
		{idp.AuditMasterKeyEnd, "no key is wrapped by the other master key any more"},
		{idp.AuditMasterKeyFinish, "an operator ended the master key from before; keep names the new one"},
		{idp.AuditPreviewAdmit, "a request to a year that is not published was let in; preview says by what"},
		{idp.AuditPreviewEnter, "a preview link was opened in a browser"},
		{idp.AuditPreviewFetch, "metadata or certificate of a year that is not published was fetched through a preview link"},
		{idp.AuditRefusal, "a request, a password or a code was turned down; the outcome says why"},
		{idp.AuditRefusals, "more records than fit a budget: how many, by outcome, with the user or the service provider"},
		{idp.AuditRemoteLogout, "an SP's server ended sessions"},
		{idp.AuditRotationAdopt, "a year's key was found that was on no record"},
		{idp.AuditRotationConfirmClock, "an operator said that the time is right"},
		{idp.AuditRotationCreate, "a year's key was made"},
		{idp.AuditRotationCSR, "a key that waits for its certificate was made"},
		{idp.AuditRotationDestroy, "a retired year's key was destroyed"},
		{idp.AuditRotationExport, "the proof of a year was handed out"},
		{idp.AuditRotationImport, "a certificate from elsewhere was brought in"},
		{idp.AuditRotationNotice, "an SP was written to"},
		{idp.AuditRotationPrefer, "a year is preferred"},
		{idp.AuditRotationPublish, "a year's addresses opened"},
		{idp.AuditRotationRehearse, "a rehearsal, or a step of one"},
		{idp.AuditRotationResume, "automatic steps go on"},
		{idp.AuditRotationRetire, "a year's addresses closed"},
		{idp.AuditRotationRevoke, "a year ended at once"},
		{idp.AuditRotationRollback, "the older year is preferred again"},
		{idp.AuditSessionEnd, "a person or an operator ended sessions"},
		{idp.AuditSignIn, "an SP was told who somebody is; or, no_passive, that nobody could be asked"},
		{idp.AuditSignOut, "a person ended their session"},
		{idp.AuditSPAdd, "an SP was registered"},
		{idp.AuditSPEdit, "a registration was changed"},
		{idp.AuditSPRemove, "a registration was removed"},
		{idp.AuditStepUp, "a person who was signed in proved it anew"},
		{idp.AuditUserAdd, "an account was made"},
		{idp.AuditUserAddTOTP, "an account got an authenticator"},
		{idp.AuditUserDelete, "an account was deleted"},
		{idp.AuditUserExport, "a page of an export of users was handed out, with or without secrets"},
		{idp.AuditUserForgetDevice, "a person forgot a device that stood for their second factor"},
		{idp.AuditUserImport, "an account came from elsewhere"},
		{idp.AuditUserLock, "an account was locked"},
		{idp.AuditUserResetMFA, "an account's second factors were taken away"},
		{idp.AuditUserSetPassword, "an account's password was changed"},
		{idp.AuditUserUnlock, "an account was unlocked"},
		{idp.AuditUserVerify, "a proofed identity was put on record or taken off"},
	}
}

// KnownKind reports whether there are records of the kind, or whose kinds begin
// with it and a full stop.
func KnownKind(kind string) bool {
	return slices.ContainsFunc(Kinds(), func(k Kind) bool { return string(k.Name) == kind || strings.HasPrefix(string(k.Name), kind+".") })
}
