package idp

import "slices"

// AuditKind is the kind of an audit record: a dotted name, whose first part is what it is
// about.
type AuditKind string

// The kinds of audit record, in the order of their names, with what each means. Those of
// rotation steps are in RotationAuditKind, too.
var (
	AuditAuditPrune           = declareKind("audit.prune", "records were exported and removed, up to seq")
	AuditAuthn                = declareKind("authn", "a user proved who they are, with password and second factor")
	AuditAuthnPassword        = declareKind("authn.password", "a user gave the right password; the second factor was still to come")
	AuditFailure              = declareKind("failure", "we failed somebody; the log has the cause under the error id")
	AuditKeysRenew            = declareKind("keys.renew", "all keys below the master key are made new")
	AuditKeysRenewed          = declareKind("keys.renewed", "all records were written again with the new keys")
	AuditLinkCreate           = declareKind("link.create", "a secret address was made")
	AuditLinkRemove           = declareKind("link.remove", "a secret address was forgotten")
	AuditLinkRevoke           = declareKind("link.revoke", "a secret address was taken back")
	AuditLogout               = declareKind("logout", "an SP ended a session through the browser")
	AuditMasterKeyBegin       = declareKind("master_key.begin", "another master key is to replace the one in force; to names it")
	AuditMasterKeyBoth        = declareKind("master_key.both", "every key is wrapped by both master keys")
	AuditMasterKeyCancel      = declareKind("master_key.cancel", "an operator went back to the master key from before; keep names it")
	AuditMasterKeyEnd         = declareKind("master_key.end", "no key is wrapped by the other master key any more")
	AuditMasterKeyFinish      = declareKind("master_key.finish", "an operator ended the master key from before; keep names the new one")
	AuditPreviewAdmit         = declareKind("preview.admit", "a request to a year that is not published was let in; preview says by what")
	AuditPreviewEnter         = declareKind("preview.enter", "a preview link was opened in a browser")
	AuditPreviewFetch         = declareKind("preview.fetch", "metadata or certificate of a year that is not published was fetched through a preview link")
	AuditRefusal              = declareKind("refusal", "a request, a password or a code was turned down; the outcome says why")
	AuditRefusals             = declareKind("refusals", "more records than fit a budget: how many, by outcome, with the user or the service provider")
	AuditRemoteLogout         = declareKind("remote_logout", "an SP's server ended sessions")
	AuditRotationAdopt        = declareKind("rotation.adopt", "a year's key was found that was on no record")
	AuditRotationConfirmClock = declareKind("rotation.confirm-clock", "an operator said that the time is right")
	AuditRotationCreate       = declareKind("rotation.create", "a year's key was made")
	AuditRotationCSR          = declareKind("rotation.csr", "a key that waits for its certificate was made")
	AuditRotationDestroy      = declareKind("rotation.destroy", "a retired year's key was destroyed")
	AuditRotationExport       = declareKind("rotation.export", "the proof of a year was handed out")
	AuditRotationImport       = declareKind("rotation.import", "a certificate from elsewhere was brought in")
	AuditRotationNotice       = declareKind("rotation.notice", "an SP was written to")
	AuditRotationPrefer       = declareKind("rotation.prefer", "a year is preferred")
	AuditRotationPublish      = declareKind("rotation.publish", "a year's addresses opened")
	AuditRotationRehearse     = declareKind("rotation.rehearse", "a rehearsal, or a step of one")
	AuditRotationResume       = declareKind("rotation.resume", "automatic steps go on")
	AuditRotationRetire       = declareKind("rotation.retire", "a year's addresses closed")
	AuditRotationRevoke       = declareKind("rotation.revoke", "a year ended at once")
	AuditRotationRollback     = declareKind("rotation.rollback", "the older year is preferred again")
	AuditSessionEnd           = declareKind("session.end", "a person or an operator ended sessions")
	AuditSignIn               = declareKind("sign_in", "an SP was told who somebody is; or, no_passive, that nobody could be asked")
	AuditSignOut              = declareKind("sign_out", "a person ended their session")
	AuditSPAdd                = declareKind("sp.add", "an SP was registered")
	AuditSPEdit               = declareKind("sp.edit", "a registration was changed")
	AuditSPRemove             = declareKind("sp.remove", "a registration was removed")
	AuditStepUp               = declareKind("step_up", "a person who was signed in proved it anew")
	AuditUserAdd              = declareKind("user.add", "an account was made")
	AuditUserAddTOTP          = declareKind("user.add_totp", "an account got an authenticator")
	AuditUserDelete           = declareKind("user.delete", "an account was deleted")
	AuditUserExport           = declareKind("user.export", "a page of an export of users was handed out, with or without secrets")
	AuditUserForgetDevice     = declareKind("user.forget_device", "a person forgot a device that stood for their second factor")
	AuditUserImport           = declareKind("user.import", "an account came from elsewhere")
	AuditUserLock             = declareKind("user.lock", "an account was locked")
	AuditUserResetMFA         = declareKind("user.reset_mfa", "an account's second factors were taken away")
	AuditUserSetPassword      = declareKind("user.set_password", "an account's password was changed")
	AuditUserUnlock           = declareKind("user.unlock", "an account was unlocked")
	AuditUserVerify           = declareKind("user.verify", "a proofed identity was put on record or taken off")
)

// AuditMeaning is a kind of audit record and what it means.
type AuditMeaning struct {
	Kind AuditKind
	What string
}

// AuditKinds returns all kinds of audit record, in the order of their names.
func AuditKinds() []AuditMeaning { return slices.Clone(kinds) }

// kinds are those that were declared. Nothing changes them later.
var kinds []AuditMeaning

func declareKind(kind AuditKind, what string) AuditKind {
	kinds = append(kinds, AuditMeaning{kind, what})
	return kind
}

// RotationAuditKind is the kind of the record of a rotation step.
func RotationAuditKind(step string) AuditKind { return AuditKind("rotation." + step) }
