package main

import (
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/rotation"
)

// tellChange says what a step changed, what it did not and what comes next. The
// changes that a dry run found are its data.
func (a *app) tellChange(req admin.StepRequest, change admin.RotationChange) error {
	if change.DryRun {
		if !change.CalendarAt.IsZero() {
			a.say("warning: this would %s; it must be confirmed", earlyText(req.Year, change))
		}
		return a.tellDryRun(change)
	}
	for _, y := range change.Changed {
		a.say("%s", changeText(y, change.Status))
	}
	a.tellUnchanged(change)
	for _, line := range afterStep(req, change) {
		a.say("%s", line)
	}
	a.say("next: %s", nextCommand(req, change))
	a.saySuggestions(change.Suggestions)
	if a.json {
		return a.printJSON(change)
	}
	a.printCutOff(change)
	return a.printRevocation(change.Revocation)
}

func (a *app) tellDryRun(change admin.RotationChange) error {
	a.say("dry run: nothing was changed")
	if a.json {
		return a.printJSON(change)
	}
	var rows [][]string
	for _, y := range change.Changed {
		key := "-"
		switch {
		case y.KeyDestroyed:
			key = "destroyed"
		case y.Certified:
			key = "certified"
		}
		rows = append(rows, []string{string(y.Year), string(y.From), string(y.To), key})
	}
	if len(rows) > 0 {
		if err := table(a.out, []string{"YEAR", "FROM", "TO", "KEY"}, rows); err != nil {
			return err
		}
	}
	a.tellUnchanged(change)
	a.printCutOff(change)
	if change.Revocation != nil && len(rows) > 0 {
		fmt.Fprintln(a.out)
	}
	return a.printRevocation(change.Revocation)
}

// maxCutOff is how many service providers are named that a step cuts off.
const maxCutOff = 20

// printCutOff names the service providers that a forced retirement cuts off.
func (a *app) printCutOff(change admin.RotationChange) {
	if !slices.ContainsFunc(change.Steps, func(s rotation.Step) bool { return s.Force }) {
		return
	}
	fmt.Fprintln(a.out, "cut off: "+cutOffCount(change))
	for _, id := range change.CutOff[:min(len(change.CutOff), maxCutOff)] {
		fmt.Fprintln(a.out, "  "+idp.OneLine(string(id)))
	}
	if more := len(change.CutOff) - maxCutOff; more > 0 {
		fmt.Fprintf(a.out, "and %d more: --json\n", more)
	}
}

// cutOffCount counts the service providers that a forced retirement cuts off.
func cutOffCount(change admin.RotationChange) string {
	if change.CutOff == nil {
		return "an unknown number of service providers (the uses cannot be read: see the server's log)"
	}
	return plural(len(change.CutOff), "service provider")
}

func (a *app) tellUnchanged(change admin.RotationChange) {
	var same []string
	for _, y := range change.Unchanged {
		same = append(same, fmt.Sprintf("%s is %s", y.Year, y.To))
	}
	if len(same) > 0 {
		a.say("unchanged: %s", strings.Join(same, ", "))
	}
}

// changeText is what happened to a year.
func changeText(y admin.YearChange, st admin.RotationStatus) string {
	if y.From == y.To && y.Certified {
		return fmt.Sprintf("%s, which is %s, has its certificate; it ends on %s", y.Year, y.To, day(yearStatus(st, y.Year).CertEndAt))
	}
	if y.From == y.To {
		return fmt.Sprintf("the key of %s, which is %s, is destroyed", y.Year, y.To)
	}
	text := fmt.Sprintf("%s is %s (was %s)", y.Year, y.To, y.From)
	if y.From == rotation.Planned {
		if r := yearStatus(st, y.Year); !r.CertEndAt.IsZero() {
			text += "; its certificate ends on " + day(r.CertEndAt)
		}
	}
	if y.KeyDestroyed {
		text += "; its key is destroyed"
	}
	return text
}

// afterStep is what to know after a step besides the states.
func afterStep(req admin.StepRequest, change admin.RotationChange) []string {
	st := change.Status
	switch req.Step {
	case rotation.StepPublish:
		return []string{fmt.Sprintf("service providers can load the metadata: vernal metadata show %s", req.Year)}
	case rotation.StepRollback:
		return []string{holdText(st.Hold)}
	case rotation.StepResume:
		return []string{"no rollback holds the server's steps", trustText(st)}
	case rotation.StepConfirm:
		lines := []string{trustText(st)}
		if st.Hold.Active(st.At) {
			lines = append(lines, holdText(st.Hold)) // which confirm-clock does not end
		}
		return lines
	case rotation.StepRevoke:
		if change.Changed[0].From == rotation.Retired || st.Preferred == "" {
			return nil
		}
		return []string{fmt.Sprintf("who used %s must move now: vernal metadata show %s", req.Year, st.Preferred),
			fmt.Sprintf("each one's own notice: vernal rotation report --year %s", req.Year)}
	case rotation.StepRetire:
		for _, d := range st.Due {
			if d.Kind == rotation.StepDestroy && d.Year == req.Year {
				return []string{fmt.Sprintf("its key is destroyed on %s; its certificate is kept", day(d.DueAt))}
			}
		}
	}
	return nil
}

func trustText(st admin.RotationStatus) string {
	return "the clock is trusted: it is " + moment(st.At)
}

// nextCommand is what a person would give next.
func nextCommand(req admin.StepRequest, change admin.RotationChange) string {
	st := change.Status
	switch req.Step {
	case rotation.StepCreate:
		return byHandNext(st, req.Year, rotation.StepPublish)
	case rotation.StepPublish:
		return byHandNext(st, req.Year, rotation.StepPrefer)
	case rotation.StepPrefer:
		return "vernal rotation plan; to undo this: vernal rotation rollback --reason TEXT"
	case rotation.StepRollback:
		return fmt.Sprintf("vernal rotation prefer %s", st.Hold.From)
	case rotation.StepResume, rotation.StepConfirm:
		return "vernal rotation plan"
	}
	return "vernal rotation status"
}

// byHandNext is the next step of a year, with its date where the server takes
// it.
func byHandNext(st admin.RotationStatus, y idp.Year, kind rotation.StepKind) string {
	text := fmt.Sprintf("vernal rotation %s %s", kind, y)
	n := yearStatus(st, y).Next
	if n != nil && n.Step == kind && !n.ByHand && !n.Stuck && st.Preferred != "" {
		text += "; the server does it on " + day(n.At)
	}
	return text
}

// yearStatus is a year of a status; zero if it is not there.
func yearStatus(st admin.RotationStatus, y idp.Year) rotation.YearStatus {
	for _, r := range st.Years {
		if r.Year == y {
			return r
		}
	}
	return rotation.YearStatus{}
}
