package templates

import "time"

// ConfirmFactorPage asks a signed-in user for a second factor again.
type ConfirmFactorPage struct {
	Base
	Action string
	Next   string // the page that asked for it, sent as FieldNext
	Email  string
	// UsesRecoveryCode asks for a recovery code, otherwise for a code of an authenticator.
	UsesRecoveryCode bool
	OtherURL         string // the page that asks for the other kind of code; "" for none
	Problems         Problems
	Notice           Key // always ""
	CancelURL        string
}

// EmailsPage lists a user's email addresses, the primary one first.
type EmailsPage struct {
	AccountBase
	Emails []OwnEmail
	// CanSend reports whether links can be mailed. IsFull reports whether the user has Max
	// email addresses.
	CanSend, IsFull bool
	Max             int
	Typed           string // the previous input, to correct
	Problems        Problems
	Action          string
	RemoveAction    string
	PrimaryAction   string
}

// OwnEmail is one of a user's email addresses.
type OwnEmail struct {
	Address                string
	IsPrimary, IsConfirmed bool
	// CanRemove reports whether it is neither the primary one nor the last confirmed one.
	CanRemove                 bool
	ConfirmedAt, LastSignInAt time.Time
}

// PasswordPage changes a user's password.
type PasswordPage struct {
	AccountBase
	Action    string
	ForgotURL string // for a user who does not know the current password; "" for none
	Problems  Problems
}

// FactorsPage lists a user's second factors.
type FactorsPage struct {
	AccountBase
	Factors []OwnFactor
	IsFull  bool // the user has Max authenticators
	Max     int
	AddURL  string
	// RenameAction and RemoveAction are where the forms of a factor are posted.
	RenameAction, RemoveAction string
	// OffersCodes is false if the operator offers no recovery codes.
	OffersCodes bool
	CodesLeft   int
	CodesURL    string // where to get new ones; "" for nowhere
	// ResetAt is when an operator's reset of the factors is due; zero for never.
	ResetAt      time.Time
	CancelAction string
	Problems     Problems
}

// OwnFactor is one of a user's authenticators.
type OwnFactor struct {
	ID      string // identifies it in the forms
	Name    string // "" without one
	AddedAt time.Time
	IsOnly  bool // the only second factor, which cannot be removed
	// Typed is the value of the form with its name, and Problem what is wrong with it; "" for
	// nothing.
	Typed   string
	Problem Key
}

// FieldID returns the ID of the field with the name. The summary of problems links to one without a
// number.
func (f OwnFactor) FieldID() string {
	if f.Problem != "" {
		return FieldName
	}
	return FieldName + "-" + f.ID
}

// AddFactorPage sets up another authenticator.
type AddFactorPage struct {
	AccountBase
	Action   string
	Sealed   string // the secret, sealed, sent as FieldSealed
	URL      string // its otpauth URL
	Groups   []string
	Name     string // the previous input
	Problems Problems
}

// DeletePage plans the deletion of the account, or shows that it is planned.
type DeletePage struct {
	AccountBase
	Days        int  // the waiting period
	HasIdentity bool // the user's identity is verified
	// DeletionAt is when the account will be deleted; zero if that is not planned.
	DeletionAt   time.Time
	Action       string
	CancelAction string
	Typed        string
	Problems     Problems
}

// OutcomePage shows the result of a mailed link, or why something cannot be done, with the next
// step.
type OutcomePage struct {
	Base
	Title, Text Key
	Args        []string
	Link        Key
	URL         string
	HasSupport  bool // offers the support contact too
}
