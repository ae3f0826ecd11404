package user

import (
	"fmt"
	"slices"
	"strings"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
)

// progressText says how far the file was worked through.
func (im *importing) progressText() string {
	switch {
	case im.options.DryRun:
		return "nothing was changed"
	case im.sent == 0:
		return "nobody was imported"
	}
	return fmt.Sprintf("the good lines up to line %d are imported", im.sent)
}

func (im *importing) printSummary() error {
	t := &im.total
	would, mode := "", ""
	if t.DryRun {
		would, mode = "would be ", "dry run: "
	}
	parts := []string{pluralPeople(t.Added) + " " + would + "added"}
	if t.Extended > 0 {
		parts = append(parts, pluralPeople(t.Extended)+" "+would+"given more NameIDs")
	}
	if t.Present > 0 {
		parts = append(parts, fmt.Sprintf("%d there already (line %s)", t.Present, lineRanges(im.present)))
	}
	if t.Refused > 0 {
		parts = append(parts, cli.PluralIs(t.Refused, "line")+" refused")
	}
	im.app.Say("%s%s", mode, strings.Join(parts, ", "))
	if len(t.Unregistered) > 0 {
		var names []string
		for _, key := range t.Unregistered {
			names = append(names, idp.OneLine(key))
		}
		im.app.Say("warning: nobody is registered as %s; the NameIDs are for whoever will be", strings.Join(names, ", "))
	}
	if im.app.JSON {
		return im.app.PrintJSON(t)
	}
	return nil
}

func pluralPeople(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

// lineRanges writes line numbers in brief: "2-5, 9". Many ranges are cut short.
func lineRanges(lines []int) string {
	const limit = 20
	lines = slices.Sorted(slices.Values(lines))
	var parts []string
	for i := 0; i < len(lines); {
		j := i
		for j+1 < len(lines) && lines[j+1] <= lines[j]+1 {
			j++
		}
		if len(parts) == limit {
			return strings.Join(parts, ", ") + ", …"
		}
		if i == j {
			parts = append(parts, fmt.Sprint(lines[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", lines[i], lines[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
