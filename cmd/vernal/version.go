package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the description of the source by git, set by the linker (LDFLAGS in the
// Makefile). In other builds it is "", and the build information of the Go tool is used.
var version string

// buildVersion describes the source of the binary, as recorded by the build.
type buildVersion struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func currentVersion() buildVersion {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	v := buildVersion{
		Version: cmp.Or(version, info.Main.Version, "unknown"), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}

func (v buildVersion) String() string {
	return fmt.Sprintf("vernal %s (%s, %s)", v.Version, v.Go, v.Platform)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: `    vernal version`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := currentVersion()
			return a.Print(v, func() error {
				_, err := fmt.Fprintln(a.Out, v)
				return err
			})
		},
	}
}
