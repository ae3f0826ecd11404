package main

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// limitFiles is the script command `filelimit BYTES|none`: no process in the background can
// write a file beyond that many bytes. 0 is like a disk that became read-only.
func limitFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: filelimit BYTES|none")
	}
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if args[0] != "none" {
		n, err := strconv.ParseUint(args[0], 10, 64)
		ts.Check(err)
		limit.Cur = n
	}
	for _, c := range ts.BackgroundCmds() {
		ts.Check(unix.Prlimit(c.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil))
	}
}
