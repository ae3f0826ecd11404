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
	export, err := openExport(file)
	if err != nil {
		return err
	}
	defer export.Close()
	err = restore.CheckSince(export, head, nil)
	if sinceErr, ok := errors.AsType[*restore.Error](err); ok {
		return &sinceRefusal{sinceErr}
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
func (a *commands) reportSince(since *restore.SinceReport) {
	if since == nil {
		return
	}
	a.Say("the export has %s after the backup", cli.FormatCount(since.Records, "record"))
	if !since.Signed {
		a.Say("it does not end with a checkpoint, so nothing proves that this installation wrote it")
	}
	for _, step := range since.Steps {
		a.Say("repeated: %s %s", step.Kind, step.Year)
	}
	for _, y := range since.LostYears {
		a.Say("the key of %s was made after the backup: put its files into the keys folder, or revoke the year with 'vernal rotation revoke %[1]s'", y)
	}
	if since.Replacement != "" {
		a.Say("%s is preferred in its place: service providers must move to it, see 'vernal rotation report'", since.Replacement)
	}
	for _, group := range []struct {
		n    int
		text string
	}{
		{len(since.Deleted), "deleted again: %s"},
		{len(since.Locked), "locked again: %s"},
		{len(since.PasswordChanged), "locked because the password was changed after the backup: %s (set a new one, then run 'vernal user unlock')"},
		{len(since.FactorsRemoved), "second factors removed again: %s"},
		{len(since.ProofRemoved), "proofed identity removed again: %s"},
		{len(since.CodesRemoved), "recovery codes removed because some were used: %s"},
	} {
		if group.n > 0 {
			a.Say(group.text, cli.FormatCount(group.n, "user"))
		}
	}
	for _, id := range since.SPsRemoved {
		a.Say("removed again: %s", id)
	}
	for _, id := range since.SPsInactive {
		a.Say("inactive until you check its registration: %s", id)
	}
	for _, id := range since.SPCertsRemoved {
		a.Say("request certificates removed again: %s", id)
	}
	for _, id := range slices.Sorted(maps.Keys(since.NewNameIDs)) {
		a.Say("%s first visited %s after the backup and will have another NameID there", cli.FormatCount(since.NewNameIDs[id], "user"), id)
	}
	var counts []string
	for _, kind := range slices.Sorted(maps.Keys(since.Lost)) {
		counts = append(counts, fmt.Sprintf("%s: %d", kind, since.Lost[kind]))
	}
	if len(counts) > 0 {
		a.Say("lost since the backup, by kind of record: %s", strings.Join(counts, ", "))
	}
}
