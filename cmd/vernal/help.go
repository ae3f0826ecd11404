package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/guide"
	"vernal/idp/rotation"
	"vernal/templates"
)

// helpCommand prints the help of a command or a guide. If a name is both, it means the
// command. A test keeps the names apart.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND|TOPIC]",
		Short: "Show the help of a command, or a guide",
		Long: `Show the help of a command, or a guide. Without an argument, list both.

The guides are those of /help and /developers. If there is a configuration, they
contain its URLs and its live years.`,
		Example: `    vernal help rotation rehearse
    vernal help install`,
		RunE: func(c *cobra.Command, args []string) error {
			book, err := guide.Load(templates.Guides())
			if err != nil {
				return fmt.Errorf("load guides: %w", err)
			}
			if len(args) == 0 {
				return a.listHelp(c.Root(), book)
			}
			if found, rest, err := c.Root().Find(args); err == nil && found != c.Root() && len(rest) == 0 {
				found.InitDefaultHelpFlag()
				return found.Help()
			}
			topic := book.Lookup(args[0])
			if topic == nil || len(args) > 1 {
				return cli.Usage(c, "no command and no guide is called %q; 'vernal help' lists them", strings.Join(args, " "))
			}
			return a.printGuide(c.Context(), book, topic)
		},
	}
}

// listHelp prints the commands and the guides.
func (a *app) listHelp(root *cobra.Command, book *guide.Book) error {
	if a.JSON {
		return a.PrintJSON(book.Topics())
	}
	if err := root.Help(); err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nGuides, printed by \"vernal help TOPIC\":")
	audience := guide.Audience("")
	for _, t := range book.Topics() {
		if t.Audience != audience {
			audience = t.Audience
			fmt.Fprintf(w, "\nFor %s:\n", audience)
		}
		fmt.Fprintf(w, "  %s\t%s\n", t.Name, t.Title)
	}
	return w.Flush()
}

// guideText is a guide with its values, as --json prints it.
type guideText struct {
	*guide.Topic
	Markdown string `json:"markdown"`
}

// printGuide prints a guide for a terminal, or with --json as Markdown.
func (a *app) printGuide(ctx context.Context, book *guide.Book, t *guide.Topic) error {
	v := a.guideValues(ctx)
	if a.JSON {
		text, err := t.Markdown(v)
		if err != nil {
			return err
		}
		return a.PrintJSON(guideText{t, text})
	}
	text, err := book.Text(t, v, cli.HelpWidth)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.Out, text)
	return err
}

// guideValues returns the values of the configured installation. Without one, or if it
// cannot be asked, guides show examples: help must always work.
func (a *app) guideValues(ctx context.Context) guide.Values {
	c, err := a.config()
	if err != nil || c.File == "" {
		return guide.Example()
	}
	v := guide.Values{BaseURL: c.BaseURL}
	client, release, err := a.connect(ctx)
	if err != nil {
		return v
	}
	defer release()
	list, err := admin.Call(ctx, client, ops.ListYears, ops.Empty{})
	if err != nil {
		return v
	}
	for _, y := range list.Years {
		state := rotation.State(y.State)
		if !state.IsLive() || y.SHA256 == "" {
			continue
		}
		sum, _ := hex.DecodeString(y.SHA256)
		year := guide.Year{Year: y.Year, State: state, EndAt: y.NotAfter, SHA256: certs.FormatFingerprint(sum)}
		if state == rotation.Preferred {
			v.Years = append([]guide.Year{year}, v.Years...)
		} else {
			v.Years = append(v.Years, year)
		}
	}
	return v
}

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write a manual page for every command",
		Long: `Write a manual page for every command into a folder, which is made if it does
not exist. Pages of the same name are replaced.`,
		Example: `    vernal man /usr/local/share/man/man1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make the folder: %w", err)
			}
			pages := cli.RenderManPages(c.Root(), "vernal "+currentVersion().Version)
			written := struct {
				Files []string `json:"files"`
			}{[]string{}}
			for _, p := range pages {
				path := filepath.Join(dir, p.Name)
				if err := os.WriteFile(path, p.Content, 0o644); err != nil {
					return fmt.Errorf("write the manual page: %w", err)
				}
				written.Files = append(written.Files, path)
			}
			a.Say("wrote %s to %s", cli.FormatCount(len(pages), "manual page"), dir)
			return a.Print(written, nil)
		},
	}
}
