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

// AccountPage is the home page of a signed-in user.
type AccountPage struct {
	Base
	Email      string
	Visits     []Visit
	Action     string // where the sign-out form is posted
	Notice     Key    // the result of the last action; "" for none
	NoticeArgs []string
	// Idle is how many minutes the session lasts without use, EndAt is its absolute end.
	Idle  int
	EndAt time.Time
	// Sessions are the user's own sessions, the current one first. More is how many are
	// not listed.
	Sessions                   []OwnSession
	UnlistedCount                       int
	EndAction, EndOthersAction string
	// Devices are the user's remembered browsers, the newest first.
	Devices                       []OwnDevice
	ForgetAction, ForgetAllAction string
}

// OwnDevice is a browser that replaces a user's second factor.
type OwnDevice struct {
	ID              string // identifies it in the form
	Browser, System string // "" if not known
	IsCurrent         bool   // the browser that requested the page
	// At is when it was remembered, UntilAt when that ends, UsedAt when it last replaced a
	// code; zero if never.
	At, UntilAt, UsedAt time.Time
}

// OwnSession is one of a user's own sessions.
type OwnSession struct {
	ID string // identifies it in the form
	// Browser, System and Network describe the browser; "" if not known.
	Browser, System, Network string
	IsCurrent                  bool // the session that requested the page
	IsPending                  bool // the second factor is still missing
	BegunAt, SeenAt          time.Time
	Services                 []string // names of the services visited
}

// StayPage says how long a session lasts and, once Due, that it is about to end.
type StayPage struct {
	Base
	IsDue bool
	// IsFinal reports whether the session ends at EndAt even if it is used.
	IsFinal   bool
	EndAt   time.Time
	Minutes int    // minutes left, at least 1
	Action  string // where the form to stay is posted
	// AccountURL leads back. SignInURL leads to a new sign-in.
	AccountURL, SignInURL string
}

// SessionEndedPage says that a session ended without an action of the user.
type SessionEndedPage struct {
	Base
	Reason       Key // EndedIdle, EndedAbsolute or EndedElsewhere
	SignInURL string
}

// SignedOutPage says that the session is over.
type SignedOutPage struct {
	Base
	SignInURL string // link to sign in again, "" for none
}
