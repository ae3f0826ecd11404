package templates

// SignInPage asks for e-mail address and password, which are one step.
type SignInPage struct {
	Base
	Action     string // where the form is posted
	Request    string // handle of the stored LoginRequest
	Email      string // what was typed before, to be corrected
	Problems   Problems
	Notice     Key // why the user is asked, "" for nothing special
	NoticeArgs []string
	// HelpText is what the service provider's operator has to say, by language:
	// text, or HTML of which a few elements are shown.
	HelpText map[string]string
}

// CodePage asks for the six digits of the authenticator application.
type CodePage struct {
	Base
	Action     string
	Request    string
	Email      string // whose code it is
	Remember   bool   // offer to remember this device
	Remembered bool   // it was asked for at the last try
	Problems   Problems
	Notice     Key
	NoticeArgs []string
	Time       CodeTime
}

// CodeTime is how long the code is waited for, from when the page is written.
// The page shows a warning towards the end, and then that it is over, by its own
// style, which needs a Base.Nonce; its script has them read aloud.
type CodeTime struct {
	// WarnIn and EndIn are in seconds. EndIn is 0 on a page without a limit.
	WarnIn, EndIn int
	// Minutes is how many are left at the warning, at least 1.
	Minutes int
	// Final means that more time cannot be had.
	Final    bool
	AgainURL string // where to begin again
}
