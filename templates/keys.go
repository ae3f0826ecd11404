package templates

import (
	"strconv"
	"time"

	"vernal/idp/rotation"
)

// Key names a text in the catalogues.
type Key string

// Problems: why the last try failed, shown at the form.
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

// Notices: why the person is asked.
const (
	NoticeForceAuthn Key = "notice.force_authn" // {0} the service provider's name
	NoticeTimedOut   Key = "notice.timed_out"
	NoticeStepUp     Key = "notice.step_up" // {0} the service provider's name
	// What was done on the account page.
	NoticeSessionEnded     Key = "notice.session_ended"
	NoticeSessionsEnded    Key = "notice.sessions_ended"
	NoticeDeviceForgotten  Key = "notice.device_forgotten"
	NoticeDevicesForgotten Key = "notice.devices_forgotten"
	// NoticeMoreTime is said where a code is asked for.
	NoticeMoreTime Key = "notice.more_time"
	// NoticeDemoSignedOut is said by a sample of the demonstration; {0} is its
	// name.
	NoticeDemoSignedOut Key = "demo.signed_out"
)

// Why a session is over; for SessionEndedPage.Why.
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

// What changes with the year; for Change.What.
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

// YearKey is the text of a state of a year.
func YearKey(s rotation.State) Key { return Key("year." + s) }

// What comes for a year besides steps (see StepKey); {0} is the year.
const (
	ComesExpiring  Key = "comes.expiring"
	ComesPublished Key = "comes.published"
)

// StepKey is what comes for a year with a step or, without one, the end of its
// certificate; {0} is the year.
func StepKey(step rotation.StepKind) Key { return "comes." + stepName(step) }

func stepName(step rotation.StepKind) Key {
	if step == "" {
		return "certificate_end"
	}
	return Key(step)
}

// How far a service provider has come, besides a migration.Move.
const (
	MoveAll Key = "move.all"
	// MoveInactive is instead of the others: no one waits for it.
	MoveInactive Key = "move.inactive"
)

// MoveKey is the text of a migration.Move.
func MoveKey[M ~string](move M) Key { return Key("move." + move) }

// NeedKey names a kind of attention on the wallboard, which has no room for reasons; {0}
// is the year.
func NeedKey(code rotation.AttentionCode) Key { return Key("needs." + code) }

// Field names the form field that a problem is about; "" if it is about the
// form as a whole.
func (k Key) Field() string {
	switch k {
	case ProblemEmailMissing, ProblemEmailInvalid:
		return FieldEmail
	case ProblemPasswordMissing:
		return FieldPassword
	case ProblemCodeMissing, ProblemCodeFormat, ProblemCodeWrong:
		return FieldCode
	}
	return ""
}

// Credentials reports whether a problem is about e-mail address and password
// together, neither of which is named as the wrong one.
func (k Key) Credentials() bool { return k == ProblemSignInWrong }

// Throttled is the problem of someone who has to wait for d.
func Throttled(d time.Duration) Problems {
	minutes := int((d + time.Minute - 1) / time.Minute)
	if minutes <= 1 {
		return NewProblems(ProblemThrottledMinute)
	}
	return Problems{{ProblemThrottled, []string{strconv.Itoa(minutes)}}}
}
