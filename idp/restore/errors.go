package restore

import "fmt"

// Code names why a restore is refused. Codes never change, but texts may.
type Code string

// Why a restore is refused.
const (
	// CodeMarkerDamaged: the marker cannot be read.
	CodeMarkerDamaged Code = "marker_damaged"
)

// Error is a refused restore.
type Error struct {
	Code Code
	text string
}

func (e *Error) Error() string { return e.text }

// texts say what is wrong and how to fix it. Each has its arguments in order.
var texts = map[Code]string{
	CodeMarkerDamaged: "%s cannot be read: restore the backup again, into an empty folder",
}

func refuse(code Code, args ...any) *Error {
	return &Error{Code: code, text: fmt.Sprintf(texts[code], args...)}
}
