package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vernal/idp"
)

// clockEnv names a file that holds the time. Only the program that the tests
// run knows it.
const clockEnv = "TURNED_CLOCK"

// runWithFileClock runs the program as scripts do. If clockEnv names a file, the time is read from
// that file and does not advance. A server with such a clock follows `turn`.
func runWithFileClock() {
	a := defaultApp(os.Stdin, os.Stdout, os.Stderr)
	if file := os.Getenv(clockEnv); file != "" {
		a.Clock = fileClock(file)
		a.onOpen = func(ctx context.Context, d *deps) { follow(ctx, d, file+".server") }
	}
	os.Exit(a.run(os.Args[1:]))
}

func fileClock(file string) idp.Clock {
	return func() time.Time {
		now, err := readClock(file)
		if err != nil {
			panic(err)
		}
		return now
	}
}

func readClock(file string) (time.Time, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, string(text))
}

// writeClock replaces the file atomically, because it is read all the time. Others may read
// it: a web server beside us follows the same clock.
func writeClock(file string, now time.Time) error {
	if err := os.WriteFile(file+".new", []byte(now.UTC().Format(time.RFC3339)), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// follow listens for requests to run the server's jobs of one minute, and writes the URL to
// file.
func follow(ctx context.Context, d *deps, file string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ran, err := time.ParseDuration(r.FormValue("ran"))
		if err == nil {
			err = minute(r.Context(), d, ran)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	context.AfterFunc(ctx, func() {
		_ = os.Remove(file)
		_ = srv.Close()
	})
	if err := os.WriteFile(file, []byte("http://"+l.Addr().String()), 0o600); err != nil {
		panic(err)
	}
}

// minute runs the server's jobs of one minute. ran is the uptime since the last run.
func minute(ctx context.Context, d *deps, ran time.Duration) error {
	tick := d.Rotation.Tick(ctx, ran)
	_, automatic := d.Rotation.TakeDueSteps(ctx)
	return errors.Join(tick, automatic, d.Usage.Flush(ctx), d.Trail.Refusals.Flush(ctx), d.Notices.Tick(ctx))
}

// turn is the script command that turns the clock forward. While no server runs it does so
// at once, otherwise from midnight to midnight, so that the server takes every step on its
// date.
func turn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: turn TIME, such as 2027-02-01T09:00:00Z")
	}
	to, err := time.Parse(time.RFC3339, args[0])
	ts.Check(err)
	file := ts.Getenv(clockEnv)
	address, err := os.ReadFile(file + ".server")
	if errors.Is(err, fs.ErrNotExist) {
		ts.Check(writeClock(file, to))
		return
	}
	ts.Check(err)
	now, err := readClock(file)
	ts.Check(err)
	ts.Check(advanceRun(string(address), 0)) // what came before is of before
	for now.Before(to) {
		next := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		if next.After(to) {
			next = to
		}
		ts.Check(writeClock(file, next))
		ts.Check(advanceRun(string(address), next.Sub(now)))
		now = next
	}
}

// drift is the script command that turns the clock forward while the server runs for one
// minute.
func drift(ts *testscript.TestScript, neg bool, args []string) {
	leap(ts, neg, args, func(time.Duration) time.Duration { return time.Minute })
}

// suspend is the script command that suspends the server's machine: when it wakes up, both
// the time and the uptime have advanced.
func suspend(ts *testscript.TestScript, neg bool, args []string) {
	leap(ts, neg, args, func(slept time.Duration) time.Duration { return slept })
}

// leap turns the clock at once, then runs the server's jobs with the uptime that ran returns.
func leap(ts *testscript.TestScript, neg bool, args []string, ran func(time.Duration) time.Duration) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: drift or suspend DURATION, such as 30h")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	file := ts.Getenv(clockEnv)
	address, err := os.ReadFile(file + ".server")
	ts.Check(err)
	now, err := readClock(file)
	ts.Check(err)
	ts.Check(advanceRun(string(address), 0)) // what came before is of before
	ts.Check(writeClock(file, now.Add(d)))
	ts.Check(advanceRun(string(address), ran(d)))
}

// advanceRun notifies the server that it ran for a time.
func advanceRun(address string, ran time.Duration) error {
	resp, err := http.PostForm(address, url.Values{"ran": {ran.String()}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server's round failed: %s", strings.TrimSpace(string(text)))
	}
	return err
}

// newClock writes the file of a script's clock.
func newClock(e *testscript.Env, now string) error {
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		return err
	}
	file := filepath.Join(e.WorkDir, "clock")
	e.Setenv(clockEnv, file)
	return writeClock(file, at)
}
