package templates

import (
	"time"
)

// Visit is one sign-in at a service provider within a session.
type Visit struct {
	SPName string
	SPLogo string // path of the provider's logo, "" for none
	At     time.Time
}

// AccountBase is the frame of the pages of an account.
type AccountBase struct {
	Base
	Email string // the primary email address
	// Parts are the pages of the account, the overview first.
	Parts      []AccountPart
	Notice     Key // the result of the last action; "" for none
	NoticeArgs []string
}

// AccountPart is a page of the account.
type AccountPart struct {
	Name, URL string
	IsCurrent bool // the page itself
}

// Title is the text of a link to the page.
func (p AccountPart) Title() Key { return Key("account.part." + p.Name) }

// Text describes the page.
func (p AccountPart) Text() Key { return Key("account.part." + p.Name + ".text") }

// Attention is something that the user should know or do.
type Attention struct {
	Text Key // {0} is Count
	// Count is the number in the text, and At the time after it; zero for none.
	Count int
	At    time.Time
	// Link is the text of a link to URL, or of the button of a form that is posted to Action.
	Link        Key
	URL, Action string
}

// AccountPage is the home page of a signed-in user.
type AccountPage struct {
	AccountBase
	Attention []Attention
	Visits    []Visit
	Action    string // where the sign-out form is posted
	// Idle is how many minutes the session lasts without use, EndAt is its absolute end.
	Idle  int
	EndAt time.Time
	// MailLang is the language of mails to the user, and LangAction where another one is posted.
	// MailLangs are those to choose from; none if there is only one.
	MailLang   Lang
	MailLangs  []Lang
	LangAction string
}

// FieldMailLang is the chosen language of mails.
const FieldMailLang = "mail_language"

// SessionsPage lists where a user is signed in, and the browsers that are remembered.
type SessionsPage struct {
	AccountBase
	// Sessions are the user's own sessions, the current one first. UnlistedCount is the
	// number of the others that are not listed.
	Sessions                   []OwnSession
	UnlistedCount              int
	EndAction, EndOthersAction string
	// Devices are the user's remembered browsers, the newest first.
	Devices                       []OwnDevice
	ForgetAction, ForgetAllAction string
}

// OwnDevice is a browser that replaces a user's second factor.
type OwnDevice struct {
	ID              string // identifies it in the form
	Browser, System string // "" if not known
	IsCurrent       bool   // the browser that requested the page
	// At is when it was remembered, UntilAt when it is forgotten, UsedAt when it last replaced a
	// code; zero if never.
	At, UntilAt, UsedAt time.Time
}

// OwnSession is one of a user's own sessions.
type OwnSession struct {
	ID string // identifies it in the form
	// Browser, System and Network describe the browser; "" if not known.
	Browser, System, Network string
	IsCurrent                bool // the session that requested the page
	IsPending                bool // the second factor is still missing
	BegunAt, SeenAt          time.Time
	Services                 []string // names of the services visited
}

// StayPage says how long a session lasts and, if IsDue, that it is about to end.
type StayPage struct {
	Base
	IsDue bool
	// IsFinal reports whether the session ends at EndAt even if it is used.
	IsFinal bool
	EndAt   time.Time
	Minutes int    // minutes left, at least 1
	Action  string // where the form to stay is posted
	// AccountURL leads back. SignInURL leads to a new sign-in.
	AccountURL, SignInURL string
}

// SessionEndedPage says that a session ended without an action of the user.
type SessionEndedPage struct {
	Base
	Reason    Key // EndedIdle, EndedAbsolute or EndedElsewhere
	SignInURL string
}

// SignedOutPage says that the session is over.
type SignedOutPage struct {
	Base
	SignInURL string // link to sign in again, "" for none
}
