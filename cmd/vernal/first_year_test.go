//go:build slow

package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vernal/idp/guide"
	"vernal/idp/idptest/binary"
)

// recordsHost is the host of the service provider in the guide "first-year".
const recordsHost = "records.agency.example"

// guidePart matches what a reader of the guide "first-year" does, in order: wait for the date
// in a heading, type or write a block, open a URL in a browser.
var guidePart = regexp.MustCompile("(?ms)^## ([0-9]+ [A-Z][a-z]+ [0-9]{4}):|^Write this to `([^`]+)`|^```([a-z-]+)\n(.*?)^```$|^Open `([^`]+)`")

// TestFirstYearGuideRuns does what the guide "first-year" says, in order, as one script: every
// command line as it is written, with the output that the guide shows, and every page in a
// browser. Rules replace what differs from the machines of the guide:
//
//   - Folders of Apache and of TLS certificates are in the folder of the test. apt-get checks
//     that the packages are installed, and systemctl restarts the Apache of that folder.
//   - The hosts are reached through an HTTP proxy. Apache listens on a free loopback port.
//   - `vernal serve` runs beside the script and ends TLS itself.
//   - Vernal, Apache and openssl have the script's clock, which dates in headings turn.
func TestFirstYearGuideRuns(t *testing.T) {
	t.Parallel()
	apache := binary.Need(t, "apache2")
	for _, program := range []string{"curl", "openssl", "a2enmod", "dpkg-query"} {
		binary.Need(t, program)
	}
	faketime, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if len(faketime) == 0 {
		binary.ReportMissing(t, "libfaketime is not installed")
	}
	topic := readGuides(t).Lookup("first-year")
	text, err := topic.Markdown(guide.Example())
	if err != nil {
		t.Fatal(err)
	}
	// Apache gives its rights up and must still be able to read its folder.
	work, err := os.MkdirTemp("", "vernal-first-year-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(work) })
	if err := os.Chmod(work, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "first-year.txt")
	if err := os.WriteFile(script, []byte(guideScript(t, text)), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files:               []string{script},
		WorkdirRoot:         work,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			port, err := prepareApache(e, apache)
			if err != nil {
				return err
			}
			jar, err := cookiejar.New(nil)
			if err != nil {
				return err
			}
			e.Values[browserKey{}] = jar
			data := filepath.Join(e.WorkDir, "vernal-data")
			proxy := httptest.NewServer(newProxy(func(ctx context.Context, host string) (string, error) {
				switch host {
				case springHost + ":443":
					return listenAddress(ctx, data)
				case recordsHost + ":443":
					return net.JoinHostPort("127.0.0.1", port), nil
				}
				return "", fmt.Errorf("no host %s", host)
			}))
			e.Defer(proxy.Close)
			if err := writeTLS(e.WorkDir, springHost, recordsHost); err != nil {
				return err
			}
			if err := newClock(e, "2026-11-22T08:00:00Z"); err != nil {
				return err
			}
			// The files that the guide's site names.
			for name, file := range map[string]string{"etc/ssl/certs/records.pem": "tls.crt", "etc/ssl/private/records.key": "tls.key"} {
				if err := os.Symlink(filepath.Join(e.WorkDir, file), filepath.Join(e.WorkDir, name)); err != nil {
					return err
				}
			}
			tls := filepath.Join(e.WorkDir, "tls.crt")
			for name, value := range map[string]string{
				"BASE": "https://" + springHost, "HTTPS_PROXY": proxy.URL, "SSL_CERT_FILE": tls, "CURL_CA_BUNDLE": tls,
				"VERNAL_LISTEN": "127.0.0.1:0", "VERNAL_ADMIN_LISTEN": "127.0.0.1:0",
				"VERNAL_TLS_CERT": tls, "VERNAL_TLS_KEY": filepath.Join(e.WorkDir, "tls.key"),
				"FAKETIME_LIBRARY": faketime[0], "TZ": "UTC", "FAKETIME_FMT": "%Y-%m-%dT%H:%M:%SZ", "FAKETIME_NO_CACHE": "1",
				"FAKETIME_TIMESTAMP_FILE": e.Getenv(clockEnv), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
			} {
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "turn": turn, "session": terminal, "open": openInBrowser,
		},
	})
}

// inFolder moves the folders of the service provider's machine into that of the script. Shell
// and Apache both expand the variable.
var inFolder = strings.NewReplacer("/etc/apache2", "${WORK}/etc/apache2", "/etc/ssl", "${WORK}/etc/ssl", "/var/www", "${WORK}/var/www")

// guideScript makes a script of a guide's text.
func guideScript(t *testing.T, text string) string {
	t.Helper()
	var commands, files strings.Builder
	file, sessions, opened, turned := "", 0, 0, 0
	for n, m := range guidePart.FindAllStringSubmatch(text, -1) {
		date, path, language, block, url := m[1], m[2], m[3], m[4], m[5]
		name := fmt.Sprintf("part%d", n)
		switch {
		case date != "":
			at, err := time.Parse("2 January 2006", date)
			if err != nil {
				t.Fatal(err)
			}
			turned++
			fmt.Fprintf(&commands, "turn %s\n", at.Add(9*time.Hour).Format(time.RFC3339))
		case path != "":
			file = path
		case url != "":
			opened++
			fmt.Fprintf(&commands, "open %s\n", url)
		case block == "$ vernal serve\n":
			commands.WriteString("exec vernal serve &server&\nready\n")
		case language == "shell-session":
			sessions++
			fmt.Fprintf(&commands, "session %s\n", name)
			fmt.Fprintf(&files, "-- %s --\n%s", name, inFolder.Replace(block))
		case file == "":
			t.Fatalf("the guide does not say into which file this goes:\n%s", block)
		default:
			fmt.Fprintf(&commands, "cp %s %s\n", name, inFolder.Replace(file))
			fmt.Fprintf(&files, "-- %s --\n%s", name, strings.Replace(inFolder.Replace(block), "*:443", "*:${PORT}", 1))
			file = ""
		}
	}
	if sessions < 10 || opened < 3 || turned < 3 || strings.Count(text, "```") != 2*(sessions+2) {
		t.Fatalf("found %d sessions, %d pages to open and %d dates in the guide", sessions, opened, turned)
	}
	return commands.String() + files.String()
}

// prepareApache copies Debian's configuration of Apache into the script's folder, with the
// modules of a new installation, and returns the port that it listens on.
func prepareApache(e *testscript.Env, apache string) (port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		return "", err
	}
	for _, dir := range []string{"bin", "etc/ssl/certs", "etc/ssl/private", "var/www/html", "run", "log", "state"} {
		if err := os.MkdirAll(filepath.Join(e.WorkDir, dir), 0o755); err != nil {
			return "", err
		}
	}
	if err := copyApache(filepath.Join(e.WorkDir, "etc/apache2")); err != nil {
		return "", err
	}
	tool, err := exec.LookPath("openssl")
	if err != nil {
		return "", err
	}
	files := map[string]string{
		"etc/apache2/ports.conf": "Listen 127.0.0.1:" + port + "\n",
		"bin/apt-get":            aptGet,
		"bin/openssl":            strings.ReplaceAll(openssl, "OPENSSL", tool),
		"bin/systemctl":          strings.ReplaceAll(systemctl, "APACHE2", apache),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(text), 0o755); err != nil {
			return "", err
		}
	}
	for name, value := range map[string]string{
		"PATH": filepath.Join(e.WorkDir, "bin") + ":" + e.Getenv("PATH") + ":/usr/sbin", "APACHE_CONFDIR": filepath.Join(e.WorkDir, "etc/apache2"),
		"APACHE_STATE_DIRECTORY": filepath.Join(e.WorkDir, "state"), "APACHE_RUN_USER": "www-data", "APACHE_RUN_GROUP": "www-data",
		"APACHE_RUN_DIR": filepath.Join(e.WorkDir, "run"), "APACHE_LOG_DIR": filepath.Join(e.WorkDir, "log"),
		"APACHE_PID_FILE": filepath.Join(e.WorkDir, "run/apache2.pid"), "PORT": port,
	} {
		e.Setenv(name, value)
	}
	e.Defer(func() {
		stop := exec.Command("systemctl", "stop", "apache2")
		stop.Env, stop.Path = e.Vars, filepath.Join(e.WorkDir, "bin/systemctl")
		_ = stop.Run()
	})
	return port, nil
}

// aptGet is a program that takes the place of apt-get, and fails if a package is missing.
const aptGet = `#!/bin/sh
test "$1 $2" = "install --yes" && shift 2 && exec dpkg-query --show "$@"
`

// openssl has the script's clock, so that the dates in certificates do not depend on today.
const openssl = `#!/bin/sh
LD_PRELOAD=$FAKETIME_LIBRARY exec OPENSSL "$@"
`

// systemctl is a program that takes the place of systemctl. Apache writes its PID only after
// `apache2 -k start` has returned: without waiting for it, a stop would find nothing to stop.
const systemctl = `#!/bin/sh
case "$*" in "restart apache2" | "stop apache2") ;; *) echo "cannot $*" >&2; exit 1 ;; esac
apache() { APACHE2 -d "$APACHE_CONFDIR" -f apache2.conf -k "$1"; }
await() { for n in $(seq 300); do "$@" && return; sleep 0.1; done; return 1; }
start() { LD_PRELOAD=$FAKETIME_LIBRARY apache start >"$APACHE_LOG_DIR/start" 2>&1; }
if test -e "$APACHE_PID_FILE"; then
	apache stop 2>/dev/null
	await test ! -e "$APACHE_PID_FILE"
fi
test "$1" = restart || exit 0
await start && await test -e "$APACHE_PID_FILE" && exit 0
cat "$APACHE_LOG_DIR/start" "$APACHE_LOG_DIR/error.log" >&2
exit 1
`

// copyApache copies /etc/apache2, but enables none of the modules of other packages, and not
// those that the guide enables.
func copyApache(to string) error {
	const from = "/etc/apache2"
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(to, strings.TrimPrefix(path, from))
		switch base := filepath.Base(path); {
		case d.IsDir():
			return os.MkdirAll(name, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			for _, added := range []string{"auth_mellon", "php", "shib", "ssl"} {
				if strings.HasPrefix(base, added) {
					return nil
				}
			}
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, name)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Base(path) != "envvars" {
			text = []byte(inFolder.Replace(string(text)))
		}
		return os.WriteFile(name, text, 0o644)
	})
}

var (
	addedUser  = regexp.MustCompile(`(?m)^\$ echo '([^']+)' \| vernal user add --email (\S+) `)
	totpSecret = regexp.MustCompile(`otpauth://\S+[?&]secret=([A-Z2-7]+)`)
	yearOfURL  = regexp.MustCompile(`/api/saml/auth([0-9]{4})\b`)
)

// openInBrowser is the script command that opens a URL of the service provider in a browser.
// The user of the guide signs in on the way. The browser must pass the year whose metadata the
// service provider has, and arrive at the URL. The server then runs for a minute.
func openInBrowser(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: open URL")
	}
	now, err := readClock(ts.Getenv(clockEnv))
	ts.Check(err)
	typed := ts.ReadFile("terminal.log")
	user, secret := addedUser.FindStringSubmatch(typed), totpSecret.FindStringSubmatch(typed)
	want := yearOfURL.FindStringSubmatch(ts.ReadFile("etc/apache2/mellon/idp.xml"))
	if user == nil || secret == nil || want == nil {
		ts.Fatalf("no user was added, or no metadata fetched:\n%s", typed)
	}
	b, passed := newVisiting(ts), ""
	b.password, b.email, b.secret = user[1], user[2], secret[1]
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if m := yearOfURL.FindStringSubmatch(r.URL.Path); m != nil {
			passed = m[1]
		}
		return nil
	}
	page, err := b.do(http.MethodGet, args[0], nil)
	for range 5 { // sign-in page, code page, consent, the page that posts the Response
		if err != nil || page.URL.String() == args[0] {
			break
		}
		if form := page.Form(); page.Response() != nil {
			page, err = b.do(http.MethodPost, form.Action, form.Fields)
		} else {
			page, err = b.fill(page, now)
		}
	}
	ts.Check(err)
	if page.URL.String() != args[0] || page.Status != http.StatusOK || passed != want[1] {
		ts.Fatalf("the browser passed the year %q, want %s, and shows %s (%d):\n%s\n%s",
			passed, want[1], page.URL, page.Status, page.Text(), ts.ReadFile("log/error.log"))
	}
	ts.Logf("signed in by %s", passed)
	turn(ts, false, []string{now.Add(time.Minute).Format(time.RFC3339)})
}
