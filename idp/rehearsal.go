package idp

// The two parties of a rehearsal, in which an operator tests a year.
// They exist only in memory, while a rehearsal runs, and only for each other: the user cannot
// sign in and is disclosed only to this service provider, and the service provider receives no
// other user.
const (
	// RehearsalSP is the service provider. It cannot be registered.
	RehearsalSP EntityID = "urn:vernal:rehearsal"
	// RehearsalUser is the user. It has no record, and so no password, no email address
	// and nothing to list or change.
	RehearsalUser UserID = "rehearsal"
)
