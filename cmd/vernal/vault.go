package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vernal/certs"
	"vernal/certs/token"
	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp/rotation"
	"vernal/idp/seal"
)

// openVault opens the configured token, and returns nil without one. The token is not used before
// a key in it is needed.
func openVault(c *config.Config, getenv func(string) string) (certs.Vault, error) {
	p := c.Rotation.PKCS11
	if p.Module == "" {
		return nil, nil
	}
	if info, err := os.Stat(p.Module); err == nil { // its code runs in this process
		if err := config.CheckTrust(p.Module, info, os.Geteuid()); err != nil {
			return nil, cli.Refuse("%v", err)
		}
	}
	pin, err := readSecret("rotation.pkcs11.pin", p.PinFile, getenv(config.PinEnv))
	if err == nil && pin == "" {
		err = fmt.Errorf("the token's PIN is missing: set rotation.pkcs11.pin_file, or %s in the environment", config.PinEnv)
	}
	if err != nil {
		return nil, err
	}
	return token.Open(token.Config{Module: p.Module, Label: p.Token, PIN: pin, Installation: c.BaseURL})
}

// checkToken asks the token for the keys of the live years before the server starts. Without the
// key of the preferred year, the server does not start. A wrong PIN is a refusal, so that a
// supervisor does not restart the server until the token locks itself.
func (d *deps) checkToken() error {
	for _, e := range d.Years.Live(d.Clock.Now()) {
		kept, ok := e.Key.Signer.(*certs.VaultKey)
		if !ok {
			continue
		}
		err := kept.CheckReady()
		switch {
		case err == nil:
		case errors.Is(err, token.ErrPIN):
			return cli.Refuse("%v", err)
		case e.State == rotation.Preferred:
			return fmt.Errorf("nothing can be served: %w", err)
		default:
			d.Log.Error("a year cannot sign", "year", string(e.Key.Year), "error", err.Error())
		}
	}
	return nil
}

// keysDir returns the folder of the signing keys. vault is nil without a token.
func keysDir(c *Config, masters *seal.Masters, vault certs.Vault) *certs.Dir {
	return certs.OpenDir(filepath.Join(c.DataDir, keysName), masters).WithVault(vault)
}
