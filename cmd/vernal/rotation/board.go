package rotation

import (
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/migration"
)

// maxNamedSPs bounds the service providers named in a line.
const maxNamedSPs = 5

// printMoves prints for each live year how many service providers use it and which must
// still move.
func (a *commands) printMoves(st ops.RotationStatus) error {
	if st.Board == nil || len(st.Board.SPs) == 0 {
		return nil
	}
	var rows [][]string
	for _, y := range st.Board.Years {
		unmoved, who := "-", ""
		if st.Board.MustLeave(y) {
			unmoved, who = strconv.Itoa(y.UnmovedCount), unmovedText(st.Board, y.Year)
		}
		if y.State.IsLive() {
			rows = append(rows, []string{string(y.Year), strconv.Itoa(y.SPs), unmoved, cli.ReplaceEmpty(who)})
		}
	}
	fmt.Fprintln(a.Out)
	return cli.WriteTextTable(a.Out, []string{"YEAR", "SPS", "UNMOVED", "WHO"}, rows, slices.Clone[[]string])
}

// unmovedText names the service providers that must still leave a year, or returns "".
func unmovedText(b *migration.Board, y idp.Year) string {
	ids := b.ListUnmoved(y)
	if more := len(ids) - maxNamedSPs; more > 0 {
		return fmt.Sprintf("%s and %d more", cli.JoinNames(ids[:maxNamedSPs], ", "), more)
	}
	return cli.JoinNames(ids, ", ")
}

// yearUse is a service provider's use of a year, with its latest request certificate.
type yearUse struct {
	migration.YearUse
	certEndAt time.Time // zero if it is not registered any more, or no request was signed
}

func findYearUse(l migration.Line, y idp.Year) (u yearUse) {
	for _, seen := range l.Years {
		if seen.Year == y {
			u.YearUse = seen
		}
	}
	for _, c := range l.Certs {
		if c.SHA256 == u.CertSHA256 {
			u.certEndAt = c.EndAt
		}
	}
	return u
}

// daysLeft returns the days until the certificate expires, or "" if unknown.
func (u yearUse) daysLeft(now time.Time) string {
	if u.certEndAt.IsZero() {
		return ""
	}
	return strconv.Itoa(idp.CountDaysUntil(now, u.certEndAt))
}

// boardHeader names the columns of boardRow. They fit 80 columns when entity IDs and names are
// cut. CSV and JSON have everything.
var boardHeader = []string{"ENTITY ID", "NAME", "MOVE", "LAST", "30 DAYS", "SIGNED", "CERT ENDS"}

// printBoard prints a line for each service provider with its use of the year.
func (a *commands) printBoard(st ops.RotationStatus, y idp.Year) error {
	var rows, warnings [][]string
	for _, l := range st.Board.SPs {
		rows = append(rows, boardRow(l, y))
		for _, w := range l.Warnings {
			warnings = append(warnings, []string{string(l.SP), w.Text})
		}
	}
	if err := cli.WriteTable(a.Out, boardHeader, rows); err != nil || len(warnings) == 0 {
		return err
	}
	fmt.Fprintln(a.Out)
	return cli.WriteTextTable(a.Out, []string{"ENTITY ID", "WARNING"}, warnings, slices.Clone[[]string])
}

func boardRow(l migration.Line, y idp.Year) []string {
	u := findYearUse(l, y)
	move := string(l.Move)
	if !l.Active {
		move += ", inactive"
	}
	signed := "-"
	if !u.LastAt.IsZero() {
		signed = cli.FormatBool(u.Signed)
	}
	return []string{
		string(l.SP), cli.ReplaceEmpty(l.Name), move, cli.FormatDay(u.LastAt), strconv.Itoa(u.Days30), signed, cli.FormatDay(u.certEndAt),
	}
}

// writeBoardCSV writes the migration board for a spreadsheet: a row for each service provider
// and, if no year is given, for each year that it used.
func (a *commands) writeBoardCSV(st ops.RotationStatus, y idp.Year) error {
	w := csv.NewWriter(a.Data())
	_ = w.Write([]string{ // an error stays until Flush
		"entity_id", "name", "active", "move", "year", "first_at", "last_at", "requests_7_days", "requests_30_days",
		"signed", "certificate_sha256", "certificate_end_at", "certificate_days_left", "contacts", "warnings",
	})
	for _, l := range st.Board.SPs {
		years := []idp.Year{y}
		if y == "" && len(l.Years) > 0 {
			years = nil
			for _, seen := range l.Years {
				years = append(years, seen.Year)
			}
		}
		for _, y := range years {
			u := findYearUse(l, y)
			signed := ""
			if !u.LastAt.IsZero() {
				signed = strconv.FormatBool(u.Signed)
			}
			_ = w.Write([]string{
				escapeCell(string(l.SP)), escapeCell(l.Name), strconv.FormatBool(l.Active), string(l.Move), string(y), cli.FormatTime(u.FirstAt), cli.FormatTime(u.LastAt),
				strconv.Itoa(u.Days7), strconv.Itoa(u.Days30), signed, u.CertSHA256, cli.FormatTime(u.certEndAt), u.daysLeft(st.At),
				escapeCell(strings.Join(l.Contacts, " ")), escapeCell(reasonsText(l.Warnings)),
			})
		}
	}
	w.Flush()
	return w.Error()
}

// formula matches text that a spreadsheet would evaluate, at the start of a cell or after a
// character that some take for a cell separator.
var formula = regexp.MustCompile(`(^|[;|,\t])(\s*)([=+\-@＝＋－＠])`)

// escapeCell escapes external text for a spreadsheet. Names in a registration come from
// metadata of third parties and must be shown, not run as formulas.
func escapeCell(s string) string { return formula.ReplaceAllString(idp.ReplaceControls(s), "$1$2'$3") }
