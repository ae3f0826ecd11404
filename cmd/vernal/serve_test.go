package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/cmd/vernal/cli"
)

// TestServeWithBusyAdminPort checks that a busy admin port does not stop sign-ins (finding
// L8).
func TestServeWithBusyAdminPort(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	a, _, _ := newApp(t)
	file := a.ConfigFile // which the next command forgets
	var log bytes.Buffer // read once the server has ended
	a.Err = &log
	a.Getenv = func(name string) string {
		return map[string]string{
			"VERNAL_LISTEN": "127.0.0.1:0", "VERNAL_ADMIN_LISTEN": busy.Addr().String(),
			"GOMEMLIMIT": "off", // the other tests share the process
		}[name]
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	go func() { ended <- a.execute(ctx, []string{"serve", "--config", file}) }()
	var address string
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for address == "" {
		select {
		case code := <-ended:
			t.Fatalf("the server ended with %d\n%s", code, &log)
		case <-tick.C:
			address, _ = listenAddress(ctx, filepath.Join(filepath.Dir(file), "vernal-data"))
		}
	}
	resp, err := http.Get("http://" + address + "/sign-in")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/sign-in answers %s", resp.Status)
	}
	stop()
	if code := <-ended; code != cli.ExitDone {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "admin_listen="+busy.Addr().String()) {
		t.Errorf("not in the log:\n%s", &log)
	}
}
