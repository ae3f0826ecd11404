package templates

import (
	"time"
)

// Visit is one sign-in at a service provider within a session.
type Visit struct {
	SPName string
	At     time.Time
}

// AccountPage is the home of a person who is signed in.
type AccountPage struct {
	Base
	Email      string
	Visits     []Visit
	Action     string // where the sign-out form is posted
	Notice     Key    // what was done, "" for nothing
	NoticeArgs []string
	// Idle is how many minutes the session lasts without use, EndAt when it
	// ends anyway.
	Idle  int
	EndAt time.Time
	// Sessions are the person's own, this one first; More is how many are not
	// listed.
	Sessions                   []OwnSession
	More                       int
	EndAction, EndOthersAction string
	// Devices are those that the person is remembered in, the newest first.
	Devices                       []OwnDevice
	ForgetAction, ForgetAllAction string
}

// OwnDevice is a browser that stands for a person's second factor.
type OwnDevice struct {
	ID              string // names it in the form
	Browser, System string // "" if not known
	Current         bool   // the one that looks at the page
	// At is when it was remembered, UntilAt when that ends, UsedAt when it stood
	// for a code last; zero if never.
	At, UntilAt, UsedAt time.Time
}

// OwnSession is one of a person's own sessions.
type OwnSession struct {
	ID string // names it in the form
	// Browser, System and Network tell where it is; "" if not known.
	Browser, System, Network string
	Current                  bool // the one that looks at the page
	Pending                  bool // the second factor was not given yet
	BegunAt, SeenAt          time.Time
	Services                 []string // names of the services visited
}

// StayPage says how long a session lasts and, once Due, that it is about to end.
type StayPage struct {
	Base
	Due bool
	// Final means that the session ends at EndAt even if it is used.
	Final   bool
	EndAt   time.Time
	Minutes int    // that are left, at least 1
	Action  string // where the form to stay is posted
	// AccountURL leads back, SignInURL begins another session.
	AccountURL, SignInURL string
}

// SessionEndedPage says that a session is over without the person's doing.
type SessionEndedPage struct {
	Base
	Why       Key // EndedIdle, EndedAbsolute or EndedElsewhere
	SignInURL string
}

// SignedOutPage says that the session is over.
type SignedOutPage struct {
	Base
	SignInURL string // link to sign in again, "" for none
}
