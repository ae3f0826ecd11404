// Package deploy is the command "vernal deploy", which prints the files for running
// Vernal.
package deploy

import (
	"context"
	_ "embed"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
)

// The files are embedded, so that they always fit the version that runs.
var (
	//go:embed alerts.yaml
	Alerts string
	//go:embed dashboard.json
	Dashboard string
	//go:embed vernal.service
	Systemd string
)

// file is a file that is printed on demand.
type file struct {
	Name string `json:"name"`
	// File is the usual name of the installed file.
	File    string `json:"file"`
	What    string `json:"what"`
	Content string `json:"content,omitempty"`
}

func listFiles() []file {
	return []file{
		{"alerts", "vernal-alerts.yaml", "alerting rules for Prometheus", Alerts},
		{"dashboard", "vernal.json", "a dashboard for Grafana", Dashboard},
		{"systemd", "vernal.service", "a hardened unit for systemd", Systemd},
	}
}

// commands are the commands of this package.
type commands struct{ *cli.App }

// Command returns the command and its subcommands.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{
		Use:   "deploy",
		Short: "Files for running Vernal: alerting rules, dashboard, systemd unit",
		Example: `    vernal deploy list
    vernal deploy show systemd >/etc/systemd/system/vernal.service`,
	}
	c.AddCommand(a.listCommand(), a.showCommand())
	return c
}

func (a *commands) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the files",
		Example: `    vernal deploy list
    NAME       FILE                WHAT
    alerts     vernal-alerts.yaml  alerting rules for Prometheus
    dashboard  vernal.json         a dashboard for Grafana
    systemd    vernal.service      a hardened unit for systemd`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			list := listFiles()
			for i := range list {
				list[i].Content = ""
			}
			return a.Print(map[string]any{"files": list}, func() error {
				return cli.WriteList(a.Out, []string{"NAME", "FILE", "WHAT"}, list, func(f file) []string { return []string{f.Name, f.File, f.What} })
			})
		},
	}
}

func (a *commands) showCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a file",
		Long: `Print a file to standard output. What it is for, and where it goes, is written at its
top; "vernal deploy list" lists them.`,
		Example: `    vernal deploy show alerts >/etc/prometheus/vernal-alerts.yaml
    vernal deploy show systemd >/etc/systemd/system/vernal.service`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			list := listFiles()
			i := slices.IndexFunc(list, func(f file) bool { return f.Name == args[0] })
			if i < 0 {
				return cli.Usage(c, "unknown file %q; see: vernal deploy list", args[0])
			}
			return a.Print(list[i], func() error {
				_, err := io.WriteString(a.Data(), list[i].Content)
				return err
			})
		},
	}
	a.CompleteArg(c, func(context.Context, *cli.App, string) (names []string) {
		for _, f := range listFiles() {
			names = append(names, f.Name)
		}
		return names
	})
	return c
}
