package templates

import "time"

// Problems of the forms to recover an account.
const (
	ProblemNewPasswordMissing  Key = "recovery.problem.password_missing"
	ProblemNewPasswordShort    Key = "recovery.problem.password_too_short"
	ProblemNewPasswordLong     Key = "recovery.problem.password_too_long"
	ProblemNewPasswordCommon   Key = "recovery.problem.password_too_common"
	ProblemNewPasswordEmail    Key = "recovery.problem.password_contains_email"
	ProblemNewPasswordInvalid  Key = "recovery.problem.password_invalid"
	ProblemRecoveryCodeMissing Key = "recovery.problem.code_missing"
	ProblemRecoveryCodeFormat  Key = "recovery.problem.code_format"
	ProblemRecoveryCodeWrong   Key = "recovery.problem.code_wrong"
	ProblemConfirmMissing      Key = "recovery.problem.confirm_missing"
)

// recoveryFields are the fields that these problems concern.
var recoveryFields = map[Key]string{
	ProblemNewPasswordMissing: FieldPassword, ProblemNewPasswordShort: FieldPassword, ProblemNewPasswordLong: FieldPassword,
	ProblemNewPasswordCommon: FieldPassword, ProblemNewPasswordEmail: FieldPassword, ProblemNewPasswordInvalid: FieldPassword,
	ProblemRecoveryCodeMissing: FieldCode, ProblemRecoveryCodeFormat: FieldCode, ProblemRecoveryCodeWrong: FieldCode,
	ProblemConfirmMissing: FieldConfirm,
}

// NoticePasswordReset is shown where a user signs in with a new password.
const NoticePasswordReset Key = "recovery.notice.password_reset"

// NoticePausedProofing is shown where a user must enter a recovery code to use the proofed identity.
const NoticePausedProofing Key = "recovery.notice.paused"

// Texts of MessagePage and ConfirmPage.
const (
	LinkUnusableTitle  Key = "recovery.unusable.title"
	LinkUnusableText   Key = "recovery.unusable.text"
	LinkUnusableButton Key = "recovery.unusable.button"
	// CodeUsed: {0} is the number of codes that are left.
	CodeUsedTitle   Key = "recovery.used.title"
	CodeUsedText    Key = "recovery.used.text"
	CodeUsedNext    Key = "recovery.used.next"
	CodeUsedAccount Key = "recovery.used.account"
	KeepTitle       Key = "recovery.keep.title"
	KeepText        Key = "recovery.keep.text"
	KeepButton      Key = "recovery.keep.button"
	KeepUnusable    Key = "recovery.keep_unusable.text"
	KeptTitle       Key = "recovery.kept.title"
	KeptText        Key = "recovery.kept.text"
	ForgotTitle     Key = "recovery.forgot.title"
	BackToSignIn    Key = "recovery.sign_in"
)

// FieldConfirm is "yes" to confirm the deletion of an account.
const FieldConfirm = "confirm"

// IDs of the forms that carry the language switcher.
const (
	FormForgot = "forgot"
	FormReset  = "reset"
	FormLost   = "lost"
)

// ForgotPage asks for the email address to which a link to choose a new password is mailed.
type ForgotPage struct {
	Base
	Action           string
	Request, Service string
	Email            string
	Problems         Problems
	Notice           Key
	// CanMail is false on an installation without a mail server.
	CanMail   bool
	SignInURL string
}

// ForgotSentPage says that a mail was sent, whether or not the email address has an account. Its
// form sends another one.
type ForgotSentPage struct {
	Base
	Action           string
	Request, Service string
	Email            string
	Problems         Problems
	Notice           Key
	Minutes          int    // how long the link works
	OtherURL         string // to use another email address
}

// ResetPage asks for a new password.
type ResetPage struct {
	Base
	Action   string
	Token    string // of the mailed link
	Email    string
	Problems Problems
	Notice   Key
}

// LostPage says what users can do who have no second factor at hand.
type LostPage struct {
	Base
	Action           string
	Request, Service string
	Problems         Problems
	Notice           Key
	CodeURL          string // where the user enters a recovery code
	RestartURL       string // the code page
	// CanDelete reports whether the deletion of the account is offered. DeletionAt is when it will
	// be deleted; zero for never.
	CanDelete  bool
	Hours      int // the wait for the deletion
	DeletionAt time.Time
}

// MessagePage says one thing and leads on.
type MessagePage struct {
	Base
	IsError     bool
	Title, Text Key
	Args        []string // fill the placeholders of all texts
	// Button leads to ButtonURL, and Link to LinkURL; both optional.
	Button, Link       Key
	ButtonURL, LinkURL string
}
