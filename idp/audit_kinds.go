package idp

import "slices"

// AuditKind is the kind of an audit record: a dotted name whose first part is the subject.
type AuditKind string

// The kinds of audit record with their meanings, sorted by name. RotationAuditKind also
// returns the kinds of rotation steps.
var (
	AuditAuditPrune           = declareKind("audit.prune", "records up to seq were exported and removed")
	AuditAuthn                = declareKind("authn", "a user signed in with a password and a second factor")
	AuditAuthnPassword        = declareKind("authn.password", "a user entered the correct password, but not yet the second factor")
	AuditBackup               = declareKind("backup", "a backup of the installation was started (master_key: whether it contains the master key)")
	AuditFailure              = declareKind("failure", "an internal error occurred. The log contains its cause under the error ID")
	AuditKeysRenew            = declareKind("keys.renew", "the renewal of all keys below the master key began")
	AuditKeysRenewed          = declareKind("keys.renewed", "all records are written with the new keys")
	AuditLinkCreate           = declareKind("link.create", "a secret URL was created")
	AuditLinkRemove           = declareKind("link.remove", "a secret URL was removed by the server")
	AuditLinkRevoke           = declareKind("link.revoke", "a secret URL was revoked")
	AuditLogout               = declareKind("logout", "an SP ended a session through the browser")
	AuditMasterKeyBegin       = declareKind("master_key.begin", "a change of the master key began (to: the new master key)")
	AuditMasterKeyBoth        = declareKind("master_key.both", "every key is wrapped by both master keys")
	AuditMasterKeyCancel      = declareKind("master_key.cancel", "an operator canceled the change of the master key (keep: the old master key)")
	AuditMasterKeyEnd         = declareKind("master_key.end", "only one master key wraps the keys")
	AuditMasterKeyFinish      = declareKind("master_key.finish", "an operator finished the change of the master key (keep: the new master key)")
	AuditPreviewAdmit         = declareKind("preview.admit", "a request to an unpublished year was allowed (preview: the link or field that allowed it)")
	AuditPreviewEnter         = declareKind("preview.enter", "a preview link was opened in a browser")
	AuditPreviewFetch         = declareKind("preview.fetch", "metadata or a certificate of an unpublished year was downloaded through a preview link")
	AuditRefusal              = declareKind("refusal", "a request, a password or a code was refused (outcome: the reason code)")
	AuditRefusals             = declareKind("refusals", "the number of refusals that were not recorded one by one, by outcome, with the user or the SP")
	AuditRemoteLogout         = declareKind("remote_logout", "an SP's server ended sessions")
	AuditRestored             = declareKind("restored", "a backup was restored (backup_seq and backup_hash: the end of its trail). Sessions, requests and links ended, and automatic steps are paused")
	AuditRestoredSince        = declareKind("restored.since", "an audit export was applied to the restored installation (seq: its last record, lost: the number of changes that could not be repeated)")
	AuditRotationAdopt        = declareKind("rotation.adopt", "an unrecorded key of a year was found")
	AuditRotationConfirmClock = declareKind("rotation.confirm-clock", "an operator confirmed the clock")
	AuditRotationCreate       = declareKind("rotation.create", "a year's key was created")
	AuditRotationCSR          = declareKind("rotation.csr", "a key was created for an external certificate")
	AuditRotationDestroy      = declareKind("rotation.destroy", "a retired year's key was destroyed")
	AuditRotationExport       = declareKind("rotation.export", "the proof of a year was exported")
	AuditRotationImport       = declareKind("rotation.import", "an external certificate was imported")
	AuditRotationNotice       = declareKind("rotation.notice", "a notice was sent to an SP")
	AuditRotationPrefer       = declareKind("rotation.prefer", "a year became preferred")
	AuditRotationPublish      = declareKind("rotation.publish", "a year was published, so its URLs answer")
	AuditRotationRehearse     = declareKind("rotation.rehearse", "a rehearsal, or a step of a rehearsal, was carried out")
	AuditRotationResume       = declareKind("rotation.resume", "automatic steps were resumed")
	AuditRotationRetire       = declareKind("rotation.retire", "a year was retired, so its URLs answer 410")
	AuditRotationRevoke       = declareKind("rotation.revoke", "a year was revoked")
	AuditRotationRollback     = declareKind("rotation.rollback", "the older year became preferred again")
	AuditSessionEnd           = declareKind("session.end", "a user or an operator ended sessions")
	AuditSignIn               = declareKind("sign_in", "an assertion was issued (no_passive: NoPassive was returned instead, consent: why the user was asked for it)")
	AuditSignOut              = declareKind("sign_out", "a user signed out")
	AuditSPAdd                = declareKind("sp.add", "an SP was registered")
	AuditSPEdit               = declareKind("sp.edit", "a registration was changed")
	AuditSPRemove             = declareKind("sp.remove", "a registration was removed")
	AuditStepUp               = declareKind("step_up", "a user who was signed in proved another factor")
	AuditUserAdd              = declareKind("user.add", "a user was added")
	AuditUserAddEmail         = declareKind("user.add_email", "a user confirmed another email address")
	AuditUserAddTOTP          = declareKind("user.add_totp", "an authenticator app was added for a user")
	AuditUserCancelDeletion   = declareKind("user.cancel_deletion", "the deletion of an account was canceled")
	AuditUserCancelReset      = declareKind("user.cancel_reset", "a user canceled the reset of the second factors")
	AuditUserConsent          = declareKind("user.consent", "a user withdrew the consent to share data with an SP")
	AuditUserDelete           = declareKind("user.delete", "a user was deleted")
	AuditUserEdit             = declareKind("user.edit", "an operator changed the language of mails to a user")
	AuditUserEditEmail        = declareKind("user.edit_email", "a user chose the primary email address, or the one that an SP gets")
	AuditUserEditLang         = declareKind("user.edit_lang", "a user chose the language of mails")
	AuditUserExport           = declareKind("user.export", "a page of users was exported, with or without secrets, or a user downloaded their own data")
	AuditUserForgetDevice     = declareKind("user.forget_device", "a user removed a remembered device")
	AuditUserImport           = declareKind("user.import", "a user was imported")
	AuditUserInvite           = declareKind("user.invite", "an operator invited a user")
	AuditUserLock             = declareKind("user.lock", "a user was locked")
	AuditUserPlanDeletion     = declareKind("user.plan_deletion", "the deletion of an account was planned; due says for when")
	AuditUserPlanReset        = declareKind("user.plan_reset", "an operator planned the reset of the second factors; due says for when")
	AuditUserRecoveryCodes    = declareKind("user.recovery_codes", "a user got new recovery codes")
	AuditUserRemoveEmail      = declareKind("user.remove_email", "a user removed an email address")
	AuditUserRemoveTOTP       = declareKind("user.remove_totp", "a user removed an authenticator app")
	AuditUserRenameTOTP       = declareKind("user.rename_totp", "a user renamed an authenticator app")
	AuditUserResetMFA         = declareKind("user.reset_mfa", "a user's second factors were removed")
	AuditUserResetPassword    = declareKind("user.reset_password", "a user set a new password through a mailed link")
	AuditUserSetPassword      = declareKind("user.set_password", "a user's password was changed")
	AuditUserUnlock           = declareKind("user.unlock", "a user was unlocked")
	AuditUserUseRecoveryCode  = declareKind("user.use_recovery_code", "a user signed in with a recovery code")
	AuditUserVerify           = declareKind("user.verify", "a user's proofed profile was set or removed")
)

// AuditMeaning is a kind of audit record and its meaning.
type AuditMeaning struct {
	Kind    AuditKind
	Meaning string
}

// AuditKinds returns all kinds of audit record, sorted by name.
func AuditKinds() []AuditMeaning { return slices.Clone(kinds) }

// kinds lists the declared kinds. Nothing changes it after initialization.
var kinds []AuditMeaning

func declareKind(kind AuditKind, meaning string) AuditKind {
	kinds = append(kinds, AuditMeaning{kind, meaning})
	return kind
}

// RotationAuditKind returns the kind of the record of a rotation step.
func RotationAuditKind(step string) AuditKind { return AuditKind("rotation." + step) }
