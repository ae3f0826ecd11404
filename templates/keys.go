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
	// NoticeMoreTime is shown where a code is requested.
	NoticeMoreTime Key = "notice.more_time"
	// NoticeDemoSignedOut is shown by a sample of the demonstration; {0} is its name.
	NoticeDemoSignedOut Key = "demo.signed_out"
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
	return ""
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
