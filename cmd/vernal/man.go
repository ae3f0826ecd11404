package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
)

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
			pages := cli.ManPages(c.Root(), "vernal "+currentVersion().Version)
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
			a.Say("wrote %s to %s", cli.Plural(len(pages), "manual page"), dir)
			return a.Print(written, nil)
		},
	}
}
