//go:build slow

package main

import "testing"

func TestSlowCommandsFollowScripts(t *testing.T) { runScripts(t, "testdata/slow") }
