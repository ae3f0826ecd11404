package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vernal/idp"
	"vernal/idp/shell"
)

// commandTree returns the commands, to look up how a suggestion is typed. It is made on
// demand, because commands themselves print suggestions.
func commandTree() *cobra.Command {
	tree.once.Do(func() { tree.root = newCommandTree() })
	return tree.root
}

func newCommandTree() *cobra.Command {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }, clock: time.Now}
	return a.rootCommand()
}

var tree struct {
	once sync.Once
	root *cobra.Command
	// looking guards look-ups, because they change the tree.
	looking sync.Mutex
}

// commandLine renders a suggestion as a command line. No other function does: all packages
// below cmd suggest values.
func commandLine(s idp.Suggestion) string {
	line, err := renderCommand(commandTree(), s)
	if err != nil {
		return string(s.Do)
	}
	return line
}

// renderCommand finds the suggestion in the tree. The error names an unknown command or option.
func renderCommand(root *cobra.Command, s idp.Suggestion) (string, error) {
	tree.looking.Lock()
	defer tree.looking.Unlock()
	c, rest, err := root.Find(strings.Split(string(s.Do), "."))
	if err != nil || len(rest) > 0 || c == root {
		return "", fmt.Errorf("no command does %q", s.Do)
	}
	words := []string{c.CommandPath()}
	var last []string // subjects that look like an option
	for i, subject := range s.Subjects {
		switch {
		case subject == "":
			words = append(words, placeholder(c, i))
		case strings.HasPrefix(subject, "-"):
			last = append(last, shell.Quote(subject))
		default:
			words = append(words, shell.Quote(subject))
		}
	}
	for _, o := range s.Options {
		name := strings.ReplaceAll(o.Name, "_", "-")
		flag := c.Flags().Lookup(name)
		if flag == nil {
			return "", fmt.Errorf("%s has no option %q", c.CommandPath(), o.Name)
		}
		words = append(words, "--"+name)
		switch value, _ := pflag.UnquoteUsage(flag); {
		case o.Value != "":
			words = append(words, shell.Quote(o.Value))
		case flag.NoOptDefVal == "": // no switch: the user fills it in
			words = append(words, value)
		}
	}
	if len(last) > 0 {
		words = append(append(words, "--"), last...)
	}
	return strings.Join(words, " "), nil
}

// placeholder returns the name of the i-th argument in the command's usage.
func placeholder(c *cobra.Command, i int) string {
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
