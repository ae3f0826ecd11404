package idp

import (
	"errors"
	"fmt"
)

// Errors of look-ups and changes in a store.
var (
	// ErrNotFound is returned when the record asked for does not exist, or no
	// longer does.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned when a record with the same identity is there.
	ErrExists = errors.New("already exists")
	// ErrLocked is returned when another process holds the store.
	ErrLocked = errors.New("store is in use by another process")
	// ErrSchema is returned when another version of Vernal wrote the store.
	ErrSchema = errors.New("store has another schema")
	// ErrTampered is returned for a record that is not authentic: this installation
	// did not write it, or not in this place. It is never taken for one that is not
	// there.
	ErrTampered = errors.New("stored record is not authentic")
	// ErrBusy is returned when too many changes or requests wait. Nothing was
	// changed; trying again in a moment helps.
	ErrBusy = errors.New("too many requests are waiting; try again in a moment")
)

// TamperedError is returned with a list from which the records are missing that are
// not authentic. errors.Is finds ErrTampered in it.
type TamperedError struct {
	// Providers are the EntityIDs of the registrations, as they are in the store.
	Providers []EntityID
}

func (e *TamperedError) Error() string {
	return fmt.Sprintf("%d stored registrations are not authentic: %q", len(e.Providers), e.Providers)
}

// Unwrap is ErrTampered.
func (e *TamperedError) Unwrap() error { return ErrTampered }

// RemovedError is returned for a service provider that was registered and removed.
// errors.Is finds ErrNotFound in it.
type RemovedError struct {
	// Scope is where its NameIDs were.
	Scope NameIDScope
}

func (e *RemovedError) Error() string { return "service provider was removed" }

// Unwrap is ErrNotFound.
func (e *RemovedError) Unwrap() error { return ErrNotFound }

// ClashError is returned when NameIDs cannot be copied from one scope to
// another because the other one has given them, or their people, differently.
// errors.Is finds ErrExists in it.
type ClashError struct {
	// NameIDs is how many of them clash.
	NameIDs int
}

func (e *ClashError) Error() string { return fmt.Sprintf("%d NameIDs clash", e.NameIDs) }

// Unwrap is ErrExists.
func (e *ClashError) Unwrap() error { return ErrExists }

// TakenError is returned when a NameID that a person is to get belongs to
// somebody else, or the person would have two. errors.Is finds ErrExists in it.
type TakenError struct {
	// Scope is where.
	Scope NameIDScope
}

func (e *TakenError) Error() string { return fmt.Sprintf("NameID is taken in %s", e.Scope) }

// Unwrap is ErrExists.
func (e *TakenError) Unwrap() error { return ErrExists }

// Errors of a sign-in.
var (
	// ErrReplayed is returned when a message with the same ID from the same
	// service provider was taken before.
	ErrReplayed = errors.New("message ID was seen before")
	// ErrAnswered is returned when a LoginRequest already has its Response.
	ErrAnswered = errors.New("request was answered already")
	// ErrSessionEnded is returned when a session ended while it was in use.
	ErrSessionEnded = errors.New("session has ended")
	// ErrYearEnded is returned when the year whose key would sign was retired
	// or revoked before the answer was written.
	ErrYearEnded = errors.New("year has ended")
	// ErrProviderChanged is returned when the registration of a service
	// provider was changed or removed before the answer to it was written.
	ErrProviderChanged = errors.New("registration of the service provider has changed")
	// ErrSessionUser is returned when a session is not of the person named.
	ErrSessionUser = errors.New("session belongs to another person")
)
