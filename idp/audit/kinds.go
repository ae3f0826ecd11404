package audit

import (
	"slices"
	"strings"
)

// Kind is a kind of record.
type Kind struct{ Name, What string }

// Kinds are all kinds of record that there are, in the order of their names. A
// test holds that nothing else is written.
func Kinds() []Kind {
	return []Kind{
		{"audit.prune", "records were exported and removed, up to seq"},
		{"authn", "a user proved who they are, with password and second factor"},
		{"authn.password", "a user gave the right password; the second factor was still to come"},
		{"failure", "we failed somebody; the log has the cause under the error id"},
		{"keys.renew", "all keys below the master key are made new"},
		{"keys.renewed", "all records were written again with the new keys"},
		{"link.create", "a secret address was made"},
		{"link.remove", "a secret address was forgotten"},
		{"link.revoke", "a secret address was taken back"},
		{"logout", "an SP ended a session through the browser"},
		{"master_key.begin", "another master key is to replace the one in force; to names it"},
		{"master_key.both", "every key is wrapped by both master keys"},
		{"master_key.cancel", "an operator went back to the master key from before; keep names it"},
		{"master_key.end", "no key is wrapped by the other master key any more"},
		{"master_key.finish", "an operator ended the master key from before; keep names the new one"},
		{"preview.admit", "a request to a year that is not published was let in; preview says by what"},
		{"preview.enter", "a preview link was opened in a browser"},
		{"preview.fetch", "metadata or certificate of a year that is not published was fetched through a preview link"},
		{"refusal", "a request, a password or a code was turned down; the outcome says why"},
		{"refusals", "more records than fit a budget: how many, by outcome, with the user or the service provider"},
		{"remote_logout", "an SP's server ended sessions"},
		{"rotation.adopt", "a year's key was found that was on no record"},
		{"rotation.confirm-clock", "an operator said that the time is right"},
		{"rotation.create", "a year's key was made"},
		{"rotation.csr", "a key that waits for its certificate was made"},
		{"rotation.destroy", "a retired year's key was destroyed"},
		{"rotation.export", "the proof of a year was handed out"},
		{"rotation.import", "a certificate from elsewhere was brought in"},
		{"rotation.notice", "an SP was written to"},
		{"rotation.prefer", "a year is preferred"},
		{"rotation.publish", "a year's addresses opened"},
		{"rotation.rehearse", "a rehearsal, or a step of one"},
		{"rotation.resume", "automatic steps go on"},
		{"rotation.retire", "a year's addresses closed"},
		{"rotation.revoke", "a year ended at once"},
		{"rotation.rollback", "the older year is preferred again"},
		{"session.end", "a person or an operator ended sessions"},
		{"sign_in", "an SP was told who somebody is; or, no_passive, that nobody could be asked"},
		{"sign_out", "a person ended their session"},
		{"sp.add", "an SP was registered"},
		{"sp.edit", "a registration was changed"},
		{"sp.remove", "a registration was removed"},
		{"step_up", "a person who was signed in proved it anew"},
		{"user.add", "an account was made"},
		{"user.add_totp", "an account got an authenticator"},
		{"user.delete", "an account was deleted"},
		{"user.export", "a page of an export of users was handed out, with or without secrets"},
		{"user.forget_device", "a person forgot a device that stood for their second factor"},
		{"user.import", "an account came from elsewhere"},
		{"user.lock", "an account was locked"},
		{"user.reset_mfa", "an account's second factors were taken away"},
		{"user.set_password", "an account's password was changed"},
		{"user.unlock", "an account was unlocked"},
		{"user.verify", "a proofed identity was put on record or taken off"},
	}
}

// KnownKind reports whether there are records of the kind, or whose kinds begin
// with it and a full stop.
func KnownKind(kind string) bool {
	return slices.ContainsFunc(Kinds(), func(k Kind) bool { return k.Name == kind || strings.HasPrefix(k.Name, kind+".") })
}
