//go:build slow

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

// springHost is the public host of the scripts' identity provider.
const springHost = "login.agency.example"

// TestRotationYearFollowsScripts runs the scripts in testdata/spring: a security
// officer's year at the prompt. The clock begins on 22 November 2026 and is turned
// by the script. Beside the usual commands there are ready, mailed, and:
//
//	turn TIME        turns the clock; a running server takes its steps on the way
//	drift DURATION   turns the clock within one minute of a running server
//	suspend DURATION suspends the machine of a running server
//	visit ENTITY_ID YEAR
//	                 a user signs in at a service provider that uses the year;
//	                 with ! the year's endpoint URL must answer 410
//	session FILE     types the command lines of a file, those that begin with
//	                 "$ ", and compares the terminal with the rest of the file.
//	                 There … matches any text in a line or, alone in a line,
//	                 any lines
//
// The sessions in the guide "years" are such files (TestGuideSessionsMatchScripts).
func TestRotationYearFollowsScripts(t *testing.T) {
	t.Parallel()
	keys, err := filepath.Abs("../../testdata/keys")
	if err != nil {
		t.Fatal(err)
	}
	box, mail := newMail(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/spring",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			jar, err := cookiejar.New(nil)
			if err != nil {
				return err
			}
			e.Values[browserKey{}] = jar
			data := filepath.Join(e.WorkDir, "vernal-data")
			proxy := httptest.NewServer(newProxy(func(ctx context.Context, _ string) (string, error) { return listenAddress(ctx, data) }))
			e.Defer(proxy.Close)
			if err := writeTLS(e.WorkDir, springHost); err != nil {
				return err
			}
			for name, value := range map[string]string{
				"KEYS": keys, "BASE": "https://" + springHost, "HTTPS_PROXY": proxy.URL,
				"VERNAL_LISTEN": "127.0.0.1:0", "VERNAL_ADMIN_LISTEN": "127.0.0.1:0",
				"SSL_CERT_FILE": filepath.Join(e.WorkDir, "tls.crt"), "VERNAL_TLS_CERT": filepath.Join(e.WorkDir, "tls.crt"),
				"VERNAL_TLS_KEY":     filepath.Join(e.WorkDir, "tls.key"),
				"VERNAL_MAIL_SERVER": mail, "VERNAL_MAIL_TLS": "none", "VERNAL_MAIL_FROM": "vernal@agency.example",
			} {
				e.Setenv(name, value)
			}
			return newClock(e, "2026-11-22T08:00:00Z")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "mailed": mailed(box), "turn": turn, "drift": drift, "suspend": suspend, "visit": signInAt, "session": terminal,
		},
	})
}

// writeTLS writes a certificate for the hosts, tls.crt, and its key, tls.key. It is valid by
// the real time and by the scripts' clocks.
func writeTLS(dir string, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true, IsCA: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), crypto.Signer(key))
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: cert}, "tls.key": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// terminal is the script command `session`, which acts as a terminal.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: session FILE")
	}
	want := ts.ReadFile(args[0])
	var got strings.Builder
	code := "0"
	command := ""
	for line := range strings.Lines(want) {
		line = strings.TrimSpace(line)
		if command == "" && !strings.HasPrefix(line, "$ ") {
			continue
		}
		if strings.HasSuffix(line, `\`) { // continues in the next line
			command += line + "\n    "
			continue
		}
		command = strings.TrimPrefix(command+line, "$ ")
		// One stream, as a terminal has it, and the exit code for $? of the next line.
		err := ts.Exec("sh", "-c", fmt.Sprintf("exec 2>&1\n(exit %s)\n%s\necho $? >exit-code", code, command))
		ts.Check(err)
		code = strings.TrimSpace(ts.ReadFile("exit-code"))
		fmt.Fprintf(&got, "$ %s\n", command)
		command = ""
		for shown := range strings.Lines(ts.ReadFile("stdout")) {
			got.WriteString(strings.TrimRight(shown, " \n") + "\n")
		}
	}
	ts.Check(appendFile(ts.MkAbs("terminal.log"), got.String())) // for openInBrowser
	if !shows(want, got.String()) {
		ts.Fatalf("%s is not what the terminal shows:\n%s", args[0], got.String())
	}
}

// appendFile adds text to a file, which it makes if there is none.
func appendFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// shows reports whether a terminal shows what is wanted.
func shows(want, got string) bool {
	var pattern strings.Builder
	for line := range strings.Lines(want) {
		line = strings.TrimRight(line, " \n")
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:[^\n]*\n)+`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]+`) + `\n`)
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(got)
}

var sessionBlock = regexp.MustCompile("(?s)```shell-session\n(.*?)```")

// TestGuideSessionsMatchScripts compares the sessions of all guides with the scripts
// that TestRotationYearFollowsScripts runs. TestFirstYearGuideRuns runs those of "first-year".
func TestGuideSessionsMatchScripts(t *testing.T) {
	t.Parallel()
	var blocks [][]string
	for _, d := range readDocuments(t) {
		if d.name == "first-year" {
			continue
		}
		blocks = append(blocks, sessionBlock.FindAllStringSubmatch(d.text, -1)...)
	}
	ran := map[string]string{}
	scripts, err := filepath.Glob("testdata/spring/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range scripts {
		script, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range script.Files {
			if strings.Contains("\n"+string(script.Comment), "\nsession "+file.Name+"\n") {
				ran[string(file.Data)] = name
			}
		}
	}
	if len(blocks) < 15 {
		t.Errorf("found %d sessions in the guides, want more", len(blocks))
	}
	for _, block := range blocks {
		if ran[block[1]] == "" {
			t.Errorf("no script in testdata/spring runs this session:\n%s", block[1])
		}
	}
}

func TestTranscriptMismatchIsDetected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want, got string
		ok              bool
	}{
		{"same", "$ a\nb c\n", "$ a\nb c\n", true},
		{"other text", "$ a\nb c\n", "$ a\nb d\n", false},
		{"line too many", "$ a\nb\n", "$ a\nb\nc\n", false},
		{"line too few", "$ a\nb\n", "$ a\n", false},
		{"anything in a line", "x …, y\n", "x 12, y\n", true},
		{"no more than a line", "x …, y\n", "x 1\n2, y\n", false},
		{"any lines", "a\n…\nb\n", "a\n1\n\n2\nb\n", true},
		{"any lines but the next", "a\n…\nb\n", "a\n1\n2\n", false},
		{"no pattern", "a.c (x)\n", "abc (x)\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := shows(c.want, c.got); got != c.ok {
				t.Errorf("shows(%q, %q) is %t", c.want, c.got, got)
			}
		})
	}
}
