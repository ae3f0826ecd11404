package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/seal"
)

// initMaster makes the master key, unless there is one. Where something sealed
// is there and its key is not, a new key would hide the loss until it is too
// late to look for the old one.
func (a *app) initMaster(c *Config, r *initResult) (*seal.Key, error) {
	env := a.getenv(masterKeyEnv)
	file := c.masterKeyFile()
	key, err := seal.LoadMaster(file, env)
	if err == nil {
		if env != "" {
			file = masterKeyEnv + " (in the environment)"
		}
		r.kept(file)
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range []string{keysName, storeName} {
		if _, err := os.Lstat(filepath.Join(c.dataDir(), name)); err == nil {
			return nil, refuse("%s is there, but not the master key it was sealed with (%s): put that back from your backup",
				filepath.Join(c.dataDir(), name), file)
		}
	}
	if key, err = seal.CreateMaster(file); err != nil {
		return nil, err
	}
	r.created(file)
	return key, nil
}

// initKeys makes the signing keys that a first start needs. Once there is a
// store, the installation has lived: then a missing year is the rotation's
// business, and init must not make one preferred.
func (a *app) initKeys(c *Config, master *seal.Key, year idp.Year, r *initResult) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	now := a.clock.Now()
	vault, err := c.vault(a.getenv)
	if err != nil {
		return err
	}
	dir := keysDir(c, master, vault)
	keys, err := dir.Load()
	if err != nil {
		return err
	}
	_, err = os.Lstat(filepath.Join(c.dataDir(), storeName))
	lived := err == nil && len(keys) > 0
	want := policy.FirstYears(now)
	if year != "" {
		want = []idp.Year{year}
	}
	if policy.KeySource == certs.SourceImport {
		if year != "" {
			return refuse("keys come from elsewhere (rotation.key_source import): none is made here, not for --year either")
		}
		r.wait(keys, want)
		want = nil
	}
	have := make(map[idp.Year]bool)
	for _, k := range keys {
		have[k.Year] = true
		r.kept(fmt.Sprintf("signing key %s", k.Year))
	}
	for _, y := range want {
		switch {
		case have[y]:
			continue
		case lived && year != "":
			return refuse("this installation has been in use: a further year is not made by init")
		case lived:
			continue
		}
		k, err := newKey(vault, y, policy, c.BaseURL, now)
		if err != nil {
			return err
		}
		if err := dir.Save(k); err != nil {
			return err
		}
		keys = append(keys, k)
		r.created(fmt.Sprintf("signing key %s", y))
	}
	for _, e := range certs.NewRing(policy, keys).All(now) {
		y := initYear{Year: e.Year(), State: string(e.State)}
		if lived {
			y.State = "" // the store knows, and a server may hold it: rotation status tells
		}
		if e.Key.Cert != nil {
			y.NotAfter = moment(e.Key.Cert.NotAfter)
		}
		r.Years = append(r.Years, y)
	}
	return nil
}

// wait notes the first year that waits for what comes from elsewhere, where no
// key is there.
func (r *initResult) wait(keys []*certs.Key, want []idp.Year) {
	if len(keys) == 0 {
		r.Waits = want[0]
	}
}

// newKey makes the key of a year and its certificate, in the token where keys
// are made there.
func newKey(vault certs.Vault, y idp.Year, p certs.Policy, baseURL string, now time.Time) (*certs.Key, error) {
	if p.KeySource != certs.SourcePKCS11 {
		return certs.NewKey(rand.Reader, y, p, baseURL, now)
	}
	pub, err := vault.Make(y, p.KeyBits)
	if err != nil {
		return nil, err
	}
	return certs.Certify(rand.Reader, &certs.VaultKey{Vault: vault, Year: y, Pub: pub}, y, p, baseURL, now)
}

// canSign reports whether one of the years is preferred, and so can sign.
func canSign(years []initYear) bool {
	return slices.ContainsFunc(years, func(y initYear) bool { return y.State == string(certs.Preferred) })
}
