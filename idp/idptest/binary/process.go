package binary

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopTimeout is how long a process has to end when asked, before it is killed.
const stopTimeout = 10 * time.Second

// Process is a running program in a process group of its own.
type Process struct {
	name   string
	cmd    *exec.Cmd
	done   chan struct{} // closed once the process has been waited for
	output output
}

// Start runs cmd until the test ends. Its output is kept, and shown if the test fails.
func Start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = cmd.Wait() // ProcessState says how it ended
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.output.readTail(8<<10))
		}
	})
	return p
}

// Stop asks the process to end, and kills it and the rest of its process group after
// stopTimeout. It reports whether asking was enough.
func (p *Process) Stop() bool {
	if p.HasEnded() {
		return true // its number may be another process's by now
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
		return true
	case <-time.After(stopTimeout):
		p.Kill()
		return false
	}
}

// Kill ends the process group with SIGKILL, which no process can catch, and
// waits until the process is gone.
func (p *Process) Kill() {
	if p.HasEnded() {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// HasEnded reports whether the process has ended.
func (p *Process) HasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ExitCode returns the exit code of an ended process, -1 if a signal ended it.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns the output of the process so far.
func (p *Process) Output() string { return p.output.readTail(1 << 20) }

// output keeps the output of a process. It is safe to read while the process writes.
type output struct {
	mu sync.Mutex
	buf  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) readTail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf.Bytes()
	return string(b[max(0, len(b)-n):])
}

// Need finds a program. Without it the test is skipped, but never in CI, where
// everything must run.
func Need(t testing.TB, program string) string {
	t.Helper()
	// Servers are outside the PATH of ordinary users.
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	ReportMissing(t, program+" is not installed")
	return ""
}

// ReportMissing ends a test that lacks something: it skips the test, or in CI fails it.
func ReportMissing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
