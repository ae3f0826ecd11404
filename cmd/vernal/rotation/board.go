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
func (a *commands) printMoves(status ops.RotationStatus) error {
	if status.Board == nil || len(status.Board.SPs) == 0 {
		return nil
	}
	var rows [][]string
	for _, y := range status.Board.Years {
		unmovedCount, names := "-", ""
		if status.Board.MustLeave(y) {
			unmovedCount, names = strconv.Itoa(y.UnmovedCount), unmovedText(status.Board, y.Year)
		}
		if y.State.IsLive() {
			rows = append(rows, []string{string(y.Year), strconv.Itoa(y.SPs), unmovedCount, cli.ReplaceEmpty(names)})
		}
	}
	fmt.Fprintln(a.Out)
	return cli.WriteTextTable(a.Out, []string{"YEAR", "SPS", "UNMOVED", "SERVICE PROVIDERS"}, rows, slices.Clone[[]string])
}

// unmovedText names the service providers that must still leave a year, or returns "".
func unmovedText(board *migration.Board, y idp.Year) string {
	ids := board.ListUnmoved(y)
	if moreCount := len(ids) - maxNamedSPs; moreCount > 0 {
		return fmt.Sprintf("%s and %d more", cli.JoinNames(ids[:maxNamedSPs], ", "), moreCount)
	}
	return cli.JoinNames(ids, ", ")
}

// yearUse is a service provider's use of a year, with its latest request certificate.
type yearUse struct {
	migration.YearUse
	certEndAt time.Time // zero if the certificate is no longer registered, or no request was signed
}

func findYearUse(line migration.Line, y idp.Year) (use yearUse) {
	for _, seen := range line.Years {
		if seen.Year == y {
			use.YearUse = seen
		}
	}
	for _, c := range line.Certs {
		if c.SHA256 == use.CertSHA256 {
			use.certEndAt = c.EndAt
		}
	}
	return use
}

// daysLeft returns the days until the certificate expires, or "" if unknown.
func (u yearUse) daysLeft(now time.Time) string {
	if u.certEndAt.IsZero() {
		return ""
	}
	return strconv.Itoa(idp.CountDaysUntil(now, u.certEndAt))
}

// boardHeader names the columns of boardRow. They fit 80 columns when entity IDs and names are
// cut. CSV and JSON have all columns.
var boardHeader = []string{"ENTITY ID", "NAME", "MOVE", "LAST", "30 DAYS", "SIGNED", "CERT ENDS"}

// printBoard prints a line for each service provider with its use of the year.
func (a *commands) printBoard(status ops.RotationStatus, y idp.Year) error {
	var rows, warnings [][]string
	for _, line := range status.Board.SPs {
		rows = append(rows, boardRow(line, y))
		for _, w := range line.Warnings {
			warnings = append(warnings, []string{string(line.SP), w.Text})
		}
	}
	if err := cli.WriteTable(a.Out, boardHeader, rows); err != nil || len(warnings) == 0 {
		return err
	}
	fmt.Fprintln(a.Out)
	return cli.WriteTextTable(a.Out, []string{"ENTITY ID", "WARNING"}, warnings, slices.Clone[[]string])
}

func boardRow(line migration.Line, y idp.Year) []string {
	use := findYearUse(line, y)
	move := string(line.Move)
	if !line.Active {
		move += ", inactive"
	}
	signedText := "-"
	if !use.LastAt.IsZero() {
		signedText = cli.FormatBool(use.Signed)
	}
	return []string{
		string(line.SP), cli.ReplaceEmpty(line.Name), move, cli.FormatDay(use.LastAt), strconv.Itoa(use.Days30), signedText, cli.FormatDay(use.certEndAt),
	}
}

// writeBoardCSV writes the migration board for a spreadsheet: a row for each service provider
// and, if no year is given, for each year that it used.
func (a *commands) writeBoardCSV(status ops.RotationStatus, y idp.Year) error {
	w := csv.NewWriter(a.Data())
	_ = w.Write([]string{ // an error stays until Flush
		"entity_id", "name", "active", "move", "year", "first_at", "last_at", "requests_7_days", "requests_30_days",
		"signed", "certificate_sha256", "certificate_end_at", "certificate_days_left", "contacts", "warnings",
	})
	for _, line := range status.Board.SPs {
		years := []idp.Year{y}
		if y == "" && len(line.Years) > 0 {
			years = nil
			for _, seen := range line.Years {
				years = append(years, seen.Year)
			}
		}
		for _, y := range years {
			use := findYearUse(line, y)
			signedText := ""
			if !use.LastAt.IsZero() {
				signedText = strconv.FormatBool(use.Signed)
			}
			_ = w.Write([]string{
				escapeCell(string(line.SP)), escapeCell(line.Name), strconv.FormatBool(line.Active), string(line.Move), string(y), cli.FormatTime(use.FirstAt), cli.FormatTime(use.LastAt),
				strconv.Itoa(use.Days7), strconv.Itoa(use.Days30), signedText, use.CertSHA256, cli.FormatTime(use.certEndAt), use.daysLeft(status.At),
				escapeCell(strings.Join(line.Contacts, " ")), escapeCell(reasonsText(line.Warnings)),
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
