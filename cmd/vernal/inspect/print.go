package inspect

import (
	"cmp"
	"fmt"
	"strings"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/inspect"
)

// printReport writes a report as text: the rules, the result of the request, and the
// message.
func (a *commands) printReport(r *inspect.Report) error {
	if err := cli.WriteVerdict(a.Out, formatVerdict(r)+"\n"); err != nil {
		return err
	}
	what := cmp.Or(r.Kind, "unreadable message")
	if r.SP != "" {
		what += ": " + idp.ReplaceControls(string(r.SP))
	}
	if r.SPName != "" {
		what += " (" + idp.ReplaceControls(r.SPName) + ")"
	}
	fmt.Fprintln(a.Out, what+", at "+cli.FormatTime(r.AssumedAt))
	if r.Messages > 0 {
		fmt.Fprintf(a.Out, "message %d of %d in the text; --message takes another\n", r.Number, r.Messages)
	}
	if text := describePlace(r.Place, r.Steps); text != "" {
		fmt.Fprintln(a.Out, text)
	}
	for _, c := range r.Checks {
		a.printCheck(c)
	}
	if r.Cert != nil {
		fmt.Fprintf(a.Out, "\nverified by the certificate with SHA-256 %s, which ends %s\n", r.Cert.SHA256, cli.FormatDay(r.Cert.EndAt))
	}
	if l := r.Levels; l != nil {
		fmt.Fprintln(a.Out)
		if err := a.printLevels(l, r.SP); err != nil {
			return err
		}
	}
	for i, attr := range r.Attributes {
		if i == 0 {
			fmt.Fprintln(a.Out, "\nattributes:")
		}
		fmt.Fprintf(a.Out, "  %s = %s\n", idp.ReplaceControls(attr.Name), idp.ReplaceControls(strings.Join(attr.Values, ", ")))
	}
	if r.XML != "" {
		fmt.Fprintln(a.Out)
		for line := range strings.SplitSeq(r.XML, "\n") {
			fmt.Fprintln(a.Out, idp.ReplaceControls(line))
		}
	}
	return nil
}

// formatVerdict sums a report up in a line: the rules that fail, or those that are open.
func formatVerdict(r *inspect.Report) string {
	var failed, open []string
	for _, c := range r.Checks {
		switch c.Outcome {
		case inspect.OutcomeRefused:
			failed = append(failed, idp.ReplaceControls(c.Field))
		case inspect.OutcomeWarning, inspect.OutcomeSkipped:
			open = append(open, idp.ReplaceControls(c.Field))
		}
	}
	rules := cli.FormatCount(len(r.Checks), "rule")
	switch {
	case r.Refused && len(failed) == 1:
		return "REFUSED: 1 of " + rules + " fails: " + failed[0]
	case r.Refused:
		return fmt.Sprintf("REFUSED: %d of %s fail: %s", len(failed), rules, strings.Join(failed, ", "))
	case r.Unknown:
		return "unknown: it cannot be said whether the message would be taken: " + strings.Join(open, ", ")
	}
	return "ok: none of " + rules + " fails"
}

var outcomes = map[inspect.Outcome]string{inspect.OutcomeOK: "ok", inspect.OutcomeRefused: "REFUSED", inspect.OutcomeWarning: "warning", inspect.OutcomeSkipped: "-"}

// places and steps describe how a message was found.
var (
	places = map[inspect.Place]string{
		inspect.PlaceHAR: "in a HAR file", inspect.PlaceJSON: "in JSON", inspect.PlaceURL: "in a URL or query", inspect.PlaceForm: "in an HTML form",
		inspect.PlaceParameters: "in a list of parameters", inspect.PlaceXML: "as XML", inspect.PlaceBase64: "as base64",
	}
	steps = map[inspect.Step]string{
		inspect.StepUTF16: "read as UTF-16", inspect.StepMailQuote: "without the marks of quoted mail", inspect.StepIndented: "without indentation", inspect.StepMailEncoded: "decoded from quoted-printable",
		inspect.StepEntities: "with HTML entities undone", inspect.StepBackslash: "with backslash escapes undone", inspect.StepPercent: "percent-decoded",
		inspect.StepProofpoint: "with the link of urldefense restored", inspect.StepCaret: "without carets", inspect.StepInvisible: "without invisible characters",
		inspect.StepTypographic: "with typographic quotation marks replaced", inspect.StepTree: "without the marks of a browser's view", inspect.StepJoined: "joined from several lines",
	}
)

// describePlace returns where a message was found and how it was decoded. It is "" if the
// message was not encoded.
func describePlace(place inspect.Place, undone []inspect.Step) string {
	if len(undone) == 0 || places[place] == "" {
		return ""
	}
	text := "found " + places[place]
	for i := 0; i < len(undone); {
		n := 1
		for i+n < len(undone) && undone[i+n] == undone[i] {
			n++
		}
		text += ", " + steps[undone[i]]
		if n > 1 {
			text += " " + []string{"twice", "three times", "four times", "five times", "six times"}[min(n-2, 4)]
		}
		i += n
	}
	return text
}

func (a *commands) printCheck(c inspect.Check) {
	line := fmt.Sprintf("%-8s %s", outcomes[c.Outcome], idp.ReplaceControls(c.Field))
	if c.Seen != "" {
		line += "  " + idp.ReplaceControls(c.Seen)
	}
	if c.Note != "" {
		line += "  (" + idp.ReplaceControls(c.Note) + ")"
	}
	_ = cli.WriteVerdict(a.Out, strings.TrimRight(line, " ")+"\n") // as the lines below
	for _, text := range [][2]string{{"", c.Reason}, {"expected: ", c.Expected}, {"fix it:   ", c.Remedy}, {"code:     ", string(c.Code)}} {
		if text[1] != "" {
			fmt.Fprintln(a.Out, "         "+text[0]+idp.ReplaceControls(text[1]))
		}
	}
	for _, hint := range c.Hints {
		fmt.Fprintln(a.Out, "         look:     "+idp.ReplaceControls(hint))
	}
	for _, s := range c.Suggestions {
		fmt.Fprintln(a.Out, "         next:     "+idp.ReplaceControls(a.SuggestionLine(s)))
	}
}

func (a *commands) printLevels(l *inspect.Levels, sp idp.EntityID) error {
	second := "a second factor in this session"
	if l.RememberedDevice {
		second = "a second factor, or a remembered device"
	}
	list := [][2]string{
		{"identity", l.IAL}, {"sign-in", l.AAL + ": " + second}, {"stated", l.ClassRef}, {"attributes", strings.Join(l.Attributes, ", ")},
	}
	for _, d := range l.DroppedAttributes {
		text := inspect.ExplainDrop(d)
		if s, ok := inspect.SuggestForDrop(d, sp); ok {
			text += ": " + a.CommandLine(s)
		}
		list = append(list, [2]string{"dropped", d.Name + ": " + string(d.Reason) + " (" + text + ")"})
	}
	for _, u := range l.UnknownClassRefs {
		list = append(list, [2]string{"unknown", u})
	}
	return cli.WritePairs(a.Out, list)
}
