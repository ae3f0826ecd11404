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
	"vernal/idp/shellquote"
)

// commandTree is the tree of commands, to look up how a command is typed. It is made when
// it is needed: commands themselves print suggestions.
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
	// looking is held while a command is looked up: that changes the tree.
	looking sync.Mutex
}

// commandLine renders a suggestion as a line to type. It is the only place that
// does: everything below cmd suggests values.
func commandLine(s idp.Suggestion) string {
	line, err := renderCommand(commandTree(), s)
	if err != nil {
		return string(s.Do)
	}
	return line
}

// renderCommand looks the suggestion up in the tree. The error names a command or an
// option that does not exist.
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
		switch value, _ := pflag.UnquoteUsage(flag); {
		case o.Value != "":
			words = append(words, shellquote.Quote(o.Value))
		case flag.NoOptDefVal == "": // no switch: the user fills it in
			words = append(words, value)
		}
	}
	if len(last) > 0 {
		words = append(append(words, "--"), last...)
	}
	return strings.Join(words, " "), nil
}

// placeholder is what the usage of the command calls its i-th argument.
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
