package templates

import (
	"strconv"
	"time"

	"vernal/idp/rotation"
)

// Key names a text in the catalogues.
type Key string

// Problems: the reasons why the previous attempt failed, shown at the form.
const (
	ProblemEmailMissing    Key = "problem.email_missing"
	ProblemEmailInvalid    Key = "problem.email_invalid"
	ProblemPasswordMissing Key = "problem.password_missing"
	ProblemSignInWrong     Key = "problem.signin_wrong" // never says which of the two
	ProblemCodeMissing     Key = "problem.code_missing"
	ProblemCodeFormat      Key = "problem.code_format"
	ProblemCodeWrong       Key = "problem.code_wrong"
	ProblemThrottledMinute Key = "problem.throttled_minute"
	ProblemThrottled       Key = "problem.throttled" // {0} minutes
	ProblemBusy            Key = "problem.busy"
)

// Problems of the forms to register and to set up a factor.
const (
	ProblemPasswordShort  Key = "signup.problem.short"
	ProblemPasswordLong   Key = "signup.problem.long"
	ProblemPasswordCommon Key = "signup.problem.common"
	ProblemPasswordEmail  Key = "signup.problem.contains_email"
	ProblemPasswordChars  Key = "signup.problem.characters"
	ProblemRulesMissing   Key = "signup.problem.rules"
	ProblemPrivacyMissing Key = "signup.problem.privacy"
	ProblemNameInvalid    Key = "setup.problem.name"
	ProblemSetUpCode      Key = "setup.problem.code"
)

// NoticeAccountExists is shown where a user signs in, after a link to register was opened whose email
// address has an account.
const NoticeAccountExists Key = "signup.exists"

// Notices: why a page asks the user, or the result of the last action.
const (
	NoticeForceAuthn Key = "notice.force_authn" // {0} the service provider's name
	NoticeTimedOut   Key = "notice.timed_out"
	NoticeStepUp     Key = "notice.step_up" // {0} the service provider's name
	// Results of actions on the account page.
	NoticeSessionEnded     Key = "notice.session_ended"
	NoticeSessionsEnded    Key = "notice.sessions_ended"
	NoticeDeviceForgotten  Key = "notice.device_forgotten"
	NoticeDevicesForgotten Key = "notice.devices_forgotten"
	NoticeConsentWithdrawn Key = "services.withdrawn"
	NoticeServiceEmail     Key = "services.email_chosen"
	NoticeLang             Key = "account.lang_chosen"
	// NoticeMoreTime is shown where a code is requested.
	NoticeMoreTime Key = "notice.more_time"
	// NoticeDemoSignedOut is shown by a sample of the demonstration; {0} is its name.
	NoticeDemoSignedOut Key = "demo.signed_out"
)

// What the user should know or do about the account, for Attention.Text and Attention.Link.
const (
	AttentionDeletion  Key = "account.attention.deletion" // the time follows
	AttentionKeep      Key = "account.attention.keep"
	AttentionReset     Key = "account.attention.reset" // the time follows
	AttentionResetLink Key = "account.attention.reset_link"
	AttentionNoCodes   Key = "account.attention.no_codes"
	AttentionFewCodes  Key = "account.attention.few_codes" // {0} codes
	AttentionCodesLink Key = "account.attention.codes_link"
)

// Reasons for the end of a session, for SessionEndedPage.Reason.
const (
	EndedIdle      Key = "ended.idle"
	EndedAbsolute  Key = "ended.absolute"
	EndedElsewhere Key = "ended.elsewhere"
)

// Texts of ConfirmPage.
const (
	ConfirmSignOutTitle  Key = "confirm.sign_out.title"
	ConfirmSignOutText   Key = "confirm.sign_out.text"
	ConfirmSignOutButton Key = "confirm.sign_out.button"
)

// Things that change with the year, for Change.Text.
const (
	ChangeMetadata     Key = "retired.metadata"
	ChangeAuth         Key = "retired.auth"
	ChangeLogout       Key = "retired.logout"
	ChangeRemoteLogout Key = "retired.remote_logout"
	ChangeCertificate  Key = "retired.certificate"
)

// Links at the foot of pages, and of errors; {0} is the organization, or the email
// address of SupportWrite.
const (
	LinkHelp            Key = "guides.help"
	LinkDevelopers      Key = "guides.integrators"
	LinkPrivacy         Key = "brand.privacy"
	LinkAccessibility   Key = "brand.accessibility"
	LinkTerms           Key = "brand.terms"
	SupportContact      Key = "support.contact"
	SupportWrite        Key = "support.write"
	SupportOrganization Key = "support.organization"
	SupportUnnamed      Key = "support.organization_unnamed"
	SupportLine         Key = "support.line" // {0} lists the ways, in plain text
	SupportNone         Key = "support.none"
)

// YearKey returns the key for a state of a year.
func YearKey(s rotation.State) Key { return Key("year." + s) }

// Coming events of a year in addition to steps (see StepKey); {0} is the year.
const (
	ComesExpiring  Key = "comes.expiring"
	ComesPublished Key = "comes.published"
)

// StepKey returns the key for a coming step of a year or, without one, for the end of its
// certificate; {0} is the year.
func StepKey(step rotation.StepKind) Key { return "comes." + stepName(step) }

func stepName(step rotation.StepKind) Key {
	if step == "" {
		return "certificate_end"
	}
	return Key(step)
}

// The progress of a service provider, in addition to a migration.Move.
const (
	MoveAll Key = "move.all"
	// MoveInactive replaces the others for an inactive service provider, which delays
	// nothing.
	MoveInactive Key = "move.inactive"
)

// MoveKey returns the key for a migration.Move.
func MoveKey[M ~string](move M) Key { return Key("move." + move) }

// NeedKey returns the key for a kind of attention on the wallboard, which has no space for
// reasons; {0} is the year.
func NeedKey(code rotation.AttentionCode) Key { return Key("needs." + code) }

// Field returns the form field that a problem concerns; "" if it concerns the whole form.
func (k Key) Field() string {
	if field := recoveryFields[k]; field != "" {
		return field
	}
	switch k {
	case ProblemEmailMissing, ProblemEmailInvalid:
		return FieldEmail
	case ProblemPasswordMissing, ProblemPasswordShort, ProblemPasswordLong, ProblemPasswordCommon, ProblemPasswordEmail, ProblemPasswordChars:
		return FieldPassword
	case ProblemCodeMissing, ProblemCodeFormat, ProblemCodeWrong, ProblemSetUpCode:
		return FieldCode
	case ProblemRulesMissing:
		return FieldRules
	case ProblemPrivacyMissing:
		return FieldPrivacy
	case ProblemNameInvalid:
		return FieldName
	}
	return ownFields[k]
}

// IsCredentials reports whether a problem concerns email address and password together, without
// naming the wrong one.
func (k Key) IsCredentials() bool { return k == ProblemSignInWrong }

// Throttled returns the problem of a user who must wait for d.
func Throttled(d time.Duration) Problems {
	minutes := int((d + time.Minute - 1) / time.Minute)
	if minutes <= 1 {
		return NewProblems(ProblemThrottledMinute)
	}
	return Problems{{ProblemThrottled, []string{strconv.Itoa(minutes)}}}
}

// Texts about how a user signs in: results of forms, problems of forms, and the titles, texts and
// buttons of ConfirmPage and OutcomePage.
const (
	NoticePasswordChanged  Key = "password.notice_changed"
	NoticeFactorAdded      Key = "factors.notice_added"
	NoticeFactorRenamed    Key = "factors.notice_renamed"
	NoticeFactorRemoved    Key = "factors.notice_removed"
	NoticeResetCanceled    Key = "factors.notice_reset_canceled"
	NoticeEmailSent        Key = "emails.notice_sent"
	NoticeEmailRemoved     Key = "emails.notice_removed"
	NoticePrimaryEmail     Key = "emails.notice_primary"
	NoticeDeletionPlanned  Key = "delete.notice_planned"
	NoticeDeletionCanceled Key = "delete.notice_kept"

	ProblemRecoveryMissing    Key = "factors.problem_recovery_missing"
	ProblemRecoveryWrong      Key = "factors.problem_recovery_wrong"
	ProblemFactorName         Key = "factors.problem_name"
	ProblemFactorExpired      Key = "factors.problem_expired"
	ProblemCurrentPassword    Key = "password.problem_wrong"
	ProblemOwnPasswordMissing Key = "password.problem_missing"
	ProblemOwnPasswordShort   Key = "password.problem_short"
	ProblemOwnPasswordLong    Key = "password.problem_long"
	ProblemOwnPasswordEmail   Key = "password.problem_email"
	ProblemOwnPasswordCommon  Key = "password.problem_common"
	ProblemOwnPasswordSame    Key = "password.problem_same"
	ProblemOwnPasswordInvalid Key = "password.problem_invalid"
	ProblemEmailOwn           Key = "emails.problem_own"
	ProblemEmailFull          Key = "emails.problem_full"
	ProblemEmailNeeded        Key = "emails.problem_needed"
	ProblemEmailUnconfirmed   Key = "emails.problem_unconfirmed"
	ProblemDeleteEmail        Key = "delete.problem_email"

	ToServiceTitle Key = "to_service.title"
	ToServiceText  Key = "to_service.text" // {0} the service provider's name
	ToServiceLink  Key = "to_service.link" // {0} the service provider's name

	FactorAdd            Key = "factors.add"
	FactorRemoveTitle    Key = "factors.remove_title"
	FactorRemoveText     Key = "factors.remove_text" // {0} its name, "" for none
	FactorRemoveButton   Key = "factors.remove_button"
	FactorLastTitle      Key = "factors.last_title"
	FactorLastText       Key = "factors.last_text"
	EmailRemoveTitle     Key = "emails.remove_title"
	EmailRemoveText      Key = "emails.remove_text"      // {0} the email address
	EmailRemoveDisclosed Key = "emails.remove_disclosed" // {0} the email address
	EmailRemoveButton    Key = "emails.remove_button"
	EmailConfirmTitle    Key = "emails.confirm_title"
	EmailConfirmText     Key = "emails.confirm_text" // {0} the email address
	EmailConfirmButton   Key = "emails.confirm_button"
	EmailConfirmedTitle  Key = "emails.confirmed_title"
	EmailConfirmedText   Key = "emails.confirmed_text" // {0} the email address
	EmailTakenTitle      Key = "emails.taken_title"
	EmailTakenText       Key = "emails.taken_text" // {0} the email address
	EmailStaleTitle      Key = "emails.stale_title"
	EmailStaleText       Key = "emails.stale_text"
	EmailToEmails        Key = "emails.to_emails"
	EmailUndoTitle       Key = "emails.undo_title"
	EmailUndoText        Key = "emails.undo_text" // {0} the email address
	EmailUndoButton      Key = "emails.undo_button"
	EmailUndoneTitle     Key = "emails.undone_title"
	EmailUndoneText      Key = "emails.undone_text" // {0} the email address
	EmailUndoneReset     Key = "emails.undone_reset"
	EmailUndoneSignIn    Key = "emails.undone_sign_in"
)

// ownFields are the fields of the problems above. A problem that is not in it concerns the whole
// form.
var ownFields = map[Key]string{
	ProblemRecoveryMissing: FieldCode, ProblemRecoveryWrong: FieldCode, ProblemFactorName: FieldName,
	ProblemCurrentPassword: FieldPassword, ProblemOwnPasswordMissing: FieldNewPassword, ProblemOwnPasswordShort: FieldNewPassword,
	ProblemOwnPasswordLong: FieldNewPassword, ProblemOwnPasswordEmail: FieldNewPassword, ProblemOwnPasswordCommon: FieldNewPassword,
	ProblemOwnPasswordSame: FieldNewPassword, ProblemOwnPasswordInvalid: FieldNewPassword,
	ProblemEmailOwn: FieldEmail, ProblemDeleteEmail: FieldEmail,
}
