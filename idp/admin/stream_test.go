package admin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"vernal/idp/admin"
)

// many is more than all buffers between a server and a client hold.
const many = 32 << 20

// source is a service that sends data.
type source struct {
	ended chan error // what ended each call
}

// sendMode says how a call ends.
type sendMode struct {
	Bytes int  `json:"bytes"`
	Fail  bool `json:"fail"`
}

var send = admin.Stream[*source, sendMode, int]{Path: "data/send", Do: func(s *source, ctx context.Context, _ admin.Caller, req sendMode, w io.Writer) (n int, err error) {
	defer func() { s.ended <- err }()
	block := bytes.Repeat([]byte("data"), 1<<14)
	for n < req.Bytes {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		k, err := w.Write(block[:min(len(block), req.Bytes-n)])
		n += k
		if err != nil {
			return n, err
		}
	}
	if req.Fail {
		return n, &admin.Error{Code: admin.CodeNotFound, Message: "no more"}
	}
	return n, nil
}}

// newStream serves a source. stop stops the server, and returns its error.
func newStream(t *testing.T) (s *source, dir string, c *admin.Client, stop func() error) {
	t.Helper()
	s, dir = &source{ended: make(chan error, 10)}, t.TempDir()
	l, err := admin.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	endpoint := admin.NewEndpoint(s, os.Geteuid(), slog.New(slog.DiscardHandler), admin.Route[*source](send))
	go func() { served <- endpoint.Serve(ctx, l) }()
	c = admin.NewSocketClient(dir)
	stop = func() error { cancel(); return <-served }
	t.Cleanup(func() { c.Close(); cancel() })
	return s, dir, c, stop
}

// TestStreamSendsDataThenAnswer checks sizes around those of buffers and frames, over the socket
// and in process, and that an error after the data arrives as what it is.
func TestStreamSendsDataThenAnswer(t *testing.T) {
	t.Parallel()
	s, _, over, _ := newStream(t)
	endpoint := admin.NewEndpoint(s, os.Geteuid(), slog.New(slog.DiscardHandler), admin.Route[*source](send))
	for name, c := range map[string]*admin.Client{"socket": over, "process": admin.NewProcessClient(endpoint, admin.Self())} {
		for _, size := range []int{0, 1, 65535, 65536, 65537, 1 << 20, 1<<20 + 1, 5 << 20} {
			for _, fail := range []bool{false, true} {
				var got bytes.Buffer
				n, err := admin.Receive(t.Context(), c, send, sendMode{size, fail}, &got)
				<-s.ended
				var e *admin.Error
				switch {
				case got.Len() != size:
					t.Errorf("%s, %d bytes: got %d", name, size, got.Len())
				case fail && (!errors.As(err, &e) || e.Code != admin.CodeNotFound):
					t.Errorf("%s, %d bytes, then an error: %v", name, size, err)
				case !fail && (err != nil || n != size):
					t.Errorf("%s, %d bytes: answer %d, %v", name, size, n, err)
				}
			}
		}
	}
}

// TestStreamEndsWithItsClient checks that an operation ends when the client can write no more,
// is interrupted, or goes without a word.
func TestStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	s, dir, c, _ := newStream(t)
	full := errors.New("no space left on device")
	if _, err := admin.Receive(t.Context(), c, send, sendMode{Bytes: 1 << 40}, &failAfter{1 << 20, full}); !errors.Is(err, full) {
		t.Errorf("the client's disk is full: %v", err)
	}
	if err := <-s.ended; err == nil {
		t.Error("the operation did not end")
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := admin.Receive(ctx, c, send, sendMode{Bytes: 1 << 40}, &callAfter{1 << 20, cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("the client is interrupted: %v", err)
	}
	if err := <-s.ended; err == nil {
		t.Error("the operation did not end")
	}
	conn, err := net.Dial("unix", filepath.Join(dir, admin.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"bytes":1000000000000}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/v1/data/send", bytes.NewReader(body))
	if err == nil {
		err = req.Write(conn)
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, conn, 1<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := <-s.ended; err == nil {
		t.Error("the operation did not end")
	}
}

// TestStreamEndsWithItsServer checks that a server stops although a client does not read, and
// that the client does not take a part of the data for all of it.
func TestStreamEndsWithItsServer(t *testing.T) {
	t.Parallel()
	s, _, c, stop := newStream(t)
	reading, release := make(chan struct{}), make(chan struct{})
	got := make(chan error, 1)
	go func() {
		_, err := admin.Receive(t.Context(), c, send, sendMode{Bytes: many}, &stopAfter{1 << 20, reading, release})
		got <- err
	}()
	<-reading
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	if err := <-s.ended; err == nil {
		t.Error("the operation did not end")
	}
	close(release)
	if err := <-got; err == nil {
		t.Error("the client takes a part of the data for all of it")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// failAfter fails after n bytes.
type failAfter struct {
	n   int
	err error
}

func (f *failAfter) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// callAfter calls a function after n bytes.
type callAfter struct {
	n    int
	call func()
}

func (c *callAfter) Write(p []byte) (int, error) {
	if c.n -= len(p); c.n < 0 {
		c.call()
	}
	return len(p), nil
}

// stopAfter stops reading after n bytes until it is released.
type stopAfter struct {
	n                int
	reading, release chan struct{}
}

func (s *stopAfter) Write(p []byte) (int, error) {
	if s.n -= len(p); s.n < 0 && s.reading != nil {
		close(s.reading)
		s.reading = nil
		<-s.release
	}
	return len(p), nil
}
