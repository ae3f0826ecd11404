package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/cmd/vernal/demo"
	"vernal/idp"
	"vernal/idp/notify"
)

// demoMark is the file that marks a folder as the demo's.
const demoMark = "demo"

// getNoEnv keeps the environment of a real installation away from the demo.
func getNoEnv(string) string { return "" }

// demoFolder makes the folder ready: configuration, master key, signing keys.
// An existing folder must be a demo's, because the password of its user is
// public.
func (a *app) demoFolder(dir string, ports *demo.Ports) (*Config, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the folder: %w", err)
	}
	mark := filepath.Join(dir, demoMark)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look into the folder: %w", err)
	}
	if _, err := os.Stat(mark); err != nil && len(entries) > 0 {
		return nil, cli.Refuse("%s contains files that do not belong to a demo: name a new folder with --data-dir", dir)
	}
	result := &initResult{}
	if err := initFolder(dir, result); err != nil {
		return nil, err
	}
	if err := os.WriteFile(mark, []byte("This folder was made by `vernal demo`. The password of its user is public.\n"), 0o600); err != nil {
		return nil, fmt.Errorf("mark the folder: %w", err)
	}
	text, err := config.Write(map[string]string{
		"base_url": demo.BaseURL("localhost", ports.IdP), "listen": ports.IdP.Addr().String(), "admin_listen": ports.Admin.Addr().String(),
		"data_dir": ".", "mail.server": ports.Mail.Addr().String(), "mail.from": "vernal@demo.example", "mail.tls": notify.NoTLS, "rotation.notify": demoOperator, "users.sign_up": "open",
	})
	if err != nil {
		return nil, err
	}
	// Write it each time, because the ports may have changed.
	file := filepath.Join(dir, config.DefaultFile)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	c, err := config.Load(file, getNoEnv)
	if err != nil {
		return nil, err
	}
	demoApp, sharedApp := *a, *a.App
	sharedApp.Getenv = getNoEnv
	demoApp.App = &sharedApp
	master, err := demoApp.initMaster(c, result)
	if err != nil {
		return nil, err
	}
	if isUsed, err := hasStore(c); isUsed || err != nil {
		return c, err
	}
	return c, demoApp.initKeys(c, master, "", result)
}

// listenDemo opens the ports of a demo: three consecutive ports, or free ones for port 0,
// and free ones for the internal services.
func listenDemo(listen string) (_ *demo.Ports, err error) {
	host, text, err := net.SplitHostPort(listen)
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil || port > 65535-3 {
		return nil, cli.UsageOf("vernal demo", "--listen %q is not HOST:PORT, such as %s", listen, demoListen)
	}
	ports := &demo.Ports{}
	defer func() {
		if err != nil {
			ports.Close()
		}
	}()
	for i, p := range []struct {
		role string
		l    *net.Listener
	}{{"the identity provider", &ports.IdP}, {"Sample A", &ports.Samples[0]}, {"Sample B", &ports.Samples[1]}} {
		number := port
		if port != 0 {
			number += uint64(i)
		}
		*p.l, err = listenPort(host, int(number))
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("another program uses port %d, which %s needs: choose other ports with --listen, such as --listen 127.0.0.1:%d",
				number, p.role, proposePort(port))
		}
		if err != nil {
			return nil, fmt.Errorf("listen for %s (--listen): %w", p.role, err)
		}
	}
	for _, l := range []*net.Listener{&ports.Admin, &ports.Mail, &ports.MailPage} {
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("listen on loopback: %w", err)
		}
	}
	return ports, nil
}

// proposePort returns a port to propose.
func proposePort(port uint64) uint64 {
	if port >= 9000 && port < 60000 {
		return port + 1000
	}
	return 9080
}

// listenPort listens on a port. A browser that opens localhost may try ::1
// before 127.0.0.1, so a port that another program has there is taken too.
func listenPort(host string, port int) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil || port == 0 || !idp.IsLoopback(host) || runtime.GOOS == "windows" {
		return l, err
	}
	otherHost := "::1"
	if l.Addr().(*net.TCPAddr).IP.To4() == nil {
		otherHost = "127.0.0.1"
	}
	probe, err := net.Listen("tcp", net.JoinHostPort(otherHost, strconv.Itoa(port)))
	switch {
	case err == nil:
		_ = probe.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		_ = l.Close()
		return nil, err
	}
	return l, nil
}
