package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
)

// TestMain makes the scripts quick, which mostly wait. For the disk and for
// servers: so more of them run at once than there are processors; a -parallel
// of the command line, read later, goes before. And for the race detector, which
// holds every process back for a second as it ends, ten times as long as most
// commands take: what it found is in their exit code all the same.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	if err := os.Setenv("GORACE", "atexit_sleep_ms=10 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	syscall.Umask(0o022) // files that the group can write are refused
	testscript.Main(m, map[string]func(){"vernal": runWithFileClock})
}

// TestCommandsFollowScripts runs the scripts in testdata; those in testdata/slow start
// many servers.
func TestCommandsFollowScripts(t *testing.T) { runScripts(t, "testdata") }

// runScripts runs the scripts of a folder, each in a folder of its own, against the
// real program. It adds these commands to the usual ones:
//
//	ready           waits until the server that uses vernal-data answers
//	address FILE    writes the server's URL to a file
//	get PATH TEXT   gets a page of that server, which must contain TEXT
//	opens FILE TEXT gets the URL in a file; the page must contain TEXT. With
//	                ! the answer must be 404
//	getfile FILE TEXT
//	                the same with the path in a file
//	years           makes sure that one year is live, and sets $THIS to it, $NEXT
//	                and $LATER to the two after it
//	calendar        sets $FIRST to the year that the calendar prefers today, and
//	                $LATER to the one after it
//	authority issue REQUEST CERT [ended|sha1]
//	                issues a certificate for a request, in a chain
//	authority pair KEY CERT
//	                makes a private key and its certificate
//	signin ENTITY_ID EMAIL PROPOSED NAMEID
//	                without a server: a user signs in to a service provider, which
//	                must get NAMEID; PROPOSED is stored if the user has none there
//	remembered EMAIL BROWSER SYSTEM DAYS
//	                without a server: a user has a remembered device, since that
//	                many days
//	forget years    without a server: the store records no years any more, or there
//	                is an empty one
//	seen ENTITY_ID YEAR
//	                without a server: a service provider used the year
//	tamper changed|removed|swapped|cut SEQ
//	                without a server: tampers with the audit trail
//	tlsproxy [down] starts a proxy that ends TLS in front of the server, sets
//	                $PROXY to it and trusts it; down stops it
//	filelimit BYTES|none
//	                processes in the background cannot write files beyond that
//	mailed ADDRESS TEXT
//	                a mail with TEXT arrived for the address; gone@… is refused
//
// $MAIL is the address of a mail server. $KEYS is the folder of the test keys,
// $METADATA that of the corpus, and $WEB the URL of a web server that serves
// /sp.xml, /old.xml (the same, no longer valid), /big.xml, /moved (to another
// host by http), /hop (to /sp.xml) and /away (to /sp.xml under another name of this machine).
func runScripts(t *testing.T, dir string) {
	t.Helper()
	t.Parallel()
	root, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	web := newWeb(t, filepath.Join(root, "metadata", "ruby-saml.xml"))
	box, mail := newMail(t)
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("KEYS", filepath.Join(root, "keys"))
			e.Setenv("METADATA", filepath.Join(root, "metadata"))
			e.Setenv("WEB", web)
			e.Setenv("MAIL", mail)
			e.Setenv("VERNAL_LISTEN", "127.0.0.1:0")
			e.Setenv("VERNAL_ADMIN_LISTEN", "127.0.0.1:0")
			e.Values[tlsProxyKey{}] = new(*httptest.Server)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "root" && os.Geteuid() != 0 && os.Getenv("CI") == "true" {
				return false, errors.New("CI skips nothing: run it as root")
			}
			return name == "root" && os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":      ready,
			"address":    address,
			"get":        get,
			"getfile":    getFile,
			"signin":     signin,
			"remembered": scriptRemembered,
			"opens":      opens,
			"years":      years,
			"seen":       scriptMailSeen,
			"tamper":     tamper,
			"mailed":     mailed(box),
			"authority":  authority,
			"forget":     forget,
			"calendar":   calendar,
			"tlsproxy":   tlsProxy,
			"filelimit":  limitFiles,
		},
	})
}

// newWeb returns a web server for metadata.
func newWeb(t *testing.T, file string) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/sp.xml", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	mux.HandleFunc("/old.xml", func(w http.ResponseWriter, _ *http.Request) {
		doc, err := os.ReadFile(file)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(bytes.Replace(doc, []byte(" entityID="), []byte(` validUntil="2020-01-01T00:00:00Z" entityID=`), 1))
	})
	mux.HandleFunc("/big.xml", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, cli.MaxMetadata+1)) })
	mux.Handle("/moved", http.RedirectHandler("http://sp.example.gov/sp.xml", http.StatusFound))
	mux.Handle("/hop", http.RedirectHandler("/sp.xml", http.StatusFound))
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		_, port, _ := net.SplitHostPort(r.Host)
		http.Redirect(w, r, "http://localhost:"+port+"/sp.xml", http.StatusFound)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// serverAddress asks the server where it listens.
func serverAddress(ctx context.Context, ts *testscript.TestScript) (string, error) {
	return listenAddress(ctx, ts.MkAbs("vernal-data"))
}

func listenAddress(ctx context.Context, data string) (string, error) {
	client := admin.NewSocketClient(data)
	defer client.Close()
	pong, err := admin.Call(ctx, client, ops.Ping, ops.Empty{})
	return pong.Address, err
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := serverAddress(ctx, ts)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("the server does not answer: %v", err)
		}
	}
}

func address(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: address FILE")
	}
	text, err := serverAddress(context.Background(), ts)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get PATH TEXT")
	}
	host, err := serverAddress(context.Background(), ts)
	ts.Check(err)
	resp, err := http.Get("http://" + host + args[0])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if !strings.Contains(string(body), args[1]) {
		ts.Fatalf("%s: %s, %q is not in\n%s", args[0], resp.Status, args[1], body)
	}
}

func opens(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 && neg || len(args) != 2 && !neg {
		ts.Fatalf("usage: opens FILE TEXT, or ! opens FILE")
	}
	resp, err := http.Get(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	switch {
	case neg && resp.StatusCode != http.StatusNotFound:
		ts.Fatalf("%s: %s", args[0], resp.Status)
	case !neg && (resp.StatusCode != http.StatusOK || !strings.Contains(string(body), args[1])):
		ts.Fatalf("%s: %s, %q is not in\n%s", args[0], resp.Status, args[1], body)
	}
}

// getFile keeps a secret path out of the script.
func getFile(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: getfile FILE TEXT")
	}
	get(ts, neg, []string{strings.TrimSpace(ts.ReadFile(args[0])), args[1]})
}
