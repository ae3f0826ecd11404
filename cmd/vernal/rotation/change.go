package rotation

import (
	"fmt"
	"slices"
	"strings"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/rotation"
)

// reportChange reports the years that a step changed, the unchanged ones and the next command.
// For a dry run, it prints the changes as data.
func (a *commands) reportChange(req ops.StepRequest, change ops.RotationChange) error {
	if change.DryRun {
		if !change.CalendarAt.IsZero() {
			a.Say("warning: this would %s; it must be confirmed", earlyText(req.Year, change))
		}
		return a.reportDryRun(change, change)
	}
	a.reportStates(change)
	for _, line := range listStepNotes(req, change) {
		a.Say("%s", line)
	}
	a.Say("next: %s", chooseNextCommand(req, change))
	a.SaySuggestions(change.Suggestions)
	if a.JSON {
		return a.PrintJSON(change)
	}
	a.printCutOff(change)
	return a.printRevocation(change.Revocation)
}

// reportDryRun prints the changes that a step would make: answer as JSON, or change as a table.
func (a *commands) reportDryRun(change ops.RotationChange, answer any) error {
	a.Say("dry run: nothing was changed")
	if a.JSON {
		return a.PrintJSON(answer)
	}
	if len(change.Changed) > 0 {
		if err := cli.WriteList(a.Out, []string{"YEAR", "FROM", "TO", "KEY"}, change.Changed, changeRow); err != nil {
			return err
		}
	}
	a.reportUnchanged(change)
	a.printCutOff(change)
	if change.Revocation != nil && len(change.Changed) > 0 {
		fmt.Fprintln(a.Out)
	}
	return a.printRevocation(change.Revocation)
}

func changeRow(y ops.YearChange) []string {
	key := "-"
	switch {
	case y.KeyDestroyed:
		key = "destroyed"
	case y.Certified:
		key = "certified"
	}
	return []string{string(y.Year), string(y.From), string(y.To), key}
}

// maxCutOff bounds the named service providers that a step cuts off.
const maxCutOff = 20

// printCutOff names the service providers that a forced retirement cuts off.
func (a *commands) printCutOff(change ops.RotationChange) {
	if !slices.ContainsFunc(change.Steps, func(s rotation.Step) bool { return s.Force }) {
		return
	}
	fmt.Fprintln(a.Out, "cut off: "+countCutOff(change))
	for _, id := range change.CutOff[:min(len(change.CutOff), maxCutOff)] {
		fmt.Fprintln(a.Out, "  "+idp.ReplaceControls(string(id)))
	}
	if more := len(change.CutOff) - maxCutOff; more > 0 {
		fmt.Fprintf(a.Out, "and %d more: --json\n", more)
	}
}

// countCutOff counts the service providers that a forced retirement cuts off.
func countCutOff(change ops.RotationChange) string {
	if change.CutOff == nil {
		return "an unknown number of service providers (the uses cannot be read: see the server's log)"
	}
	return cli.FormatCount(len(change.CutOff), "service provider")
}

// reportStates names the changed years, and the unchanged ones.
func (a *commands) reportStates(change ops.RotationChange) {
	for _, y := range change.Changed {
		a.Say("%s", changeText(y, change.Status))
	}
	a.reportUnchanged(change)
}

func (a *commands) reportUnchanged(change ops.RotationChange) {
	var same []string
	for _, y := range change.Unchanged {
		same = append(same, fmt.Sprintf("%s is %s", y.Year, y.To))
	}
	if len(same) > 0 {
		a.Say("unchanged: %s", strings.Join(same, ", "))
	}
}

// changeText describes the change of a year.
func changeText(y ops.YearChange, st ops.RotationStatus) string {
	if y.From == y.To && y.Certified {
		return fmt.Sprintf("%s, which is %s, has its certificate; it ends on %s", y.Year, y.To, cli.FormatDay(findYearStatus(st, y.Year).CertEndAt))
	}
	if y.From == y.To {
		return fmt.Sprintf("the key of %s, which is %s, is destroyed", y.Year, y.To)
	}
	text := fmt.Sprintf("%s is %s (was %s)", y.Year, y.To, y.From)
	if y.From == rotation.Planned {
		if r := findYearStatus(st, y.Year); !r.CertEndAt.IsZero() {
			text += "; its certificate ends on " + cli.FormatDay(r.CertEndAt)
		}
	}
	if y.KeyDestroyed {
		text += "; its key is destroyed"
	}
	return text
}

// listStepNotes returns further notes after a step, apart from the states.
func listStepNotes(req ops.StepRequest, change ops.RotationChange) []string {
	st := change.Status
	switch req.Step {
	case rotation.StepPublish:
		return []string{fmt.Sprintf("service providers can load the metadata: vernal metadata show %s", req.Year)}
	case rotation.StepRollback:
		return []string{holdText(st.Hold)}
	case rotation.StepResume:
		return []string{"neither a rollback nor a restore holds the server's steps", trustText(st)}
	case rotation.StepConfirm:
		lines := []string{trustText(st)}
		if st.Hold.IsActive(st.At) {
			lines = append(lines, holdText(st.Hold)) // confirm-clock does not end a hold
		}
		return lines
	case rotation.StepRevoke:
		if change.Changed[0].From == rotation.Retired || st.Preferred == "" {
			return nil
		}
		return []string{fmt.Sprintf("service providers that used %s must move now: vernal metadata show %s", req.Year, st.Preferred),
			fmt.Sprintf("to see the notice of each one: vernal rotation report --year %s", req.Year)}
	case rotation.StepRetire:
		for _, d := range st.DueSteps {
			if d.Kind == rotation.StepDestroy && d.Year == req.Year {
				return []string{fmt.Sprintf("its key is destroyed on %s; its certificate is kept", cli.FormatDay(d.DueAt))}
			}
		}
	}
	return nil
}

func trustText(st ops.RotationStatus) string {
	return "the clock is trusted: it is " + cli.FormatTime(st.At)
}

// chooseNextCommand returns the command that an operator would usually give next.
func chooseNextCommand(req ops.StepRequest, change ops.RotationChange) string {
	st := change.Status
	switch req.Step {
	case rotation.StepCreate:
		return describeNextStep(st, req.Year, rotation.StepPublish)
	case rotation.StepPublish:
		return describeNextStep(st, req.Year, rotation.StepPrefer)
	case rotation.StepPrefer:
		return "vernal rotation plan; to undo this: vernal rotation rollback --reason TEXT"
	case rotation.StepRollback:
		return fmt.Sprintf("vernal rotation prefer %s", st.Hold.FromYear)
	case rotation.StepResume, rotation.StepConfirm:
		return "vernal rotation plan"
	}
	return "vernal rotation status"
}

// describeNextStep returns the next step of a year, with its date if the server takes it.
func describeNextStep(st ops.RotationStatus, y idp.Year, kind rotation.StepKind) string {
	text := fmt.Sprintf("vernal rotation %s %s", kind, y)
	n := findYearStatus(st, y).Next
	if n != nil && n.Step == kind && !n.ByHand && !n.Stuck && st.Preferred != "" {
		text += "; the server does it on " + cli.FormatDay(n.At)
	}
	return text
}

// findYearStatus returns a year of a status; zero if it is missing.
func findYearStatus(st ops.RotationStatus, y idp.Year) rotation.YearStatus {
	for _, r := range st.Years {
		if r.Year == y {
			return r
		}
	}
	return rotation.YearStatus{}
}
