package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/rotation"
	"vernal/idp/seal"
)

// initMaster makes the master key, unless one exists. It refuses if data is
// sealed with another master key; see explainMaster.
func (a *app) initMaster(c *Config, r *initResult) (*seal.Master, error) {
	env := a.Getenv(config.MasterKeyEnv)
	file := c.MasterKeyFile
	key, err := seal.LoadMaster(file, env)
	if err == nil {
		if env != "" {
			file = config.MasterKeyEnv + " (in the environment)"
		}
		r.Kept = append(r.Kept, file)
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var sealed *sealedError
	if errors.As(explainMaster(c), &sealed) {
		return nil, cli.Refuse("%v", sealed)
	}
	if key, err = seal.CreateMaster(file); err != nil {
		return nil, err
	}
	r.Created = append(r.Created, file)
	return key, nil
}

// initKeys makes the signing keys that a first start needs. Call it only while the store records
// no year. A recorded year keeps its certificate, and rotation steps make further years.
func (a *app) initKeys(c *Config, master *seal.Master, year idp.Year, r *initResult) error {
	policy := c.Policy()
	now := a.Clock.Now()
	vault, err := openVault(c, a.Getenv)
	if err != nil {
		return err
	}
	dir := keysDir(c, seal.NewMasters(master), vault)
	keys, err := loadKeys(dir)
	if err != nil {
		return err
	}
	want := policy.FirstYears(now)
	if year != "" {
		want = []idp.Year{year}
	}
	if policy.KeySource == rotation.SourceImport {
		if year != "" {
			return cli.Refuse("keys are external (rotation.key_source import), so init creates none: run vernal init without --year")
		}
		if len(keys) == 0 {
			r.Waits = want[0]
		}
		want = nil
	}
	hasKey := make(map[idp.Year]bool)
	for _, k := range keys {
		if !slices.Contains(want, k.Year) || k.External || k.Signer == nil {
			return cli.Refuse("the signing key of %s is in %s, and no store records it: restore %s from a backup; "+
				"if this is a new installation, move the files of %s away",
				k.Year, filepath.Join(c.DataDir, keysName), filepath.Join(c.DataDir, storeName), k.Year)
		}
		hasKey[k.Year] = true
		r.Kept = append(r.Kept, fmt.Sprintf("signing key %s", k.Year))
	}
	for _, y := range want {
		if hasKey[y] {
			continue
		}
		k, err := newKey(vault, y, policy, c.KeySpec(), c.BaseURL, now)
		if err != nil {
			return err
		}
		if err := dir.Save(k); err != nil {
			return err
		}
		r.Created = append(r.Created, fmt.Sprintf("signing key %s", y))
	}
	return nil
}

// recordYears creates the store and records the years in it. A recorded year keeps its certificate,
// so a key that is lost from now on is not replaced, even before the first start of the server.
func (a *app) recordYears(ctx context.Context, c *Config, r *initResult) error {
	log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d, err := openDeps(c, log, a.Clock, a.Getenv, a.lockWait, true)
	if err != nil {
		return fmt.Errorf("record the signing keys: %w", err)
	}
	st, err := d.Rotation.Status(ctx, nil)
	for _, y := range st.Years {
		if !y.CreatedAt.IsZero() {
			r.Years = append(r.Years, initYear{Year: y.Year, State: string(y.State), NotAfter: cli.FormatTime(y.CertEndAt)})
		}
	}
	return errors.Join(err, d.Close())
}

// errNoYears is returned for a store without years, which an interrupted init leaves.
var errNoYears = errors.New("no year is recorded")

// checkUnused returns errNoYears for a store that init may have created. It refuses a store with
// audit records, because the store of an interrupted init has none.
func checkUnused(ctx context.Context, c *Config, client *admin.Client) error {
	page, err := admin.Call(ctx, client, ops.ReadAudit, ops.AuditRange{Limit: 1})
	if err != nil {
		return err
	}
	if page.Head.Seq > 0 || len(page.Lines) > 0 {
		return cli.Refuse("%s has been in use and records no signing key: restore it and keys/ from a backup, or create a year with 'vernal rotation create YEAR'",
			filepath.Join(c.DataDir, storeName))
	}
	return errNoYears
}

// checkYears replaces initKeys for an installation that has been in use. It reports the recorded
// years, and refuses if one of them has lost its key.
func (a *app) checkYears(ctx context.Context, c *Config, year idp.Year, r *initResult) error {
	client, release, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer release()
	st, err := admin.Call(ctx, client, ops.ShowStatus, ops.Empty{})
	if err != nil {
		return err
	}
	policy := c.Policy()
	if policy.KeySource != rotation.SourceImport && !slices.ContainsFunc(st.Years, func(y rotation.YearStatus) bool { return !y.CreatedAt.IsZero() }) {
		return checkUnused(ctx, c, client)
	}
	if year != "" {
		return cli.Refuse("this installation has been in use: for a further year, run 'vernal rotation create %s'", year)
	}
	var faults []string
	for _, y := range st.Years {
		if y.CreatedAt.IsZero() || y.State.IsOver() {
			continue
		}
		if y.KeyFault != "" {
			faults = append(faults, fmt.Sprintf("%s is recorded, and %s", y.Year, faultText(y.KeyFault, y.Year)))
			continue
		}
		r.Kept = append(r.Kept, fmt.Sprintf("signing key %s", y.Year))
		r.Years = append(r.Years, initYear{Year: y.Year, State: string(y.State), NotAfter: cli.FormatTime(y.CertEndAt)})
	}
	if len(faults) > 0 {
		return cli.Refuse("init creates no key for a recorded year:\n  %s", strings.Join(faults, "\n  "))
	}
	if c.Rotation.KeySource == string(rotation.SourceImport) && len(r.Years) == 0 {
		for _, d := range st.DueSteps {
			r.Waits = d.Year
		}
	}
	return nil
}

// newKey makes the key of a year and its certificate, in the token if keys are made there.
func newKey(vault certs.Vault, y idp.Year, p rotation.Policy, spec certs.Spec, baseURL string, now time.Time) (*certs.Key, error) {
	end := p.Dates(y).CertEndAt
	if p.KeySource != rotation.SourcePKCS11 {
		return certs.NewKey(rand.Reader, y, end, spec, baseURL, now)
	}
	pub, err := vault.Make(y, spec.KeyBits())
	if err != nil {
		return nil, err
	}
	return certs.Certify(rand.Reader, &certs.VaultKey{Vault: vault, Year: y, Pub: pub}, y, end, spec, baseURL, now)
}

// canSign reports whether one of the years is preferred and can therefore sign.
func canSign(years []initYear) bool {
	return slices.ContainsFunc(years, func(y initYear) bool { return y.State == string(rotation.Preferred) })
}
