package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// ManPage is the page of one command.
type ManPage struct {
	// Name is the name of its file, such as vernal-sp-add.1.
	Name    string
	Content []byte
}

// RenderManPages writes a page for every command that help lists. The pages have no date, so the same
// program always writes the same pages.
func RenderManPages(root *cobra.Command, version string) (pages []ManPage) {
	for c := range walkCommands(root) {
		if c.Hidden || c.HasParent() && c.Name() == "help" {
			continue
		}
		pages = append(pages, ManPage{Name: formatManName(c) + ".1", Content: []byte(renderManPage(c, version))})
	}
	return pages
}

func formatManName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func renderManPage(c *cobra.Command, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s\" \"Vernal\"\n", quoteMan(strings.ToUpper(formatManName(c))), quoteMan(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", quoteMan(formatManName(c)), quoteMan(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", quoteMan(UsageLine(c)))
	b.WriteString(".SH DESCRIPTION\n")
	writeManText(&b, cmp.Or(c.Long, c.Short))
	for _, g := range FlagGroups(c) {
		fmt.Fprintf(&b, ".SH %s\n", quoteMan(strings.ToUpper(g.Title)))
		for _, f := range g.Flags {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", quoteMan(FlagSyntax(f)), quoteMan(strings.ReplaceAll(FlagText(f), "\n", "; ")))
		}
	}
	if c.HasParent() {
		b.WriteString(".PP\nEvery command also takes \\-\\-config FILE, \\-\\-json and \\-\\-help.\n")
	}
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n")
		for line := range strings.SplitSeq(strings.Trim(c.Example, "\n"), "\n") {
			b.WriteString(quoteMan(line) + "\n")
		}
		b.WriteString(".fi\n")
	}
	writeManSeeAlso(&b, c)
	return b.String()
}

// writeManText fills paragraphs and leaves indented lines as they are.
func writeManText(b *strings.Builder, text string) {
	literal := false
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		indented := strings.HasPrefix(line, " ")
		switch {
		case indented && !literal:
			b.WriteString(".nf\n")
		case !indented && literal && line != "":
			b.WriteString(".fi\n")
		}
		if line != "" {
			literal = indented
		}
		if line == "" && !literal {
			b.WriteString(".PP\n")
			continue
		}
		b.WriteString(quoteMan(line) + "\n")
	}
	if literal {
		b.WriteString(".fi\n")
	}
}

func writeManSeeAlso(b *strings.Builder, c *cobra.Command) {
	var names []string
	if c.HasParent() {
		names = append(names, formatManName(c.Parent()))
	}
	for _, sub := range visibleCommands(c) {
		if sub.Name() != "help" {
			names = append(names, formatManName(sub))
		}
	}
	if len(names) == 0 {
		return
	}
	b.WriteString(".SH SEE ALSO\n")
	for i, name := range names {
		end := ","
		if i == len(names)-1 {
			end = ""
		}
		fmt.Fprintf(b, ".BR %s (1)%s\n", quoteMan(name), end)
	}
}

// quoteMan escapes text for roff.
func quoteMan(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
