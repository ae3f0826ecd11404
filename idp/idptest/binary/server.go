// Package binary runs the real vernal command for tests: built once, started in
// a separate folder, stopped or killed like any other process.
//
// Its flow: New builds the command and runs `vernal init`. Run runs a command to its end. Serve
// starts the server and waits until it is ready. The end of the test ends every started process.
//
// It uses only commands, URLs and files, as an operator does. Package idptest is for flow tests
// inside one process.
package binary

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// commandTimeout is how long a command may take. A longer one counts as a failure.
const commandTimeout = 30 * time.Second

// readyTimeout is how long a server may take until /readyz answers 200.
const readyTimeout = 20 * time.Second

// Vernal is an installation: the built command, its configuration and its data.
type Vernal struct {
	// BaseURL is the base_url of the configuration, without a final slash.
	BaseURL string
	// Dir holds vernal.yaml and the data folder.
	Dir string

	path string
	env  []string
}

// New builds the command and creates an installation in dir whose base URL is http://HOST:PORT
// on a free loopback port.
func New(t testing.TB, dir, host string) *Vernal {
	t.Helper()
	return NewWithBuild(t, dir, host, Build{})
}

// Build describes how to build and run a command in an unusual way.
type Build struct {
	// Tags are build tags. With them the command is built with cgo.
	Tags string
	// Env is added to its environment, NAME=VALUE.
	Env []string
}

// NewWithBuild works like New, with build options.
func NewWithBuild(t testing.TB, dir, host string, b Build) *Vernal {
	t.Helper()
	port := FreePort(t)
	v := &Vernal{
		BaseURL: fmt.Sprintf("http://%s:%d", host, port),
		Dir:     dir,
		path:    filepath.Join(dir, "vernal"),
		env: append(cleanEnv(),
			fmt.Sprintf("VERNAL_LISTEN=127.0.0.1:%d", port),
			fmt.Sprintf("VERNAL_ADMIN_LISTEN=127.0.0.1:%d", FreePort(t))),
	}
	v.env = append(v.env, b.Env...)
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", b.Tags, "-o", v.path, "vernal/cmd/vernal")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b.Tags != "" {
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build vernal: %v\n%s", err, out)
	}
	v.Run(t, "", "init", "--base-url", v.BaseURL)
	return v
}

// cleanEnv returns our environment without variables for Vernal: the command refuses
// unknown ones, and the others would configure it.
func cleanEnv() []string { return removeVernalVars(os.Environ()) }

// removeVernalVars removes the variables for Vernal from an environment.
func removeVernalVars(env []string) []string {
	return slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, "VERNAL_") })
}

// WithDir returns the same command in another folder. Only a vernal.yaml there configures it.
func (v *Vernal) WithDir(dir string) *Vernal {
	other := *v
	other.Dir, other.env = dir, removeVernalVars(slices.Clone(v.env))
	return &other
}

// Run runs `vernal ARGS` with the standard input and returns its standard output. A
// command that fails ends the test.
func (v *Vernal) Run(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, err := v.Try(t, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try works like Run, for a command that may fail. The error wraps an *exec.ExitError and contains
// the output.
func (v *Vernal) Try(t testing.TB, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := v.newCommand(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("vernal %s: %w\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}

func (v *Vernal) newCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, v.path, args...)
	cmd.Dir, cmd.Env = v.Dir, v.env
	return cmd
}

// Boot starts `vernal serve` and returns once the path answers.
func (v *Vernal) Boot(t testing.TB, path string) *Process {
	t.Helper()
	p := Start(t, "vernal serve", v.newCommand(context.Background(), "serve"))
	client := Client()
	for deadline := time.Now().Add(readyTimeout); ; {
		if _, err := Get(t, client, v.BaseURL+path); err == nil {
			return p
		} else if p.HasEnded() || time.Now().After(deadline) {
			t.Fatalf("vernal serve does not answer: %v\n%s", err, p.Output())
		}
	}
}

// Serve starts `vernal serve` and waits until it is ready.
func (v *Vernal) Serve(t testing.TB) *Process {
	t.Helper()
	// Not t.Context: the process outlives it until the test's cleanup.
	p := Start(t, "vernal serve", v.newCommand(context.Background(), "serve"))
	client := Client()
	WaitUntil(t, readyTimeout, "vernal serve is ready", func() error {
		if p.HasEnded() {
			t.Fatalf("vernal serve ended with code %d:\n%s", p.ExitCode(), p.Output())
		}
		_, err := Get(t, client, v.BaseURL+"/readyz")
		return err
	})
	return p
}

// Year returns the year that the running server prefers.
func (v *Vernal) Year(t testing.TB) string {
	t.Helper()
	stable, err := Get(t, Client(), v.BaseURL+"/api/saml/metadata")
	if err != nil {
		t.Fatal(err)
	}
	m := authURLPattern.FindSubmatch(stable)
	if m == nil {
		t.Fatalf("the stable metadata contains no year:\n%s", stable)
	}
	return string(m[1])
}

var authURLPattern = regexp.MustCompile(`/api/saml/auth([0-9]{4}[a-z]?)"`)

// AddSP registers a service provider from its metadata. It gets data without the consent of users,
// unless the flags say something else, because most tests are about something else.
func (v *Vernal) AddSP(t testing.TB, metadata []byte, flags ...string) {
	t.Helper()
	file, err := os.CreateTemp(v.Dir, "sp-*.xml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(metadata); err != nil {
		t.Fatal(err)
	}
	v.Run(t, "", append([]string{"sp", "add", "--metadata", file.Name(), "--consent", "none"}, flags...)...)
}

// FreePort returns an unused loopback TCP port.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Client returns an HTTP client for which every host is this machine, as *.localhost
// is for browsers but not for every resolver. It does not reuse connections.
func Client() *http.Client {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return &http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		Timeout:   30 * time.Second,
	}
}

// Get fetches url. Any status but 200 is an error.
func Get(t testing.TB, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s\n%s", url, resp.Status, body)
	}
	return body, err
}

// WaitUntil calls check until it returns nil, and fails the test after limit.
func WaitUntil(t testing.TB, limit time.Duration, goal string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", limit, goal, err)
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatalf("test ended before: %s: %v", goal, err)
		}
	}
}
