package restore

import "fmt"

// Code identifies the reason to refuse a restore. Codes never change, but texts may.
type Code string

// The reasons to refuse a restore. The refusals of a backup's manifest are those of package backup.
const (
	// CodeMarkerDamaged: the marker cannot be read.
	CodeMarkerDamaged Code = "restore_marker_damaged"
	// CodeOtherStore: the store is not the one of the backup, or was changed since.
	CodeOtherStore Code = "restore_other_store"
	// CodeSinceMissing: the copy of the exported trail is missing.
	CodeSinceMissing Code = "since_missing"
	// CodeSinceDamaged: the file was changed, or is not an exported trail.
	CodeSinceDamaged Code = "since_damaged"
	// CodeSinceGap: the exported trail begins after the end of the backup's.
	CodeSinceGap Code = "since_gap"
	// CodeSinceShort: the exported trail ends before the end of the backup's.
	CodeSinceShort Code = "since_short"
	// CodeSinceOther: the exported trail is not the continuation of the backup's.
	CodeSinceOther Code = "since_other"
)

// Error is a refused restore. Nothing was changed.
type Error struct {
	Code Code
	text string
}

func (e *Error) Error() string { return e.text }

// Is compares the codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// texts name the problem and how to fix it. Each has its arguments in order.
var texts = map[Code]string{
	CodeMarkerDamaged: "%s cannot be read: empty the data folder and restore the backup again",
	CodeOtherStore:    "the store is not the one of the backup that %s names, or it was used since: empty the data folder and restore the backup again",
	CodeSinceMissing:  "the exported audit trail %s is missing: empty the data folder and restore the backup again with the file",
	CodeSinceDamaged:  "the exported audit trail is damaged at line %d (%v): use the file as it was exported",
	CodeSinceGap:      "the exported audit trail begins after record %d, where the backup ends: export it from record %[1]d on",
	CodeSinceShort:    "the exported audit trail ends with record %d, before record %d, where the backup ends: use a later export, or none",
	CodeSinceOther:    "the exported audit trail has a different record %d than the backup: use the export of the same installation, made after the backup",
}

func refuse(code Code, args ...any) *Error {
	return &Error{Code: code, text: fmt.Sprintf(texts[code], args...)}
}
