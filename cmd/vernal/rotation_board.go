package main

import (
	"encoding/csv"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/migration"
)

// maxNamed is how many service providers are named in a line.
const maxNamed = 5

// printMoves says of each live year how many use it and who has still to move.
func (a *app) printMoves(st admin.RotationStatus) error {
	if st.Board == nil || len(st.Board.SPs) == 0 {
		return nil
	}
	var rows [][]string
	for _, y := range st.Board.Years {
		switch {
		case !y.State.Live():
		case !st.Board.MustLeave(y):
			rows = append(rows, []string{string(y.Year), strconv.Itoa(y.SPs), "-", "-"})
		default:
			rows = append(rows, []string{string(y.Year), strconv.Itoa(y.SPs), strconv.Itoa(y.Unmoved), dash(unmovedText(st.Board, y.Year))})
		}
	}
	fmt.Fprintln(a.out)
	return table(a.out, []string{"YEAR", "SPS", "UNMOVED", "WHO"}, rows)
}

// unmovedText names the service providers that have still to move from a year; ""
// for none.
func unmovedText(b *migration.Board, y idp.Year) string {
	var ids []string
	for _, id := range b.UnmovedFrom(y) {
		ids = append(ids, string(id))
	}
	if more := len(ids) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:maxNamed], ", "), more)
	}
	return strings.Join(ids, ", ")
}

// used is what a service provider did in a year, and the certificate with which
// it signed.
type used struct {
	migration.Seen
	certEndAt time.Time // zero: it is not registered any more, or nothing was signed
}

func usedIn(l migration.Line, y idp.Year) (u used) {
	for _, seen := range l.Years {
		if seen.Year == y {
			u.Seen = seen
		}
	}
	for _, c := range l.Certs {
		if c.SHA256 == u.CertSHA256 {
			u.certEndAt = c.EndAt
		}
	}
	return u
}

// days is how many are left of the certificate; "" if that is not known.
func (u used) days(now time.Time) string {
	if u.certEndAt.IsZero() {
		return ""
	}
	return strconv.Itoa(idp.DaysUntil(now, u.certEndAt))
}

// printBoard is a line for each service provider: what it did in the year.
func (a *app) printBoard(st admin.RotationStatus, y idp.Year) error {
	var rows, warnings [][]string
	for _, l := range st.Board.SPs {
		u := usedIn(l, y)
		move := string(l.Move)
		if !l.Active {
			move += ", inactive"
		}
		signed := "-"
		if !u.LastAt.IsZero() {
			signed = yesNo(u.Signed)
		}
		rows = append(rows, []string{
			string(l.SP), dash(l.Name), move, day(u.FirstAt), day(u.LastAt), strconv.Itoa(u.Days7), strconv.Itoa(u.Days30),
			signed, dash(u.CertSHA256[:min(16, len(u.CertSHA256))]), day(u.certEndAt), dash(u.days(st.At)),
		})
		for _, w := range l.Warnings {
			warnings = append(warnings, []string{string(l.SP), w.Text})
		}
	}
	header := []string{"ENTITY ID", "NAME", "MOVE", "FIRST", "LAST", "7 DAYS", "30 DAYS", "SIGNED", "CERTIFICATE", "ENDS", "DAYS LEFT"}
	if err := table(a.out, header, rows); err != nil || len(warnings) == 0 {
		return err
	}
	fmt.Fprintln(a.out)
	return table(a.out, []string{"ENTITY ID", "WARNING"}, warnings)
}

// writeBoardCSV is the board for a spreadsheet: a row for each service provider
// and, without a year, each year that it used.
func (a *app) writeBoardCSV(st admin.RotationStatus, y idp.Year) error {
	w := csv.NewWriter(a.data())
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
			u := usedIn(l, y)
			signed := ""
			if !u.LastAt.IsZero() {
				signed = strconv.FormatBool(u.Signed)
			}
			_ = w.Write([]string{
				cell(string(l.SP)), cell(l.Name), strconv.FormatBool(l.Active), string(l.Move), string(y), moment(u.FirstAt), moment(u.LastAt),
				strconv.Itoa(u.Days7), strconv.Itoa(u.Days30), signed, u.CertSHA256, moment(u.certEndAt), u.days(st.At),
				cell(strings.Join(l.Contacts, " ")), cell(reasonsText(l.Warnings)),
			})
		}
	}
	w.Flush()
	return w.Error()
}

// formula is the beginning of what a spreadsheet would work out, at the start of
// a cell or behind what some of them take for the start of another one.
var formula = regexp.MustCompile(`(^|[;|,\t])(\s*)([=+\-@＝＋－＠])`)

// cell is text from elsewhere as a spreadsheet may have it: names in a
// registration come from strangers' metadata, and must be shown, not run.
func cell(s string) string { return formula.ReplaceAllString(idp.OneLine(s), "$1$2'$3") }
