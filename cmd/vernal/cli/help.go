package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// HelpWidth is the number of columns that help fits in.
const HelpWidth = 80

// The annotations of flags that help and completion read.
const (
	groupAnnotation  = "vernal_group"
	valuesAnnotation = "vernal_values"
	nameAnnotation   = "vernal_value_name"
)

const (
	helpIndent = "  "
	// flagColumn is the rightmost column at which the text of a flag may start.
	flagColumn = 30
)

// SetGroup puts flags under a heading of their own in help.
func SetGroup(flags *pflag.FlagSet, group string, names ...string) {
	for _, name := range names {
		setAnnotation(flags, name, groupAnnotation, []string{group})
	}
}

// SetValueName names the value of a flag whose usage does not.
func SetValueName(flags *pflag.FlagSet, flag, name string) {
	setAnnotation(flags, flag, nameAnnotation, []string{name})
}

// SetValues declares the values that a flag takes, for help and completion.
func SetValues[T ~string](c *cobra.Command, name string, values ...T) {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	setAnnotation(c.Flags(), name, valuesAnnotation, list)
	completeFlag(c, name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
}

// setAnnotation panics for an unknown flag, which is a mistake in this program.
func setAnnotation(flags *pflag.FlagSet, name, key string, values []string) {
	if err := flags.SetAnnotation(name, key, values); err != nil {
		panic(err)
	}
}

// SetHelp gives the command and its subcommands help in HelpWidth columns.
func SetHelp(root *cobra.Command) {
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { _ = WriteHelp(c.OutOrStdout(), c) })
	root.SetUsageFunc(func(c *cobra.Command) error { return WriteHelp(c.OutOrStderr(), c) })
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" && c.Example == "" {
			c.Short = "Show the help of a command"
			c.Long, c.Example = "", "    vernal help sp add"
		}
	}
	for c := range walkCommands(root) {
		c.InitDefaultHelpFlag()
		if f := c.Flags().Lookup("help"); f != nil {
			f.Usage = "show this help"
		}
		if _, most := parseArguments(c); most == 0 && c.ValidArgsFunction == nil && c.Runnable() {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
}

// WriteHelp writes the help of one command.
func WriteHelp(w io.Writer, c *cobra.Command) error {
	var b strings.Builder
	b.WriteString(WrapText(strings.TrimSpace(cmp.Or(c.Long, c.Short)), HelpWidth) + "\n")
	b.WriteString("\nUsage:\n" + wrapLine(helpIndent+UsageLine(c), len(helpIndent)+4, HelpWidth) + "\n")
	if c.Example != "" {
		b.WriteString("\nExamples:\n")
		for line := range strings.SplitSeq(strings.Trim(c.Example, "\n"), "\n") {
			if !strings.HasPrefix(line, "    vernal ") { // the output of a command
				line = shorten(line, HelpWidth)
			}
			b.WriteString(line + "\n")
		}
	}
	if commands := visibleCommands(c); len(commands) > 0 {
		b.WriteString("\nCommands:\n")
		width := 0
		for _, sub := range commands {
			width = max(width, len(sub.Name()))
		}
		for _, sub := range commands {
			line := fmt.Sprintf("%s%-*s  %s", helpIndent, width, sub.Name(), sub.Short)
			b.WriteString(wrapLine(line, len(helpIndent)+width+2, HelpWidth) + "\n")
		}
	}
	for _, g := range FlagGroups(c) {
		b.WriteString("\n" + g.Title + ":\n")
		writeFlags(&b, g.Flags)
	}
	if c.HasParent() {
		b.WriteString("\nEvery command also takes --config FILE, --json and --help.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// UsageLine returns the syntax of a command.
func UsageLine(c *cobra.Command) string {
	line := c.Use
	if c.HasParent() {
		line = c.Parent().CommandPath() + " " + c.Use
	}
	if c.HasAvailableSubCommands() {
		line += " COMMAND"
	}
	return line
}

// FlagGroup contains the flags of a command under one heading.
type FlagGroup struct {
	Title string
	Flags []*pflag.Flag
}

// FlagGroups returns the flags of a command, without those that every command has.
func FlagGroups(c *cobra.Command) (groups []FlagGroup) {
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" || f.Name == "help" && c.HasParent() {
			return
		}
		title := "Options"
		if list := f.Annotations[groupAnnotation]; len(list) > 0 {
			title = list[0]
		}
		i := slices.IndexFunc(groups, func(g FlagGroup) bool { return g.Title == title })
		if i < 0 {
			i = len(groups)
			groups = append(groups, FlagGroup{Title: title})
		}
		groups[i].Flags = append(groups[i].Flags, f)
	})
	return groups
}

// FlagSyntax returns the syntax of a flag, and FlagText its description.
func FlagSyntax(f *pflag.Flag) string {
	text := "--" + f.Name
	if f.Shorthand != "" {
		text = "-" + f.Shorthand + ", " + text
	}
	if name := ValueName(f); name != "" {
		text += " " + name
	}
	return text
}

// ValueName names the value that a flag takes; "" for a switch.
func ValueName(f *pflag.Flag) string {
	if f.NoOptDefVal != "" {
		return ""
	}
	if list := f.Annotations[nameAnnotation]; len(list) > 0 {
		return list[0]
	}
	name, _ := pflag.UnquoteUsage(f)
	return name
}

// FlagText returns the description of a flag, with its values and its default.
func FlagText(f *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "false", "0", "[]":
	default:
		text += fmt.Sprintf(" (default %s)", f.DefValue)
	}
	if values := f.Annotations[valuesAnnotation]; len(values) > 0 {
		text += "\none of: " + strings.Join(values, ", ")
	}
	return text
}

func writeFlags(b *strings.Builder, flags []*pflag.Flag) {
	column := 0
	for _, f := range flags {
		if n := len(helpIndent+FlagSyntax(f)) + 2; n <= flagColumn {
			column = max(column, n)
		}
	}
	if column == 0 {
		column = flagColumn
	}
	for _, f := range flags {
		left := helpIndent + FlagSyntax(f)
		if len(left)+2 > column {
			b.WriteString(left + "\n")
			left = ""
		}
		for line := range strings.SplitSeq(FlagText(f), "\n") {
			b.WriteString(wrapLine(fmt.Sprintf("%-*s%s", column, left, line), column, HelpWidth) + "\n")
			left = ""
		}
	}
}

// visibleCommands returns the subcommands that help lists.
func visibleCommands(c *cobra.Command) (list []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			list = append(list, sub)
		}
	}
	return list
}

// WrapText fills paragraphs to the width. Indented lines stay separate lines. The rest of a line
// that is too long continues below the text of its last column.
func WrapText(text string, width int) string {
	var out, paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			out = append(out, wrapLine(strings.Join(paragraph, " "), 0, width))
			paragraph = nil
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && !strings.HasPrefix(line, " ") {
			paragraph = append(paragraph, line)
			continue
		}
		flush()
		out = append(out, wrapLine(line, textColumn(line), width))
	}
	flush()
	return strings.Join(out, "\n")
}

// textColumn returns the column at which the last column of an indented line starts.
func textColumn(line string) int {
	column := len(line) - len(strings.TrimLeft(line, " "))
	if i := strings.LastIndex(line, "  "); i+2 > column && i+2 < HelpWidth/2 {
		column = i + 2
	}
	return column
}

// wrapLine breaks a line at spaces, and continues it on the next line at the column indent.
func wrapLine(line string, indent, width int) string {
	var out []string
	for utf8.RuneCountInString(line) > width {
		cut := -1
		for i, n := 0, 0; i < len(line) && n <= width; n++ {
			if line[i] == ' ' && len(strings.TrimSpace(line[:i])) > 0 && i > indent {
				cut = i
			}
			_, size := utf8.DecodeRuneInString(line[i:])
			i += size
		}
		if cut < 0 {
			break
		}
		out = append(out, strings.TrimRight(line[:cut], " "))
		line = strings.Repeat(" ", indent) + strings.TrimLeft(line[cut:], " ")
	}
	return strings.Join(append(out, line), "\n")
}

// walkCommands yields a command and all its subcommands.
func walkCommands(c *cobra.Command) func(yield func(*cobra.Command) bool) {
	var walk func(*cobra.Command, func(*cobra.Command) bool) bool
	walk = func(c *cobra.Command, yield func(*cobra.Command) bool) bool {
		if !yield(c) {
			return false
		}
		for _, sub := range c.Commands() {
			if !walk(sub, yield) {
				return false
			}
		}
		return true
	}
	return func(yield func(*cobra.Command) bool) { walk(c, yield) }
}
