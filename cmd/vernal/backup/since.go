package backup

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"vernal/cmd/vernal/cli"
	"vernal/idp/audit"
	"vernal/idp/restore"
)

// checkSince refuses an export of the audit trail that does not continue the backup's, before the
// restore puts a file in place.
func checkSince(file string, head audit.Place) error {
	if file == "" {
		return nil
	}
	in, err := openExport(file)
	if err != nil {
		return err
	}
	defer in.Close()
	err = restore.CheckSince(in, head, nil)
	if refused, ok := errors.AsType[*restore.Error](err); ok {
		return &sinceRefusal{refused}
	}
	return err
}

// openExport opens an export of the audit trail. It is read twice, which a pipe does not allow.
func openExport(file string) (*os.File, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, cli.Refuse("%s is not a regular file: save the export in a file first", file)
	}
	return os.Open(file)
}

// sinceRefusal is a refusal with its exit code.
type sinceRefusal struct{ cause *restore.Error }

func (r *sinceRefusal) Error() string { return r.cause.Error() }

// ExitCode returns 3.
func (*sinceRefusal) ExitCode() int { return cli.ExitRefused }

func (r *sinceRefusal) Unwrap() error { return r.cause }

// reportSince prints the changes that an export of the audit trail showed, and those that are lost.
func (a *commands) reportSince(s *restore.SinceReport) {
	if s == nil {
		return
	}
	a.Say("the export has %s after the backup", cli.FormatCount(s.Records, "record"))
	if !s.Signed {
		a.Say("it does not end with a checkpoint, so nothing proves that this installation wrote it")
	}
	for _, step := range s.Steps {
		a.Say("repeated: %s %s", step.Kind, step.Year)
	}
	for _, y := range s.LostYears {
		a.Say("the key of %s was made after the backup: put its files into the keys folder, or revoke the year with 'vernal rotation revoke %[1]s'", y)
	}
	if s.Replacement != "" {
		a.Say("%s is preferred in its place: service providers must move to it, see 'vernal rotation report'", s.Replacement)
	}
	for _, group := range []struct {
		n    int
		text string
	}{
		{len(s.Deleted), "deleted again: %s"},
		{len(s.Locked), "locked again: %s"},
		{len(s.PasswordChanged), "locked because the password was changed after the backup: %s; set a new one, then 'vernal user unlock'"},
		{len(s.FactorsRemoved), "second factors removed again: %s"},
		{len(s.ProofRemoved), "proofed identity removed again: %s"},
	} {
		if group.n > 0 {
			a.Say(group.text, cli.FormatCount(group.n, "user"))
		}
	}
	for _, id := range s.SPsRemoved {
		a.Say("removed again: %s", id)
	}
	for _, id := range s.SPsInactive {
		a.Say("inactive until you check its registration: %s", id)
	}
	for _, id := range s.SPCertsRemoved {
		a.Say("request certificates removed again: %s", id)
	}
	for _, id := range slices.Sorted(maps.Keys(s.NewNameIDs)) {
		a.Say("%s first visited %s after the backup and will have another NameID there", cli.FormatCount(s.NewNameIDs[id], "user"), id)
	}
	var lost []string
	for _, kind := range slices.Sorted(maps.Keys(s.Lost)) {
		lost = append(lost, fmt.Sprintf("%s: %d", kind, s.Lost[kind]))
	}
	if len(lost) > 0 {
		a.Say("lost since the backup, by kind of record: %s", strings.Join(lost, ", "))
	}
}
