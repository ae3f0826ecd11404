package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp/installation"
)

// lockedBuffer is a log that several goroutines write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newInstallation returns an installation for tests that request no pages.
func newInstallation(log io.Writer) *installation.Installation {
	return &installation.Installation{Config: installation.Config{Log: slog.New(slog.NewTextHandler(log, nil)), Clock: time.Now}}
}

// A program that holds the admin port must not stop sign-ins: any
// local user can open a port.
func TestBusyAdminPortIsRetried(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	log := new(lockedBuffer)
	s := &Server{
		AdminListen: busy.Addr().String(), AdminRetry: 10 * time.Millisecond,
		Installation: newInstallation(log),
		AdminReady:   func(net.Addr) { t.Error("ready while another program has the port") },
	}
	a, err := s.listenAdmin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), busy.Addr().String()) {
		t.Errorf("not in the log: %s", log)
	}
	done := make(chan struct{})
	go func() { a.serve(); close(done) }()
	if err := busy.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for answered := false; !answered; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.AdminListen+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			answered = true
		} else if ctx.Err() != nil {
			t.Fatalf("the listener does not come back: %v\n%s", err, log)
		}
	}
	a.close()
	<-done
}

func TestAdminListenerEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	s := &Server{AdminListen: busy.Addr().String(), Installation: newInstallation(io.Discard)}
	a, err := s.listenAdmin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { a.serve(); close(done) }()
	a.close()
	<-done
}
