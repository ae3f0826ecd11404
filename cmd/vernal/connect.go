package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"vernal/cmd/vernal/backup"
	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/restore"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

const (
	// lockWait is how long a command waits for a locked store while no server answers: a
	// server may be starting or stopping, or another command may run.
	lockWait = 5 * time.Second
	// lockTry is the interval between two attempts to reach a server.
	lockTry = 100 * time.Millisecond
	// pingWait is how long a server that accepts may take to answer.
	pingWait = 3 * time.Second
)

// connect returns a client of the running server or, without one, of a service in this
// process. Call release when done.
func (a *app) connect(ctx context.Context) (client *admin.Client, release func(), err error) {
	c, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	if err := a.trustDataDir(c); err != nil {
		return nil, nil, err
	}
	deadline := time.Now().Add(a.lockWait)
	for {
		client, release, err := a.connectOnce(ctx, c)
		if !errors.Is(err, idp.ErrLocked) || ctx.Err() != nil {
			return client, release, err
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf(
				"another process holds the store in %s and does not answer on %s there: wait if a server is starting, or restart it if it hangs",
				c.DataDir, admin.SocketName)
		}
	}
}

// connectOnce tries the socket, then the store.
func (a *app) connectOnce(ctx context.Context, c *Config) (*admin.Client, func(), error) {
	client := admin.NewSocketClient(c.DataDir)
	pingCtx, cancel := context.WithTimeout(ctx, pingWait)
	defer cancel()
	_, err := admin.Call(pingCtx, client, ops.Ping, ops.Empty{})
	if err == nil {
		return client, client.Close, nil
	}
	client.Close()
	var answerErr *admin.Error
	switch {
	case errors.As(err, &answerErr):
		return nil, nil, err
	case errors.Is(err, admin.ErrImpostor):
		return nil, nil, cli.Refuse("%v", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, cli.Refuse("%s belongs to another user: run this as its owner or as root", c.DataDir)
	}
	return a.openLocally(c)
}

// openLocally opens the store in this process. Only the folder's owner may do so, because files of
// another user there, even root's, could keep the server from starting.
func (a *app) openLocally(c *Config) (*admin.Client, func(), error) {
	self := admin.Self()
	if owner, ok := config.OwnerOf(c.DataDir); ok && owner != self.UID {
		return nil, nil, cli.Refuse("%s belongs to uid %d, this command runs as uid %d, and no server runs there: run it as that user",
			c.DataDir, owner, self.UID)
	}
	d, err := openDeps(c, a.newWarningLog(), a.Clock, a.Getenv, lockTry, false)
	if err != nil {
		return nil, nil, err
	}
	client := admin.NewProcessClient(d.service("").Endpoint(self.UID), self)
	return client, func() {
		if err := d.Close(); err != nil {
			a.Say("vernal: close the store: %v", err)
		}
	}, nil
}

// trustDataDir checks the data folder before a command uses its socket. A missing folder is not
// an error here.
func (a *app) trustDataDir(c *Config) error {
	dir := c.DataDir
	info, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	self := os.Geteuid()
	owner, ok := config.UIDOf(info)
	switch {
	case !ok:
		return nil
	case owner != self && self == 0 && !c.Explicit:
		return cli.Refuse("%s belongs to uid %d, and this command runs as root: to use another user's installation, name its configuration with --config", dir, owner)
	case owner != self && self != 0:
		return cli.Refuse("%s belongs to uid %d, and this command runs as uid %d: run it as that user, or as root with --config", dir, owner, self)
	}
	for _, err := range []error{config.CheckTrust(dir, info, self, owner), config.CheckFolderTrust(dir, self, owner), checkDataFiles(c, self, owner)} {
		if err != nil {
			return cli.Refuse("%v", err)
		}
	}
	return nil
}

// checkDataFiles checks the files in the data folder, and the master key: only the owners and root
// may have written them.
func checkDataFiles(c *Config, owners ...int) error {
	names := []string{c.MasterKeyFile}
	for _, name := range []string{storeName, admin.SocketName, keysName, restore.MarkerName, restore.SinceName} {
		names = append(names, filepath.Join(c.DataDir, name))
	}
	keys, err := filepath.Glob(filepath.Join(c.DataDir, keysName, "*"))
	if err != nil {
		return err
	}
	for _, name := range append(names, keys...) {
		info, err := os.Stat(name)
		if err != nil {
			continue // reported where the file is read
		}
		if err := config.CheckTrust(name, info, owners...); err != nil {
			return err
		}
	}
	return nil
}

// restoreHost returns the parts of the program that a restore needs.
func (a *app) restoreHost() backup.Host {
	return backup.Host{
		Place: func(dataDir string) (backup.Place, error) {
			c, err := a.configFor(dataDir)
			if err != nil {
				return backup.Place{}, err
			}
			p := backup.Place{
				DataDir: c.DataDir, MasterKeyFile: c.MasterKeyFile, MasterKey: a.Getenv(config.MasterKeyEnv), ConfigFile: c.File,
			}
			if p.ConfigFile == "" {
				p.ConfigFile, err = filepath.Abs(config.DefaultFile)
			}
			return p, err
		},
		Schema: bolt.Schema,
		OpenStore: func(path string, m *seal.Master) (backup.Store, error) {
			return bolt.Open(path, bolt.Options{Masters: seal.NewMasters(m), Clock: a.Clock})
		},
		Finish: func(_ context.Context, dataDir string) (*restore.Report, error) {
			c, err := a.configFor(dataDir)
			if err != nil {
				return nil, err
			}
			d, err := openDeps(c, a.newWarningLog(), a.Clock, a.Getenv, lockTry, false)
			if err != nil {
				return nil, err
			}
			return d.restored, d.Close()
		},
		ConfigFor: config.ForFolder,
	}
}

// configFor reads the configuration for another data folder; "" for the configured one.
func (a *app) configFor(dataDir string) (*Config, error) {
	c, err := a.config()
	if err != nil || dataDir == "" {
		return c, err
	}
	absPath, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, err
	}
	c.MoveTo(absPath)
	return c, nil
}

// newWarningLog returns the log of a command.
func (a *app) newWarningLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
