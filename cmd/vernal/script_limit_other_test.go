//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

func limitFiles(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("filelimit is for Linux") }
