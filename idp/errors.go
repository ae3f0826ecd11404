package idp

import (
	"errors"
	"fmt"
)

// Errors of look-ups and changes in a store.
var (
	// ErrNotFound is returned when the requested record does not exist, or no longer
	// exists.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned when a record with the same identity already exists.
	ErrExists = errors.New("already exists")
	// ErrLocked is returned when another process holds the store.
	ErrLocked = errors.New("store is in use by another process")
	// ErrSchema is returned when another version of Vernal wrote the store.
	ErrSchema = errors.New("store has another schema")
	// ErrTampered is returned for a record that is not authentic: this installation did
	// not write it, or did not write it in this place. Such a record is never treated as
	// missing.
	ErrTampered = errors.New("stored record is not authentic")
	// ErrBusy is returned when too many changes or requests are waiting. Nothing was
	// changed, and a retry after a moment can succeed.
	ErrBusy = errors.New("too many requests are waiting; try again in a moment")
	// ErrNotWritten is returned when a change cannot be written to the disk: it is full,
	// read-only or failing. A retry can succeed once an operator has fixed that.
	ErrNotWritten = errors.New("the store cannot be written; check that its disk has space and is not read-only")
	// ErrKeyUnavailable is returned when a signing key cannot be used because its token does not
	// answer. A retry can succeed once it does.
	ErrKeyUnavailable = errors.New("the token with the signing key does not answer; check that it is running and reachable")
	// ErrDamaged is returned when the store's file is damaged. Only a backup helps.
	ErrDamaged = errors.New("the store's file is damaged; restore it from a backup")
)

// TamperedError is returned with a list that leaves out records that are not authentic.
// errors.Is finds ErrTampered in it.
type TamperedError struct {
	// Providers are the entity IDs of the omitted registrations, as stored.
	Providers []EntityID
}

func (e *TamperedError) Error() string {
	return fmt.Sprintf("%d stored registrations are not authentic: %q", len(e.Providers), e.Providers)
}

// Unwrap returns ErrTampered.
func (e *TamperedError) Unwrap() error { return ErrTampered }

// RemovedError is returned for a service provider that was registered and later removed.
// errors.Is finds ErrNotFound in it.
type RemovedError struct {
	// Scope is the scope that held its NameIDs.
	Scope NameIDScope
}

func (e *RemovedError) Error() string { return "service provider was removed" }

// Unwrap returns ErrNotFound.
func (e *RemovedError) Unwrap() error { return ErrNotFound }

// ClashError is returned when NameIDs cannot be copied between scopes because the target scope
// assigns the same NameIDs to other users, or other NameIDs to the same users. errors.Is finds
// ErrExists in it.
type ClashError struct {
	// NameIDs is the number of NameIDs that clash.
	NameIDs int
}

func (e *ClashError) Error() string { return fmt.Sprintf("%d NameIDs clash", e.NameIDs) }

// Unwrap returns ErrExists.
func (e *ClashError) Unwrap() error { return ErrExists }

// TakenError is returned when a NameID meant for a user belongs to another user, or the user
// would have two NameIDs. errors.Is finds ErrExists in it.
type TakenError struct {
	// Scope is the scope of the NameID.
	Scope NameIDScope
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("NameID belongs to another user in scope %s", e.Scope)
}

// Unwrap returns ErrExists.
func (e *TakenError) Unwrap() error { return ErrExists }

// Errors of a sign-in.
var (
	// ErrReplayed is returned when a message with the same ID from the same service
	// provider was accepted before.
	ErrReplayed = errors.New("message ID was seen before")
	// ErrAnswered is returned when a LoginRequest already has a Response.
	ErrAnswered = errors.New("request was answered already")
	// ErrSessionEnded is returned when a session ended while it was in use.
	ErrSessionEnded = errors.New("session has ended")
	// ErrYearEnded is returned when the year whose key would sign was retired or revoked
	// before the answer was written.
	ErrYearEnded = errors.New("year has ended")
	// ErrProviderChanged is returned when the registration of a service provider was
	// changed or removed before the answer to it was written.
	ErrProviderChanged = errors.New("registration of the service provider has changed")
	// ErrSessionUser is returned when a session does not belong to the named user.
	ErrSessionUser = errors.New("session belongs to another user")
)
