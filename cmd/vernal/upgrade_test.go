package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"io/fs"

	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
)

// What the service providers of the earlier version know ada by.
const (
	adaAtParks  = "b8bfa33f-ae4a-4091-b14a-a5de2dd7835a"
	adaAtHarbor = "9c37961a-3a9c-4235-8ae9-2099fba27f51"
)

// unpackOld makes a copy of the installation of the earlier version, and a
// program that uses it on some day.
func unpackOld(t *testing.T, clock idp.Clock) (a *app, out, errOut *bytes.Buffer) {
	t.Helper()
	from, to := filepath.Join("..", "..", "testdata", "upgrade"), t.TempDir()
	err := filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(name)
		if err == nil && filepath.Ext(name) == ".gz" {
			rel = strings.TrimSuffix(rel, ".gz")
			var packed *gzip.Reader
			if packed, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
				data, err = io.ReadAll(packed)
			}
		}
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	out, errOut = new(bytes.Buffer), new(bytes.Buffer)
	env := map[string]string{"VERNAL_LISTEN": "127.0.0.1:0", "VERNAL_ADMIN_LISTEN": "127.0.0.1:0"}
	return &app{
		in: strings.NewReader(""), out: out, err: errOut, clock: clock, lockWait: time.Minute,
		getenv: func(name string) string { return env[name] }, configFile: filepath.Join(to, "vernal.yaml"),
	}, out, errOut
}

// serveOld runs the server until the test ends, and gives its address.
func serveOld(t *testing.T, a *app) (address string) {
	t.Helper()
	cfg, err := a.config()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := *a
	server.out, server.err = t.Output(), t.Output()
	go func() { ended <- server.serve(ctx, cfg) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		client := admin.OverSocket(cfg.dataDir())
		pong, err := client.Ping(t.Context())
		client.Close()
		if err == nil {
			return pong.Address
		}
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("serve: %v", err)
		case <-tick.C:
		}
	}
}

// soon is an hour after the store was written.
func soon() time.Time { return time.Date(2026, 11, 22, 18, 14, 0, 0, time.UTC) }

// TestUpgrade runs the server of today on the folder of the version before:
// people sign in as before, and are known as before.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	a, out, errOut := unpackOld(t, soon)
	address := serveOld(t, a)
	v := oldVisitor(t, address)
	page := signInAsAda(t, v, v.get(parks.begin(t, "2026", "_after", soon())), soon())
	if got := told(t, page); got != adaAtParks {
		t.Errorf("Parks is told %s", got)
	}
	if got := told(t, v.get(harbor.begin(t, "2027", "_after", soon()))); got != adaAtHarbor {
		t.Errorf("Harbor is told %s", got)
	}
	// An ID that was answered before the upgrade is not answered again.
	if page := oldVisitor(t, address).get(parks.begin(t, "2026", "_first", soon())); page.Status < 400 || page.Response() != nil {
		t.Errorf("a request from before, again: %d\n%s", page.Status, page.Text())
	}
	for _, tt := range []struct{ name, command, want string }{
		{"audit", "audit verify", "record"},
		{"the rotation", "rotation status", "harbor is not ready"},
		{"people", "user show bob@agency.example", "on leave"},
		{"service providers", "sp show https://parks.example/sp", "agency:Interior"},
		{"sessions", "session list", "ada"},
	} {
		out.Reset()
		errOut.Reset()
		if code := call(t, a, strings.Fields(tt.command)...); code != exitDone || !strings.Contains(out.String()+errOut.String(), tt.want) {
			t.Errorf("%s: %d\n%s%s", tt.name, code, out, errOut)
		}
	}
}

// TestUpgradeByCommand opens the folder with a command, without a server.
func TestUpgradeByCommand(t *testing.T) {
	t.Parallel()
	a, out, errOut := unpackOld(t, soon)
	if code := call(t, a, "user", "list", "--json"); code != exitDone || !strings.Contains(errOut.String(), "vernal.db.schema1") {
		t.Fatalf("user list: %d, %s", code, errOut)
	}
	var people []struct {
		Locked bool `json:"locked"`
	}
	if err := json.Unmarshal(out.Bytes(), &people); err != nil || len(people) != 2 || people[0].Locked == people[1].Locked {
		t.Errorf("people: %s, %v", out, err)
	}
	errOut.Reset()
	out.Reset()
	if code := call(t, a, "audit", "tail", "--kind", "store", "--json"); code != exitDone || strings.Contains(errOut.String(), "WARN") ||
		!strings.Contains(out.String(), `"store.migrate"`) {
		t.Errorf("audit tail: %d, %s%s", code, out, errOut)
	}
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	for _, args := range [][]string{
		{"audit", "export", "--prune", "--out", file, "--yes", "audit"},
		{"audit", "verify", "--file", file},
		{"audit", "verify"},
	} {
		errOut.Reset()
		if code := call(t, a, args...); code != exitDone {
			t.Errorf("%q: %d, %s", args, code, errOut)
		}
	}
}

// TestUpgradeAfterDowntime opens the folder after time without any server: the
// rotation goes on from its history.
func TestUpgradeAfterDowntime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		at     time.Time
		resume bool     // an operator ends the hold of the rollback first
		want   idp.Year // that is preferred
		signIn bool
	}{
		{name: "the next day", at: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), want: "2026", signIn: true},
		{name: "in spring, held", at: time.Date(2027, 3, 15, 9, 0, 0, 0, time.UTC), want: "2026", signIn: true},
		{name: "in spring", at: time.Date(2027, 3, 15, 9, 0, 0, 0, time.UTC), resume: true, want: "2027", signIn: true},
		{name: "after ten years, held", at: time.Date(2036, 8, 1, 9, 0, 0, 0, time.UTC), want: "2026", signIn: true},
		{name: "after ten years", at: time.Date(2036, 8, 1, 9, 0, 0, 0, time.UTC), resume: true, want: "2036", signIn: true},
		// A code of then was used already, so nobody signs in.
		{name: "with a clock set back", at: time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC), want: "2026"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, out, errOut := unpackOld(t, func() time.Time { return tt.at })
			if tt.resume {
				if code := call(t, a, "rotation", "resume"); code != exitDone {
					t.Fatalf("rotation resume: %d, %s", code, errOut)
				}
			}
			v := oldVisitor(t, serveOld(t, a))
			waitPreferred(t, a, out, tt.want)
			out.Reset()
			if code := call(t, a, "audit", "verify"); code != exitDone {
				t.Errorf("audit verify: %d, %s%s", code, out, errOut)
			}
			if !tt.signIn {
				return
			}
			page := signInAsAda(t, v, v.get(parks.begin(t, tt.want, "_later", tt.at)), tt.at)
			if got := told(t, page); got != adaAtParks {
				t.Errorf("Parks is told %s", got)
			}
		})
	}
}

// waitPreferred waits until the server has taken the steps that are due.
func waitPreferred(t *testing.T, a *app, out *bytes.Buffer, want idp.Year) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out.Reset()
		code := call(t, a, "rotation", "status", "--json")
		var st struct {
			Preferred idp.Year `json:"preferred"`
		}
		if err := json.Unmarshal(out.Bytes(), &st); err == nil && st.Preferred == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("rotation status: %d, preferred is %q, not %q", code, st.Preferred, want)
		}
		<-tick.C
	}
}
