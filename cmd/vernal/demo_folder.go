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

	"vernal/idp"
	"vernal/idp/notify"
)

// demoMark is the file that tells a folder of the demo from other people's.
const demoMark = "demo"

// noEnv keeps the environment of a real installation away from the demo.
func noEnv(string) string { return "" }

// demoFolder makes the folder ready: configuration, master key, signing keys.
// One that is there must be the demo's: a person with a known password has no
// place anywhere else.
func (a *app) demoFolder(dir, baseURL, listen, adminListen, mailServer string) (*Config, error) {
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
		return nil, refuse("%s holds other things than a demo; name a new folder with --data-dir", dir)
	}
	result := &initResult{}
	if err := initFolder(dir, result); err != nil {
		return nil, err
	}
	if owner, ok := ownerOf(dir); ok && owner != os.Geteuid() {
		return nil, refuse("%s belongs to uid %d; run this as that user", dir, owner)
	}
	if err := os.WriteFile(mark, []byte("This folder was made by `vernal demo`. Its person has a password that everybody knows.\n"), 0o600); err != nil {
		return nil, fmt.Errorf("mark the folder: %w", err)
	}
	text, err := writeConfig(map[string]string{
		"base_url": baseURL, "listen": listen, "admin_listen": adminListen, "data_dir": ".",
		"mail.server": mailServer, "mail.from": "vernal@demo.example", "mail.tls": notify.NoTLS, "rotation.notify": demoOperator,
	})
	if err != nil {
		return nil, err
	}
	// Written each time: the ports may be others than before.
	file := filepath.Join(dir, defaultFile)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	c, err := loadConfig(file, noEnv)
	if err != nil {
		return nil, err
	}
	bare := *a
	bare.getenv = noEnv
	master, err := bare.initMaster(c, result)
	if err != nil {
		return nil, err
	}
	if used, err := hasStore(c); used || err != nil {
		return c, err
	}
	return c, bare.initKeys(c, master, "", result)
}

// demoRoles are what listens where, in the order of ports.
var demoRoles = [...]string{"the identity provider", "Sample A", "Sample B"}

// listenDemo opens the three ports.
func listenDemo(listen string) (_ []net.Listener, err error) {
	host, text, err := net.SplitHostPort(listen)
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil || port > 65535-uint64(len(demoRoles)) {
		return nil, &usageError{text: fmt.Sprintf("--listen %q is not HOST:PORT, such as %s", listen, demoListen), command: "vernal demo"}
	}
	var ports []net.Listener
	defer func() {
		if err != nil {
			for _, l := range ports {
				_ = l.Close()
			}
		}
	}()
	for i, role := range demoRoles {
		at := port
		if port != 0 {
			at += uint64(i)
		}
		l, err := listenPort(host, int(at))
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("port %d, for %s, is taken by another program; choose others with --listen, such as --listen 127.0.0.1:%d",
				at, role, otherPort(port))
		}
		if err != nil {
			return nil, fmt.Errorf("listen for %s (--listen): %w", role, err)
		}
		ports = append(ports, l)
	}
	return ports, nil
}

// otherPort is a port to propose.
func otherPort(port uint64) uint64 {
	if port >= 9000 && port < 60000 {
		return port + 1000
	}
	return 9080
}

// listenPort listens on a port. A browser that is told localhost may try ::1
// before 127.0.0.1, so a port that another program has there is taken too.
func listenPort(host string, port int) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil || port == 0 || !idp.IsLoopback(host) || runtime.GOOS == "windows" {
		return l, err
	}
	other := "::1"
	if l.Addr().(*net.TCPAddr).IP.To4() == nil {
		other = "127.0.0.1"
	}
	probe, err := net.Listen("tcp", net.JoinHostPort(other, strconv.Itoa(port)))
	switch {
	case err == nil:
		_ = probe.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// demoBaseURL is the address of what listens there, under a name of loopback.
func demoBaseURL(host string, l net.Listener) string {
	return "http://" + net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
