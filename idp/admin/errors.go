package admin

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/sp"
)

// Code names the kind of an Error.
type Code string

// The kinds of error.
const (
	CodeBadRequest Code = "bad_request" // the command was not understood
	CodeForbidden  Code = "forbidden"   // the caller may not give commands
	CodeNotFound   Code = "not_found"   // the named object does not exist
	CodeExists     Code = "exists"      // the object to make already exists
	CodeInvalid    Code = "invalid"     // a value is wrong; see Problems
	CodeRefused    Code = "refused"     // not allowed in this state, or not without an option
	CodeBusy       Code = "busy"        // too many changes are waiting
	CodeInternal   Code = "internal"    // a fault on our side
	// CodeStoreDisk means that the disk rejected the change; see idp.ErrNotWritten.
	CodeStoreDisk Code = "store_disk"
	// CodeStoreDamaged means that the store's file is damaged; see idp.ErrDamaged.
	CodeStoreDamaged Code = "store_damaged"
)

// Error is the failure of a command. It is sent as JSON, and the command receives it as this type.
type Error struct {
	Code Code `json:"code"`
	// Message describes the failure and its cause, for the operator.
	Message string `json:"message"`
	// Problems lists all problems of the given values.
	Problems []sp.Problem `json:"problems,omitempty"`
	// Permissions are the options of which any one allows the command.
	Permissions []sp.Permission `json:"permissions,omitempty"`
	// Suggestions are the ways to fix it.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
	// Users are the service providers whose use of a year prevents the step.
	Users []idp.EntityID `json:"users,omitempty"`
	// Reason is the reason for which a rotation step is refused.
	Reason *rotation.Reason `json:"reason,omitempty"`
}

func (e *Error) Error() string {
	if len(e.Problems) == 0 {
		return e.Message
	}
	lines := []string{e.Message}
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// ListSuggestions returns the ways to fix it, for idp.FindSuggestions.
func (e *Error) ListSuggestions() []idp.Suggestion { return e.Suggestions }

// kinds maps codes to HTTP statuses and errors of the domain. Other errors are internal.
var kinds = []struct {
	code     Code
	status   int
	sentinel error // nil if the domain has none
}{
	{CodeBadRequest, http.StatusBadRequest, nil},
	{CodeForbidden, http.StatusForbidden, nil},
	{CodeNotFound, http.StatusNotFound, idp.ErrNotFound},
	{CodeExists, http.StatusConflict, idp.ErrExists},
	{CodeRefused, http.StatusConflict, nil},
	{CodeInvalid, http.StatusUnprocessableEntity, nil},
	{CodeBusy, http.StatusServiceUnavailable, idp.ErrBusy},
	{CodeStoreDisk, http.StatusServiceUnavailable, idp.ErrNotWritten},
	{CodeStoreDamaged, http.StatusServiceUnavailable, idp.ErrDamaged},
}

// Is makes errors.Is find the shared sentinel errors.
func (e *Error) Is(target error) bool {
	for _, k := range kinds {
		if k.code == e.Code {
			return k.sentinel != nil && target == k.sentinel
		}
	}
	return false
}

// status returns the HTTP status of the error.
func (e *Error) status() int {
	for _, k := range kinds {
		if k.code == e.Code {
			return k.status
		}
	}
	return http.StatusInternalServerError
}

// convertError converts any error to an Error.
func convertError(err error) *Error {
	var e *Error
	var invalidErr *sp.InvalidError
	var refusedErr *sp.RefusedError
	suggestions := idp.FindSuggestions(err)
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &invalidErr):
		return &Error{Code: chooseInvalidCode(invalidErr), Message: "the registration is not valid", Problems: invalidErr.Problems, Suggestions: suggestions}
	case errors.As(err, &refusedErr):
		return &Error{Code: CodeRefused, Message: refusedErr.Text, Permissions: refusedErr.Permissions, Suggestions: suggestions}
	}
	e = &Error{Code: CodeInternal, Message: err.Error(), Suggestions: suggestions}
	for _, k := range kinds {
		if k.sentinel != nil && errors.Is(err, k.sentinel) {
			e.Code = k.code
			break
		}
	}
	return e
}

// chooseInvalidCode returns CodeRefused for a registration that an option would make valid, and
// CodeInvalid for one that no option does.
func chooseInvalidCode(e *sp.InvalidError) Code {
	if slices.ContainsFunc(e.Problems, func(p sp.Problem) bool { return p.Option == (idp.Option{}) }) {
		return CodeInvalid
	}
	return CodeRefused
}
