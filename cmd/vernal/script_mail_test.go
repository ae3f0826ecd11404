package main

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/smtptest"
)

// newMail serves a mailbox for the scripts.
func newMail(t *testing.T) (*smtptest.Server, string) {
	box := &smtptest.Server{Refuse: func(to string) string {
		if strings.HasPrefix(to, "gone@") {
			return "550 5.1.1 gone"
		}
		return ""
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = box.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		_ = box.Close()
	})
	return box, l.Addr().String()
}

// mailed makes the command that looks for a mail to an address with a text in
// its subject or body. It waits for it, but not for its absence.
func mailed(box *smtptest.Server) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if len(args) != 2 {
			ts.Fatalf("usage: mailed ADDRESS TEXT")
		}
		found := func() bool {
			for _, m := range box.Mails() {
				if m.To[0] == args[0] && strings.Contains(m.Header("Subject")+"\n"+m.Text(), args[1]) {
					return true
				}
			}
			return false
		}
		if neg {
			if found() {
				ts.Fatalf("%q was mailed to %s", args[1], args[0])
			}
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for !found() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				ts.Fatalf("no mail to %s with %q", args[0], args[1])
			}
		}
	}
}

// scriptMailSeen records on the board of vernal-data, while no server runs, that a service provider
// used a year.
func scriptMailSeen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: seen ENTITY_ID YEAR")
	}
	c, err := config.Load(ts.MkAbs(config.DefaultFile), ts.Getenv)
	ts.Check(err)
	d, err := openDeps(c, slog.New(slog.DiscardHandler), time.Now, ts.Getenv, lockTry, false)
	ts.Check(err)
	d.Usage.Use(idp.Use{SP: idp.EntityID(args[0]), Year: idp.Year(args[1]), At: time.Now(), IssuedAt: time.Now()})
	ts.Check(d.Usage.Flush(context.Background()))
	ts.Check(d.Close())
}
