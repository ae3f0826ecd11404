package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/shellquote"
)

// initResult is the result of `vernal init`.
type initResult struct {
	Config  string     `json:"config"`
	DataDir string     `json:"data_dir"`
	BaseURL string     `json:"base_url"`
	Created []string   `json:"created"`
	Kept    []string   `json:"kept"`
	Years   []initYear `json:"years"`
	// TrustedProxies is the value written for an https base_url without TLS.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	// Waits is the year that waits for its external key and certificate.
	Waits idp.Year `json:"waits,omitzero"`
}

type initYear struct {
	Year     idp.Year `json:"year"`
	State    string   `json:"state"`
	NotAfter string   `json:"not_after,omitempty"`
}

func (a *app) initCommand() *cobra.Command {
	var baseURL, dataDir, year string
	c := &cobra.Command{
		Use:   "init",
		Short: "Make what a server needs: configuration, data folder, master key, signing keys",
		Long: `Make what a server needs: a vernal.yaml in which every key is
explained, the data folder, the master key, and the signing keys that the
calendar asks for today. Existing files are not changed, so that an interrupted
init can be run again. Once a year is recorded, init makes no key: a year never
gets another certificate without notice. Nor does it record keys that it did not
make.`,
		Example: `    vernal init --base-url https://login.example.gov
    vernal init --config /etc/vernal/vernal.yaml --data-dir /var/lib/vernal`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			given := make(map[string]string)
			if c.Flags().Changed("base-url") {
				given["base_url"] = baseURL
			}
			if c.Flags().Changed("data-dir") {
				given["data_dir"] = dataDir
			}
			if year != "" && !idp.Year(year).IsValid() {
				return cli.Usage(c, "--year %q is not a year, such as 2027", year)
			}
			return a.init(c.Context(), given, idp.Year(year))
		},
	}
	c.Flags().StringVar(&baseURL, "base-url", "", "the `URL` of this server (default http://localhost:8080)")
	c.Flags().StringVar(&dataDir, "data-dir", "", "the data `FOLDER` (default vernal-data beside the configuration)")
	c.Flags().StringVar(&year, "year", "", "make the signing key of this `YEAR` and not those of the calendar")
	return c
}

func (a *app) init(ctx context.Context, given map[string]string, year idp.Year) error {
	r := &initResult{Created: []string{}, Kept: []string{}, Years: []initYear{}}
	// Check this before anything is written, because a partial installation would block the
	// next attempt.
	if now := a.Clock.Now(); year != "" && !rotation.DefaultPolicy().Dates(year).CertEndAt.After(now) {
		return cli.Refuse("the signing certificate of %s would have ended on %s; --year is for this year's or a later one",
			year, rotation.DefaultPolicy().Dates(year).CertEndAt.Format(time.DateOnly))
	}
	c, err := a.initConfig(given, r)
	if err != nil {
		return err
	}
	if err := initFolder(c.DataDir, r); err != nil {
		return err
	}
	master, err := a.initMaster(c, r)
	if err != nil {
		return err
	}
	used, err := hasStore(c)
	if err != nil {
		return err
	}
	if used {
		err = a.checkYears(ctx, c, year, r)
	}
	if !used || errors.Is(err, errNoYears) {
		if err = a.initKeys(c, master, year, r); err == nil {
			err = a.recordYears(ctx, c, r)
		}
	}
	if err != nil {
		return err
	}
	return a.reportInit(c, r)
}

// initConfig writes the configuration, or reads the existing one, which must not contradict
// the flags.
func (a *app) initConfig(given map[string]string, r *initResult) (*Config, error) {
	name := cmp.Or(a.ConfigFile, config.DefaultFile)
	set := map[string]string{"base_url": config.Default().BaseURL} // written out, so that a new default never changes it
	maps.Copy(set, given)
	if a.needsProxy(set["base_url"]) {
		set["trusted_proxies"] = loopbackProxies
	}
	text, err := config.Write(set)
	if err != nil {
		return nil, err
	}
	switch err := cli.WriteNew(name, []byte(text)); {
	case errors.Is(err, fs.ErrExist):
		r.Kept = append(r.Kept, name)
	case err != nil:
		return nil, err
	default:
		r.Created = append(r.Created, name)
		if set["trusted_proxies"] != "" {
			r.TrustedProxies = strings.Split(loopbackProxies, ",")
		}
	}
	c, err := config.Load(a.ConfigFile, a.Getenv, a.environ...)
	if err != nil {
		if len(r.Created) > 0 { // the flags were wrong: remove the new files
			err = errors.Join(err, os.Remove(name))
		}
		return nil, err
	}
	for _, key := range []struct{ path, flag, value string }{
		{"base_url", strings.TrimSuffix(given["base_url"], "/"), c.BaseURL},
		{"data_dir", c.Path(given["data_dir"]), c.DataDir},
	} {
		if _, ok := given[key.path]; ok && key.flag != key.value {
			return nil, cli.Refuse("%s is set to %q already (%s), not %q; change it there, or leave the flag out",
				key.path, key.value, c.Origin(key.path), given[key.path])
		}
	}
	r.Config, r.DataDir, r.BaseURL = c.File, c.DataDir, c.BaseURL
	return c, nil
}

// loopbackProxies are the proxies on this machine, where the proxy that ends TLS
// usually runs.
const loopbackProxies = "127.0.0.1,::1"

// needsProxy reports whether a new configuration must name the proxy that ends
// TLS: base_url is https, and the environment sets neither TLS nor proxies.
func (a *app) needsProxy(baseURL string) bool {
	baseURL = cmp.Or(a.Getenv("VERNAL_BASE_URL"), baseURL)
	return strings.HasPrefix(baseURL, "https:") && a.Getenv("VERNAL_TLS_CERT") == "" && a.Getenv("VERNAL_TRUSTED_PROXIES") == ""
}

func initFolder(dir string, r *initResult) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(dir), 0o755); err == nil {
			return initFolder(dir, r)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the data folder: %w", err)
	}
	made := err == nil
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the data folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return cli.Refuse("%s is open to others (mode %04o): run 'chmod 700 %s' first", dir, mode, shellquote.Quote(dir))
	}
	if owner, ok := config.UIDOf(info); ok && owner != os.Geteuid() {
		return cli.Refuse("%s belongs to uid %d; run this as that user", dir, owner)
	}
	if made {
		r.Created = append(r.Created, dir)
	} else {
		r.Kept = append(r.Kept, dir)
	}
	return nil
}

func (a *app) reportInit(c *Config, r *initResult) error {
	for _, what := range r.Created {
		a.Say("made %s", what)
	}
	for _, what := range r.Kept {
		a.Say("kept %s, which was there", what)
	}
	for _, y := range r.Years {
		if y.NotAfter == "" {
			a.Say("the key of %s waits for its certificate", y.Year)
			continue
		}
		a.Say("our signing certificate (%s) is %s and ends %s", y.Year, y.State, strings.TrimSuffix(y.NotAfter, "T00:00:00Z"))
	}
	if len(r.Created) == 0 {
		a.Say("nothing was missing; nothing was changed")
	}
	if len(r.TrustedProxies) > 0 {
		a.Say("trusted_proxies is %s, a proxy on this machine that ends TLS: change it in %s if the proxy is another, or set tls.cert and tls.key",
			strings.Join(r.TrustedProxies, " and "), r.Config)
	}
	if strings.HasPrefix(c.BaseURL, "http:") {
		a.Say("base_url is %s: to let others in, set it to your https URL in %s first", c.BaseURL, r.Config)
	}
	a.Say("keep a copy of the master key apart from the data folder: without it nothing there can be read")
	switch {
	case r.Waits != "":
		a.Say("keys are external (rotation.key_source import); none is made here")
		a.Say("next: vernal rotation csr %s, and import %s when its certificate has come; or import an external pair", r.Waits, r.Waits)
	case c.Rotation.KeySource == string(rotation.SourceImport):
		a.Say("next: vernal rotation status%s", a.configHint())
	case canSign(r.Years):
		a.Say("next: vernal serve%s", a.configHint())
	default:
		a.Say("no year can sign: restore the private key of one of these to %s from a backup", filepath.Join(c.DataDir, keysName))
	}
	return a.Print(r, nil)
}

// configHint returns the --config that the next command needs too.
func (a *app) configHint() string {
	if a.ConfigFile == "" {
		return ""
	}
	return " --config " + shellquote.Quote(a.ConfigFile)
}
