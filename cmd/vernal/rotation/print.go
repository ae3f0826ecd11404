package rotation

import (
	"fmt"
	"strings"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/rotation"
)

// inDays returns "today", "in 1 day" or "3 days ago".
func inDays(n int) string {
	switch {
	case n == 0:
		return "today"
	case n < 0:
		return cli.Plural(-n, "day") + " ago"
	}
	return "in " + cli.Plural(n, "day")
}

func (a *commands) printStatus(st ops.RotationStatus) error {
	header := []string{"YEAR", "STATE", "CERTIFICATE ENDS", "DAYS LEFT", "NEXT"}
	err := cli.TableOf(a.Out, header, st.Years, func(y rotation.YearStatus) []string {
		left := "-"
		switch {
		case y.CertEndAt.IsZero() || y.State.Over():
		case y.CertExpired:
			left = "ended"
		default:
			left = fmt.Sprint(idp.DaysUntil(st.At, y.CertEndAt))
		}
		return []string{string(y.Year), stateCell(y), cli.Day(y.CertEndAt), left, nextCell(y)}
	})
	if err != nil {
		return err
	}
	var notes [][2]string
	if h := st.Hold; h.Active(st.At) {
		notes = append(notes, [2]string{"held", holdText(h)})
	}
	if k := st.Clock; !k.Trusted() {
		notes = append(notes, [2]string{"clock", a.clockText(k)})
	}
	if !st.Automatic {
		notes = append(notes, [2]string{"manual", "the server takes no step by itself (rotation.automatic is false)"})
	}
	if len(notes) > 0 {
		fmt.Fprintln(a.Out)
		if err := cli.Pairs(a.Out, notes); err != nil {
			return err
		}
	}
	if err := a.printMoves(st); err != nil {
		return err
	}
	return a.printAttention(st.Attention)
}

// clockText is why the clock is not trusted, and what ends it.
func (a *commands) clockText(k rotation.Clock) string {
	confirm := a.CommandLine(idp.Suggest(idp.DoRotationConfirmClock))
	if k.HasDrifted() {
		return fmt.Sprintf("until %s it went forward by more than a day that the server did not run: the server takes no step; if the time is right, run %s",
			cli.Moment(k.DriftedAt), confirm)
	}
	return fmt.Sprintf("jumped from %s to %s: nothing is retired; if the time is right, run %s", cli.Moment(k.JumpedFrom), cli.Moment(k.JumpedTo), confirm)
}

func holdText(h rotation.Hold) string {
	text := "no newer year is preferred by itself, since the rollback of " + cli.Day(h.Since)
	if h.Reason != "" {
		text += " (" + h.Reason + ")"
	}
	if h.Until.IsZero() {
		return text + "; vernal rotation prefer or resume ends it"
	}
	return text + ", until " + cli.Moment(h.Until)
}

// nextCell returns the next event of a year.
func nextCell(y rotation.YearStatus) string {
	if y.Next == nil {
		return "-"
	}
	n := y.Next
	what := string(n.Step)
	switch {
	case what == "" && n.From == n.To:
		what = "certificate ends"
	case what == "":
		what = string(n.To)
	}
	if n.Stuck {
		return fmt.Sprintf("%s %s, waits: %s", cli.Day(n.At), what, reasonsText(n.Waits))
	}
	text := fmt.Sprintf("%s %s (%s)", cli.Day(n.At), what, inDays(n.Days))
	if len(n.Waits) > 0 {
		text += ": " + reasonsText(n.Waits)
	}
	return text
}

func (a *commands) printAttention(list []rotation.Attention) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return cli.TableOf(a.Out, []string{"ATTENTION", "YEAR", "WHAT"}, list, func(at rotation.Attention) []string {
		return []string{string(at.Code), cli.Dash(string(at.Year)), at.Text}
	})
}

func (a *commands) printPlan(p ops.RotationPlan) error {
	header := []string{"DATE", "DAYS", "YEAR", "STEP", "FROM", "TO", "BY", "WHY"}
	err := cli.TableOf(a.Out, header, p.Coming, func(c rotation.Coming) []string {
		by := "server"
		switch {
		case c.Step == "":
			by = "-"
		case c.ByHand:
			by = "you"
		}
		why := c.Waits
		if !c.Why.IsZero() {
			why = append([]rotation.Reason{c.Why}, why...)
		}
		return []string{cli.Day(c.At), fmt.Sprint(c.Days), string(c.Year), cli.Dash(string(c.Step)), string(c.From), string(c.To), by, reasonsText(why)}
	})
	if err != nil {
		return err
	}
	return a.printAttention(p.Attention)
}

func reasonsText(all []rotation.Reason) string {
	texts := make([]string, len(all))
	for i, r := range all {
		texts[i] = r.Text
	}
	return strings.Join(texts, "; ")
}

// stateCell returns the state of a year, and whether it is closed because of its key.
func stateCell(y rotation.YearStatus) string {
	if y.State.Live() && y.KeyFault != "" {
		return string(y.State) + ", closed"
	}
	return string(y.State)
}
