package backup

import "fmt"

// Code identifies the reason to refuse a backup. Codes never change.
type Code string

// The reasons to refuse a backup.
const (
	CodeDamaged       Code = "backup_damaged"        // truncated, changed, or not a backup
	CodeForeign       Code = "backup_foreign"        // another installation made it, or it was changed
	CodeNewerFormat   Code = "backup_newer_format"   // a newer version of Vernal made it
	CodeOtherSchema   Code = "backup_other_schema"   // its store is of another version of Vernal
	CodeUnknownMember Code = "backup_unknown_member" // it has a file that no backup has
	CodeMissingMember Code = "backup_missing_member" // it lacks a file that every backup has
	CodeTooLarge      Code = "backup_too_large"      // one of its files exceeds its limit
)

// Sentinels for errors.Is.
var (
	ErrDamaged = &Refusal{Code: CodeDamaged}
	ErrForeign = &Refusal{Code: CodeForeign}
)

// Refusal is the error about a backup that is refused.
type Refusal struct {
	Code Code
	// Detail names the part of the backup, or the value seen. It may be empty.
	Detail string
}

func refuse(code Code, detail string) error { return &Refusal{Code: code, Detail: detail} }

// texts name the problem, and how to fix it.
var texts = map[Code]string{
	CodeDamaged:       "the backup is damaged: use another copy of the file, or an older backup",
	CodeForeign:       "another installation made the backup, or it was changed: use a backup of this installation and its master key",
	CodeNewerFormat:   "a newer version of Vernal made the backup: use that version",
	CodeOtherSchema:   "another version of Vernal made the backup's store: use that version",
	CodeUnknownMember: "the backup contains a file that no backup of Vernal has: use the file as Vernal wrote it",
	CodeMissingMember: "the backup lacks a file that every backup has: use another copy of the file, or an older backup",
	CodeTooLarge:      "a file in the backup is too large: use another copy of the file, or an older backup",
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return texts[r.Code]
	}
	return fmt.Sprintf("%s (%q)", texts[r.Code], r.Detail)
}

// Is compares the codes.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Code == r.Code
}
