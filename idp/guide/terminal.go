package guide

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	tables "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"vernal/templates"
)

// Text returns a guide laid out for a terminal with the given number of columns. Only lines of code
// and words longer than a line exceed it. A link becomes its text, followed by the command that
// prints the other guide, or by the URL.
func (b *Book) Text(t *Topic, v Values, columns int) (string, error) {
	filledText, k, err := t.fillTemplate(v)
	if err != nil {
		return "", err
	}
	source := []byte(filledText)
	w := &terminal{book: b, base: v.BaseURL, source: source, tokens: k}
	for n := range eachChild(markdown.Parser().Parse(text.NewReader(source))) {
		w.writeBlock(n, "", "", columns)
	}
	return strings.TrimLeft(w.out.String(), "\n"), nil
}

// terminal lays a guide out.
type terminal struct {
	book   *Book
	base   string
	source []byte
	tokens *tokenStore
	out    strings.Builder
}

// hardSpace is a space at which no line breaks.
const hardSpace = "\u00a0"

// longCode is the length from which code in a sentence may break at its spaces.
const longCode = 60

func eachChild(n ast.Node) func(func(ast.Node) bool) {
	return func(yield func(ast.Node) bool) {
		for c := n.FirstChild(); c != nil && yield(c); c = c.NextSibling() {
		}
	}
}

// writeBlock writes a block with an empty line before it. Its first line begins with
// firstIndent, the others with indent.
func (w *terminal) writeBlock(n ast.Node, firstIndent, indent string, columns int) {
	switch n := n.(type) {
	case *ast.List:
		w.writeList(n, indent, columns)
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		w.out.WriteString("\n")
		for i := range n.Lines().Len() {
			line := n.Lines().At(i)
			w.writeLine(indent + "    " + w.fill(strings.TrimRight(string(line.Value(w.source)), "\n")))
		}
	case *tables.Table:
		w.out.WriteString("\n")
		w.writeTable(n, indent, columns)
	case *ast.Heading:
		w.out.WriteString("\n")
		mark := strings.Repeat("#", n.Level) + " "
		w.writeText(w.renderInline(n), firstIndent+mark, indent+strings.Repeat(" ", len(mark)), columns)
	default:
		w.out.WriteString("\n")
		w.writeText(w.renderInline(n), firstIndent, indent, columns)
	}
}

func (w *terminal) writeList(list *ast.List, indent string, columns int) {
	w.out.WriteString("\n")
	number := list.Start
	for item := range eachChild(list) {
		mark := "- "
		if list.IsOrdered() {
			mark = strconv.Itoa(number) + ". "
			number++
		}
		hangingIndent := indent + strings.Repeat(" ", len(mark))
		for n := range eachChild(item) {
			if n == item.FirstChild() {
				w.writeText(w.renderInline(n), indent+mark, hangingIndent, columns)
			} else {
				w.writeBlock(n, hangingIndent, hangingIndent, columns)
			}
		}
	}
}

func (w *terminal) writeText(text, firstIndent, indent string, columns int) {
	for i, line := range wrapWords(text, columns-utf8.RuneCountInString(indent)) {
		if i == 0 {
			w.writeLine(firstIndent + line)
		} else {
			w.writeLine(indent + line)
		}
	}
}

func (w *terminal) writeLine(line string) {
	w.out.WriteString(strings.TrimRight(strings.ReplaceAll(line, hardSpace, " "), " ") + "\n")
}

func (w *terminal) fill(s string) string {
	return w.tokens.replaceTokens(s, func(value string) string { return value })
}

// renderInline returns the text of a block.
func (w *terminal) renderInline(n ast.Node) string {
	var b strings.Builder
	w.writeInline(&b, n)
	return w.fill(b.String())
}

func (w *terminal) writeInline(b *strings.Builder, n ast.Node) {
	for c := range eachChild(n) {
		switch c := c.(type) {
		case *ast.Text:
			b.Write(c.Segment.Value(w.source))
			if c.SoftLineBreak() || c.HardLineBreak() {
				b.WriteString(" ")
			}
		case *ast.String:
			b.Write(c.Value)
		case *ast.CodeSpan:
			var code strings.Builder
			w.writeInline(&code, c)
			span := "`" + w.fill(code.String()) + "`"
			if utf8.RuneCountInString(span) < longCode {
				span = strings.ReplaceAll(span, " ", hardSpace)
			}
			b.WriteString(span)
		case *ast.Link:
			var text strings.Builder
			w.writeInline(&text, c)
			b.WriteString(text.String())
			if target := w.fill(string(c.Destination)); target != strings.Trim(w.fill(text.String()), "`") {
				b.WriteString(w.nameTarget(target))
			}
		default:
			w.writeInline(b, c)
		}
	}
}

// nameTarget returns the command or URL that opens the target of a link, in brackets, or "" for a
// part of the same guide.
func (w *terminal) nameTarget(target string) string {
	path, _, _ := strings.Cut(target, "#")
	switch {
	case path == "":
		return ""
	case strings.HasPrefix(path, templates.HelpPath+"/") || strings.HasPrefix(path, templates.DevelopersPath+"/"):
		if t := w.book.Lookup(path[strings.LastIndex(path, "/")+1:]); t != nil && t.Path() == path {
			return " (" + strings.ReplaceAll("vernal help "+t.Name, " ", hardSpace) + ")"
		}
		return " (" + w.base + target + ")"
	case strings.HasPrefix(path, "/"):
		return " (" + w.base + target + ")"
	}
	return " (" + target + ")"
}

// tableGap is the space between columns.
const tableGap = 2

// writeTable writes a table whose cells are wrapped. If not even the longest words fit beside
// one another, each row becomes a list of its cells.
func (w *terminal) writeTable(table *tables.Table, indent string, columns int) {
	var rows [][]string
	for row := range eachChild(table) {
		var cells []string
		for cell := range eachChild(row) {
			cells = append(cells, w.renderInline(cell))
		}
		rows = append(rows, cells)
	}
	widths, ok := fitColumns(rows, columns-len(indent))
	if !ok {
		w.writeText(rows[0][0]+":", indent, indent, columns)
		for _, row := range rows[1:] {
			w.writeText(row[0], indent+"- ", indent+"  ", columns)
			for i, cell := range row[1:] {
				if cell != "" {
					w.writeText(rows[0][i+1]+": "+cell, indent+"  ", indent+"    ", columns)
				}
			}
		}
		return
	}
	ruler := make([]string, len(widths))
	for i, width := range widths {
		ruler[i] = strings.Repeat("-", width)
	}
	for i, row := range rows {
		w.writeRow(row, widths, indent)
		if i == 0 {
			w.writeRow(ruler, widths, indent)
		}
	}
}

func (w *terminal) writeRow(row []string, widths []int, indent string) {
	lines, height := make([][]string, len(row)), 0
	for i, cell := range row {
		lines[i] = wrapWords(cell, widths[i])
		height = max(height, len(lines[i]))
	}
	for n := range height {
		var b strings.Builder
		b.WriteString(indent)
		for i, width := range widths {
			cell := ""
			if n < len(lines[i]) {
				cell = lines[i][n]
			}
			b.WriteString(cell + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(cell))+tableGap))
		}
		w.writeLine(b.String())
	}
}

// fitColumns returns widths with which a table fits in the given columns. It narrows the widest
// column first, but none below its longest word.
func fitColumns(rows [][]string, columns int) (widths []int, ok bool) {
	n := len(rows[0])
	widths, minWidths := make([]int, n), make([]int, n)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			for _, word := range splitWords(cell) {
				minWidths[i] = max(minWidths[i], utf8.RuneCountInString(word))
			}
		}
	}
	for {
		total, widest := tableGap*(n-1), -1
		for i, width := range widths {
			total += width
			if width > minWidths[i] && (widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if total <= columns {
			return widths, true
		}
		if widest < 0 {
			return nil, false
		}
		widths[widest]--
	}
}

// splitWords splits a text at its spaces, but, unlike strings.Fields, not at hard spaces.
func splitWords(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' })
}

// wrapWords breaks a text into lines. A word that is longer than a line gets its own line.
func wrapWords(text string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range splitWords(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= columns:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
