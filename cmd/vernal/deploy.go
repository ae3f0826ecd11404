package main

import (
	_ "embed"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
)

// The files for those who run Vernal. They travel in the binary, so that they
// always fit the version that runs.
var (
	//go:embed deploy/alerts.yaml
	deployAlerts string
	//go:embed deploy/dashboard.json
	deployDashboard string
	//go:embed deploy/vernal.service
	deploySystemd string
)

// deployFile is a file that is printed on demand.
type deployFile struct {
	Name string `json:"name"`
	// File is what it is usually called where it goes.
	File    string `json:"file"`
	What    string `json:"what"`
	Content string `json:"content,omitempty"`
}

func deployFiles() []deployFile {
	return []deployFile{
		{"alerts", "vernal-alerts.yaml", "alerting rules for Prometheus", deployAlerts},
		{"dashboard", "vernal.json", "a dashboard for Grafana", deployDashboard},
		{"systemd", "vernal.service", "a hardened unit for systemd", deploySystemd},
	}
}

func (a *app) deployCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deploy",
		Short: "Files for running Vernal: alerting rules, dashboard, systemd unit",
		Example: `    vernal deploy list
    vernal deploy show systemd >/etc/systemd/system/vernal.service`,
	}
	c.AddCommand(a.deployListCommand(), a.deployShowCommand())
	return c
}

func (a *app) deployListCommand() *cobra.Command {
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
			files := deployFiles()
			rows := make([][]string, len(files))
			for i, f := range files {
				rows[i] = []string{f.Name, f.File, f.What}
				files[i].Content = ""
			}
			if a.json {
				return a.printJSON(map[string]any{"files": files})
			}
			return table(a.out, []string{"NAME", "FILE", "WHAT"}, rows)
		},
	}
}

func (a *app) deployShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print a file",
		Long: `Print a file to standard output. What it is for, and where it goes, stands at its
top; "vernal deploy list" lists them.`,
		Example: `    vernal deploy show alerts >/etc/prometheus/vernal-alerts.yaml
    vernal deploy show systemd >/etc/systemd/system/vernal.service`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files := deployFiles()
			i := slices.IndexFunc(files, func(f deployFile) bool { return f.Name == args[0] })
			if i < 0 {
				return usage(c, "there is no file %q; see: vernal deploy list", args[0])
			}
			if a.json {
				return a.printJSON(files[i])
			}
			_, err := io.WriteString(a.data(), files[i].Content)
			if err != nil {
				return fmt.Errorf("print %s: %w", files[i].Name, err)
			}
			return nil
		},
	}
}
