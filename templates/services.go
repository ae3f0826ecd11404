package templates

import "time"

// ServicesPage lists the services that a user signed in to.
type ServicesPage struct {
	AccountBase
	Services []ServiceItem
	// Emails are the user's confirmed email addresses, the primary one first.
	Emails                      []string
	WithdrawAction, EmailAction string
}

// ServiceItem is a service that a user signed in to.
type ServiceItem struct {
	ID   string // its entity ID
	Name string // the entity ID of a service that is no longer registered
	Logo string // path of its logo, "" for none
	// URL is where the user can sign in to it, "" if unknown.
	URL string
	// Agency is the agency whose services share an identifier of the user, "" for none.
	Agency          string
	IsRemoved       bool // it is no longer registered
	FirstAt, LastAt time.Time
	// Shared are the labels of what the user agreed to share. HasConsent reports whether the user
	// agreed and did not withdraw it.
	Shared                 []Key
	HasConsent             bool
	ConsentAt, WithdrawnAt time.Time
	// OffersEmail reports whether the user can choose which email address the service gets. Email
	// is the chosen one, "" for the one of the last sign-in.
	OffersEmail bool
	Email       string
}
