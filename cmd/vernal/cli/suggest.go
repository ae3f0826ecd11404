package cli

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/shellquote"
	"vernal/idp/sp"
	"vernal/templates"
)

// Tree is a tree of commands, to look up how a command is typed. It is built at the first
// look-up, because commands themselves print suggestions. Safe for concurrent use.
type Tree struct {
	mu   sync.Mutex // held during a look-up, which changes the tree
	root *cobra.Command
}

// Line renders a suggestion as a line to type. Packages outside cmd only suggest values.
func (t *Tree) Line(newTree func() *cobra.Command, s idp.Suggestion) string {
	line, err := t.Render(newTree, s)
	if err != nil {
		return string(s.Do)
	}
	return line
}

// Render is Line with an error for a command or an option that does not exist.
func (t *Tree) Render(newTree func() *cobra.Command, s idp.Suggestion) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root == nil {
		t.root = newTree()
	}
	c, rest, err := t.root.Find(strings.Split(string(s.Do), "."))
	if err != nil || len(rest) > 0 || c == t.root {
		return "", fmt.Errorf("no command does %q", s.Do)
	}
	words := []string{c.CommandPath()}
	var last []string // subjects that look like an option
	for i, subject := range s.Subjects {
		switch {
		case subject == "":
			words = append(words, lookupPlaceholder(c, i))
		case strings.HasPrefix(subject, "-"):
			last = append(last, shellquote.Quote(subject))
		default:
			words = append(words, shellquote.Quote(subject))
		}
	}
	for _, o := range s.Options {
		name := strings.ReplaceAll(o.Name, "_", "-")
		flag := c.Flags().Lookup(name)
		if flag == nil {
			return "", fmt.Errorf("%s has no option %q", c.CommandPath(), o.Name)
		}
		words = append(words, "--"+name)
		switch value := ValueName(flag); {
		case o.Value != "":
			words = append(words, shellquote.Quote(o.Value))
		case flag.NoOptDefVal == "": // not a switch: the user fills in the value
			words = append(words, value)
		}
	}
	if len(last) > 0 {
		words = append(append(words, "--"), last...)
	}
	return strings.Join(words, " "), nil
}

// lookupPlaceholder returns the name of the i-th argument in the command's usage.
func lookupPlaceholder(c *cobra.Command, i int) string {
	var names []string
	for _, word := range strings.Fields(c.Use)[1:] {
		if strings.HasPrefix(word, "-") || strings.HasPrefix(word, "[-") {
			break
		}
		names = append(names, strings.Trim(word, "[]…."))
	}
	if i < len(names) {
		return names[i]
	}
	return "VALUE"
}

// SuggestionLine returns the command of a suggestion, after its label.
func (a *App) SuggestionLine(s idp.Suggestion) string {
	if s.Label == "" {
		return a.CommandLine(s)
	}
	return templates.SuggestionLabel("en", s.Label) + ": " + a.CommandLine(s)
}

// SaySuggestions writes the suggestions below a message.
func (a *App) SaySuggestions(list []idp.Suggestion) {
	for _, s := range list {
		a.Say("  %s", idp.ReplaceControls(a.SuggestionLine(s)))
	}
}

// FlagName returns the name of an option's flag, without dashes in front.
func FlagName(option string) string { return strings.ReplaceAll(option, "_", "-") }

// OptionFlag returns an option as a flag.
func OptionFlag(o idp.Option) string {
	flag := "--" + FlagName(o.Name)
	if o.Value != "" {
		flag += " " + o.Value
	}
	return flag
}

// errorText returns the text of an error, with the options that permit the command anyway.
func errorText(err error) string {
	text := err.Error()
	var e *admin.Error
	if !errors.As(err, &e) {
		return text
	}
	for _, p := range e.Problems {
		if p.Option.Name != "" {
			text = strings.Replace(text, p.String(), p.String()+" ("+OptionFlag(p.Option)+" allows it)", 1)
		}
	}
	for _, p := range e.Permissions {
		text += "\n  " + OptionFlag(idp.Option{Name: string(p)}) + ": " + PermissionHelp[p]
	}
	return text
}

// PermissionHelp describes each permission.
var PermissionHelp = map[sp.Permission]string{
	sp.PermitInsecureURL: "let URLs be http on other hosts than this one",
	sp.PermitResume:      "give a provider that was removed and comes back its old NameIDs",
	sp.PermitReplace:     "replace a registration that exists",
	sp.PermitNewNameIDs:  "when the agency changes: give everyone a new NameID",
	sp.PermitKeepNameIDs: "when the agency changes: copy the NameIDs, so that the provider knows everyone as before",
}
