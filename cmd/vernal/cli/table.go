package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"vernal/idp"
)

const (
	columnGap = 2
	// minColumn is the width below which no column is cut.
	minColumn = 8
	// niceColumn is the width down to which other columns are cut before the first one.
	niceColumn = 12
	// ellipsis marks the end of a cut cell.
	ellipsis = "…"
)

// WriteTable writes rows in columns under a header. On a terminal it cuts the widest columns until
// each row fits. Other output is never cut.
func WriteTable(w io.Writer, header []string, rows [][]string) error {
	return writeColumns(w, cleanCells(header, rows), false)
}

// WriteTextTable is Table for a last column of text, which on a terminal is wrapped instead of
// cut.
func WriteTextTable[T any](w io.Writer, header []string, list []T, row func(T) []string) error {
	rows := make([][]string, len(list))
	for i, item := range list {
		rows[i] = row(item)
	}
	return writeColumns(w, cleanCells(header, rows), true)
}

// cleanCells returns the rows under their header, each cell on one line.
func cleanCells(header []string, rows [][]string) [][]string {
	all := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{header}, rows...) {
		clean := make([]string, len(row))
		for i, cell := range row {
			clean[i] = idp.ReplaceControls(cell)
		}
		all = append(all, clean)
	}
	return all
}

// WriteList writes a row for each of a list under a header.
func WriteList[T any](w io.Writer, header []string, list []T, row func(T) []string) error {
	rows := make([][]string, len(list))
	for i, item := range list {
		rows[i] = row(item)
	}
	return WriteTable(w, header, rows)
}

// PrintList writes the items as a table. If there are none, it writes empty to standard error.
func PrintList[T any](a *App, header []string, list []T, empty string, row func(T) []string) error {
	if len(list) == 0 {
		a.Say("%s", empty)
		return nil
	}
	return WriteList(a.Out, header, list, row)
}

// LimitList returns the first n items of a list, and reports on standard error if it omits some. 0
// means no limit.
func LimitList[T any](a *App, list []T, n int) []T {
	if n <= 0 || len(list) <= n {
		return list
	}
	a.Say("there are more; this is the first %d", n)
	return list[:n]
}

func writeColumns(w io.Writer, rows [][]string, text bool) error {
	widths := columnWidths(rows)
	if limit := terminalWidth(w); limit > 0 {
		fitWidths(widths, limit)
		if text {
			rows = splitText(rows, widths[len(widths)-1])
		}
	}
	for _, row := range rows {
		last := len(row) - 1
		for last >= 0 && row[last] == "" {
			last--
		}
		for i, cell := range row[:last+1] {
			if !text || i < len(row)-1 { // a long word of a text is not cut
				cell = shorten(cell, widths[i])
			}
			if err := WriteVerdict(w, cell); err != nil {
				return err
			}
			end := "\n"
			if i < last {
				end = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+columnGap)
			}
			if _, err := io.WriteString(w, end); err != nil {
				return err
			}
		}
		if last < 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
	}
	return nil
}

// splitText gives each line of the last column's text a row of its own.
func splitText(rows [][]string, width int) (out [][]string) {
	for _, row := range rows {
		last := len(row) - 1
		for i, line := range strings.Split(wrapLine(row[last], 0, width), "\n") {
			next := make([]string, last+1)
			if i == 0 {
				copy(next, row)
			}
			next[last] = line
			out = append(out, next)
		}
	}
	return out
}

func sumWidths(widths []int) (sum int) {
	for _, n := range widths {
		sum += n
	}
	return sum
}

func columnWidths(rows [][]string) (widths []int) {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// fitWidths narrows the widest columns until a row fits in limit. The first column, which names
// the entry, is narrowed last.
func fitWidths(widths []int, limit int) {
	limit -= columnGap * (len(widths) - 1)
	if len(widths) > 1 {
		narrowWidest(widths[1:], limit-widths[0], niceColumn)
	}
	narrowWidest(widths, limit, minColumn)
}

// narrowWidest takes from the widest columns until their sum is limit, or each is least.
func narrowWidest(widths []int, limit, least int) {
	for sum := sumWidths(widths); sum > limit; sum-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least {
			return
		}
		widths[widest]--
	}
}

// shorten cuts a text to a width, and shows that it did. It drops the scheme of a URL first.
func shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	if rest, ok := strings.CutPrefix(text, "https://"); ok {
		text = ellipsis + rest
	}
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + ellipsis
}

// terminalWidth returns the number of columns of the terminal that w writes to, 0 for none.
func terminalWidth(w io.Writer) int {
	f, ok := UnwrapWriter(w).(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// The colors of a terminal (ECMA-48).
const (
	colorRed    = "\x1b[31m"
	colorGreen  = "\x1b[32m"
	colorYellow = "\x1b[33m"
	colorReset  = "\x1b[0m"
)

// verdictColors are the words that are colored, when a text is or begins with one.
var verdictColors = map[string]string{
	"ok": colorGreen, "warning": colorYellow, "ATTENTION": colorYellow, "REFUSED": colorRed, "FAILED": colorRed,
}

// WriteVerdict writes a text. A verdict at its beginning is in color if w allows it. The color
// bypasses the filter, so that no text can contain colors of its own.
func WriteVerdict(w io.Writer, text string) error {
	word, _, _ := strings.Cut(text, " ")
	word = strings.TrimSuffix(word, ":")
	color := verdictColors[word]
	t, ok := w.(*terminalWriter)
	if color == "" || !ok || !t.color {
		_, err := io.WriteString(w, text)
		return err
	}
	if _, err := io.WriteString(t.w, color+word+colorReset); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.TrimPrefix(text, word))
	return err
}

// allowsColor reports whether verdicts are in color on w.
func (a *App) allowsColor(w io.Writer) bool {
	if a.Getenv == nil || a.Getenv("NO_COLOR") != "" || cmp.Or(a.Getenv("TERM"), "dumb") == "dumb" {
		return false
	}
	return IsTerminal(w)
}

// WritePairs writes names and values in two columns. A value with several lines has one row for
// each, an empty value none. Values are never cut.
func WritePairs(w io.Writer, list [][2]string) error {
	width := 0
	for _, p := range list {
		if p[1] != "" {
			width = max(width, utf8.RuneCountInString(p[0]))
		}
	}
	for _, p := range list {
		if p[1] == "" {
			continue
		}
		name := p[0]
		for line := range strings.SplitSeq(p[1], "\n") {
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(name)+columnGap)
			if _, err := fmt.Fprintf(w, "%s%s%s\n", name, pad, idp.ReplaceControls(line)); err != nil {
				return err
			}
			name = ""
		}
	}
	return nil
}
