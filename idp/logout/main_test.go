package logout_test

import (
	"flag"
	"testing"
)

// TestMain sets a number of sequences other than rapid's hundred, because each one is a dozen
// requests that are signed and stored. -rapid.checks on the command line takes precedence.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", draws); err != nil {
		panic(err)
	}
	m.Run()
}
