package templates

// SignInPage asks for email address and password, which are one step.
type SignInPage struct {
	Base
	Action     string // where the form is posted
	Request    string // handle of the stored LoginRequest
	Service    string // as FieldService
	Email      string // the previous input, to correct
	Problems   Problems
	Notice     Key // why the user is asked, "" for nothing special
	NoticeArgs []string
	// ForgotURL is where the user gets a link to choose a new password, "" for no link.
	ForgotURL string
	// HelpText is the text of the service provider's operator, by language: text, or HTML
	// of which a few elements are shown.
	HelpText map[string]string
	// SignUpURL is where new users create an account, "" for none.
	SignUpURL string
}

// CodePage asks for the six digits of the authenticator application, or for a recovery code.
type CodePage struct {
	Base
	Action         string
	Request        string
	Service        string // as FieldService
	Email          string // email address of the code's user
	OffersRemember bool   // offer to remember this device
	IsRemembered   bool   // it was selected in the previous attempt
	Problems       Problems
	Notice         Key
	NoticeArgs     []string
	Time           CodeTime
	// IsRecoveryCode asks for a recovery code instead, and CodeURL is the way back.
	IsRecoveryCode bool
	CodeURL        string
	// RecoveryURL is where the user enters a recovery code, and LostURL what to do without one; "" for
	// no link.
	RecoveryURL, LostURL string
}

// CodeTime is how long a code is accepted, from when the page is written. The page shows a
// warning near the end, and then that the time is over, with its own style, which needs a
// Base.Nonce. Its script makes screen readers announce them.
type CodeTime struct {
	// WarnIn and EndIn are in seconds. EndIn is 0 on a page without a limit.
	WarnIn, EndIn int
	// Minutes is how many are left at the warning, at least 1.
	Minutes int
	// IsFinal reports whether the time cannot be extended.
	IsFinal    bool
	RestartURL string // where to start again
}
